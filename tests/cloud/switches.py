"""Steps of run.py: a second stack, open to Alibaba's SDKs, with everything switched on that is off by default."""

import json
import subprocess

from over_a_stack import console
from stack import ROOT, Stack, kill, wait_for
from world import oss, step

KEY = {"id": "operator", "secret": "of the stack", "role": "admin"}


@step
def with_smq_keys_the_vendors_sdk_manages_the_stack(world):
    world.smq = stack = Stack(
        world.emulator, world.sam, "smq", ManagementAuth="SMQ", DeltaSize="index", MarkStale="true", DuplicateWindow="300",
        XVarsFromHeadObject="true")
    manage = stack.outputs["ManageUrl"]
    status, text = stack.http(manage + "?Action=ListEventRules&ProductName=oss", "POST", sign=False)
    assert status == 403 and "no access key" in text, (status, text)
    world.emulator.client("secretsmanager").put_secret_value(SecretId=stack.outputs["AccessKeysSecret"], SecretString=json.dumps([KEY]))
    for pid in world.emulator.functions():
        kill(pid)
    # The functions that knew of no key are gone; whoever comes next must sign.
    asked = lambda: stack.http(manage + "?Action=ListEventRules&ProductName=oss", "POST", sign=False)  # noqa: E731
    status, text = wait_for(lambda: asked()[0] != 502 and asked(), 60, "a new function")
    assert status == 403 and "no access key is configured" not in text, (status, text)
    if not world.sdk:
        print("    the SDK passed over: no --sdk given", flush=True)
        return
    host = manage.split("//")[1].rstrip("/")
    done = subprocess.run([world.sdk, str(ROOT / "tests/cloud/smq_client.py"), host, str(world.emulator.port), KEY["id"], KEY["secret"]],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print("    " + done.stdout.strip(), flush=True)


@step
def an_operator_manages_it_over_the_console(world):
    # Where requests are signed with the stack's own keys, the command says so before it sends any. (The emulator serves
    # function URLs under another name than the one that would be signed, so it goes no further here.)
    refused = world.carillon("rule", "list", "--stack", "smq", status=2)
    assert "CARILLON_ACCESS_KEY_ID" in refused and world.smq.outputs["AccessKeysSecret"] in refused, refused
    with console(world, "smq") as at:
        world.carillon("queue", "create", "sized", *at)
        world.carillon("rule", "create", "sized", "--event-type", "ObjectCreated:*", "--event-type", "ObjectRemoved:*",
                       "--prefix", "sized/", "--queue", "sized", *at)
    world.s3.create_bucket(Bucket="sized")
    world.carillon("bucket", "attach", "sized", "--stack", "smq", "--event", "ObjectCreated:*", "--event", "ObjectRemoved:*", "--yes")


def told(world, key):
    """The objects of all events of a key, as they came."""
    events = [oss(body) for body in world.drain("sized", world.smq)]
    return [event for event in events if event["oss"]["object"]["key"] == key]


def put(world, key, size, count, **more):
    world.s3.put_object(Bucket="sized", Key=key, Body=b"x" * size, **more)
    return wait_for(lambda: len(told(world, key)) >= count and told(world, key)[-1], 60, f"event {count} of {key}")


@step
def the_table_remembers_sizes_late_events_and_copies(world):
    assert put(world, "a", 10, 1)["oss"]["object"]["deltaSize"] == 10
    assert put(world, "a", 4, 2)["oss"]["object"]["deltaSize"] == -6
    asked = put(world, "b", 3, 1, Metadata={"x-origin": "camera"})
    assert asked["xVars"] == {"x:origin": "camera"} and asked["oss"]["object"]["deltaSize"] == 3, asked
    # A record of before both, which comes late; then copies of it and of another.
    url = world.smq.outputs["EventsQueueUrl"]
    late, last = record("a", 99, "0000000000000001"), record("last", 1, "00FFFFFFFFFFFFFF")
    send(world, url, late, last)
    wait_for(lambda: told(world, "last") and len(told(world, "a")) >= 3, 60, "both records")
    # A batch is marked when it was sent on, so copies that are judged at the same moment may pass: these come after it.
    idle(world, url)
    send(world, url, late, last, late)
    idle(world, url)
    # What comes after all copies were judged comes after what they would have been told as.
    put(world, "c", 1, 1)
    assert len(told(world, "last")) == 1, told(world, "last")
    stale = told(world, "a")[2:]
    assert len(stale) == 1 and stale[0]["oss"]["object"]["stale"] is True, stale
    assert "deltaSize" not in stale[0]["oss"]["object"], stale
    assert put(world, "a", 5, 4)["oss"]["object"]["deltaSize"] == 1


def send(world, url, *bodies):
    for body in bodies:
        world.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))


def idle(world, url):
    """Waits until a queue has nothing left, neither waiting nor in work."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    held = lambda: world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]  # noqa: E731
    wait_for(lambda: all(count == "0" for count in held().values()), 60, "the queue to be empty")


def record(key, size, sequencer):
    """A record as S3 writes it."""
    return {"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-11-22T00:00:00.000Z",
        "eventName": "ObjectCreated:Put", "userIdentity": {"principalId": "AWS:P"}, "requestParameters": {"sourceIPAddress": "203.0.113.9"},
        "responseElements": {"x-amz-request-id": "R" + sequencer, "x-amz-id-2": "I"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
               "bucket": {"name": "sized", "ownerIdentity": {"principalId": "P"}, "arn": "arn:aws:s3:::sized"},
               "object": {"key": key, "size": size, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": sequencer}}}]}
