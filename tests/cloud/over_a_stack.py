"""Steps of run.py: the command over a deployed stack."""

import contextlib
import json
import signal
import subprocess

from stack import wait_for
from world import oss, step

STACK = ("--stack", "carillon")


def others_configuration(world):
    """What somebody else has configured on a bucket: a topic, and a queue with filters."""
    topic = world.sns.create_topic(Name="somebody-s")["TopicArn"]
    url = world.sqs.create_queue(QueueName="somebody-s")["QueueUrl"]
    queue = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    ends = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}, {"Name": "suffix", "Value": ".csv"}]}}
    return {
        "TopicConfigurations": [{"Id": "gone", "TopicArn": topic, "Events": ["s3:ObjectRemoved:*"]}],
        "QueueConfigurations": [{"Id": "raw", "QueueArn": queue, "Events": ["s3:ObjectCreated:Put"], "Filter": ends}],
    }


def configuration(world, bucket):
    held = world.s3.get_bucket_notification_configuration(Bucket=bucket)
    held.pop("ResponseMetadata")
    return held


@step
def a_bucket_is_attached_beside_what_others_configured(world):
    bucket = "shared-bucket"
    world.s3.create_bucket(Bucket=bucket)
    world.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=others_configuration(world))
    theirs = configuration(world, bucket)
    entries = lambda held: [e for kind in ("TopicConfigurations", "QueueConfigurations") for e in held.get(kind, [])]  # noqa: E731
    # All creations would take theirs too: the refusal names what is in the way, and nothing is written.
    refused = world.carillon("bucket", "attach", bucket, *STACK, "--event", "ObjectCreated:*", "--yes", status=1)
    assert "(Id raw)" in refused and configuration(world, bucket) == theirs, refused
    world.carillon("bucket", "attach", bucket, *STACK, "--event", "ObjectCreated:*", "--prefix", "in/", "--yes")
    held = configuration(world, bucket)
    assert all(entry in entries(held) for entry in entries(theirs)) and len(entries(held)) == 3, held
    assert bucket in world.carillon("bucket", "list", bucket, *STACK)
    # Told of, and theirs are told too.
    world.s3.put_object(Bucket=bucket, Key="in/ours", Body=b"x")
    world.s3.put_object(Bucket=bucket, Key="raw/theirs.csv", Body=b"x")
    wait_for(lambda: "in/ours" in world.keys("rest"), 60, "the attached bucket's event")
    url = world.sqs.get_queue_url(QueueName="somebody-s")["QueueUrl"]
    told = lambda: [m for m in world.sqs.receive_message(QueueUrl=url).get("Messages", []) if "theirs.csv" in m["Body"]]  # noqa: E731
    wait_for(told, 30, "the other queue's event")
    assert "nothing to change" in world.carillon("bucket", "attach", bucket, *STACK, "--event", "ObjectCreated:*", "--prefix", "in/", "--yes")
    world.carillon("bucket", "detach", bucket, *STACK, "--yes")
    assert configuration(world, bucket) == theirs


@step
def the_command_manages_the_stack(world):
    names = [rule["RuleName"] for rule in json.loads(world.carillon("rule", "list", *STACK, "--json"))]
    assert "thumbnails" in names and "DefaultEnRule" in names, names
    world.carillon("queue", "create", "by-command", *STACK)
    world.carillon("rule", "create", "by-command", *STACK, "--event-type", "ObjectCreated:*", "--prefix", "photos/command/",
                   "--queue", "by-command")
    world.put("command/1")
    wait_for(lambda: world.keys("by-command") == ["command/1"], 60, "the event of the rule")
    assert oss(world.drain("by-command")[0])["oss"]["ruleId"] == "by-command"
    world.carillon("rule", "delete", "by-command", *STACK)
    assert "by-command" not in world.carillon("rule", "list", *STACK)
    world.carillon("rule", "list", "--stack", "another", status=2)


@contextlib.contextmanager
def console(world, stack):
    """The console over a stack, as arguments that lead the command to it; it must end well when it is asked to."""
    arguments = [world.command, "console", "--stack", stack, "--port", "0"]
    running = subprocess.Popen(arguments, env=world.environment(), stdout=subprocess.PIPE, text=True)
    try:
        line = running.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        yield "--endpoint", line.split()[-1]
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0, running.returncode
    finally:
        running.kill()
        running.wait()


@step
def the_console_manages_the_stack_from_loopback(world):
    with console(world, "carillon") as at:
        world.carillon("queue", "create", "by-console", *at)
        world.carillon("rule", "create", "by-console", *at, "--event-type", "ObjectCreated:*", "--prefix", "photos/console/",
                       "--queue", "by-console")
        world.put("console/1")
        wait_for(lambda: world.keys("by-console") == ["console/1"], 60, "the event of the console's rule")
        # Both doors lead to one table.
        assert "by-console" in world.carillon("rule", "list", *STACK)
        # Events are accepted here as well, judged and delivered by the functions.
        event = oss(world.drain("by-console")[0])
        event["oss"]["object"]["key"] = "console/2"
        world.carillon("send", "-", *at, given=json.dumps({"events": [event]}))
        wait_for(lambda: "console/2" in world.keys("by-console"), 60, "the event that was sent to the console")
        world.carillon("rule", "delete", "by-console", *at)
