"""The cloud form, end to end: the real template on an emulator, real binaries, real receivers.

What the emulator cannot show (who may do what by IAM, fairness between groups, RecursiveLoop) is checked on the template
by check_template.py instead.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import time

from receiver import Receiver
from stack import ACCOUNT, ROOT, Emulator, Stack, kill, wait_for

STEPS = []


def step(function):
    STEPS.append(function)
    return function


class World:
    def __init__(self, emulator, stack, receiver):
        self.emulator, self.stack, self.receiver = emulator, stack, receiver
        self.sqs, self.s3, self.sns = (emulator.client(name) for name in ("sqs", "s3", "sns"))
        self.got = {}

    def user_queue(self, name):
        return self.sqs.get_queue_url(QueueName=self.stack.outputs["QueuePrefix"] + name)["QueueUrl"]

    def drain(self, name):
        """Everything a queue has held so far, as a consumer sees it."""
        held = self.got.setdefault(name, [])
        url = self.user_queue(name)
        while True:
            messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return held
            for message in messages:
                held.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def keys(self, name):
        return [oss(body)["oss"]["object"]["key"] for body in self.drain(name)]

    def rule(self, name, prefix, endpoints, types=("ObjectCreated:*",), action="CreateEventRule", product="oss"):
        endpoints = [{"EndpointType": kind, "EndpointValue": value} for kind, value in endpoints]
        match = {"MatchRules": [[{"Prefix": prefix}]]} if prefix else {}
        return self.stack.act(action, ProductName=product, RuleName=name, EventTypes=list(types), Endpoints=endpoints, **match)

    def put(self, key, body=b"x"):
        self.s3.put_object(Bucket="photos", Key=key, Body=body)


def oss(body):
    return json.loads(base64.b64decode(body))["events"][0]


@step
def the_control_plane_is_closed_to_strangers_and_certificates_are_open(world):
    stack = world.stack
    manage, certificates = stack.outputs["ManageUrl"], stack.outputs["CertificatesUrl"]
    assert stack.http(manage, "POST", sign=False)[0] == 403
    assert stack.act("ListEventRules", ProductName="oss")["Total"] == 0
    for path in ("", "certs/", "certs/none.pem", "queues", "?Action=ListEventRules&ProductName=oss"):
        assert stack.http(certificates + path, sign=False)[0] == 404, path


@step
def rules_and_queues_are_made(world):
    for queue in ("resize", "rest", "mail", "letters"):
        world.stack.act("CreateQueue", QueueName=queue)
    world.rule("thumbnails", "photos/in/", [("queue", "resize"), ("http", world.receiver.url + "/hook")])
    world.stack.act("CreateEventRule", ProductName="oss", RuleName="DefaultEnRule", EventTypes=["Default"],
                    MatchRules=[[{"Name": "mns-en-reserved-default"}]], Endpoints=[{"EndpointType": "queue", "EndpointValue": "rest"}])
    status, text = world.stack.http(
        world.stack.outputs["ManageUrl"] + "?Action=CreateEventRule&ProductName=oss&RuleName=clash&EventTypes.1=ObjectCreated:PutObject"
        "&MatchRules.1.1.Prefix=photos/in/a&Endpoints.1.EndpointType=queue&Endpoints.1.EndpointValue=resize", "POST")
    assert status == 409 and "thumbnails" in text, text


@step
def an_object_put_reaches_queue_http_and_the_default_rule(world):
    world.s3.create_bucket(Bucket="photos")
    world.s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration={
        "QueueConfigurations": [{"QueueArn": world.stack.outputs["EventsQueueArn"], "Events": ["s3:ObjectCreated:*"]}]})
    world.put("in/my cat+1.jpg")
    world.put("elsewhere/dog.jpg")
    wait_for(lambda: world.drain("resize"), 60, "the queue endpoint")
    wait_for(lambda: world.drain("rest"), 60, "the default rule's queue")
    event = oss(world.got["resize"][0])
    assert event["eventName"] == "ObjectCreated:PutObject" and event["eventSource"] == "acs:oss", event
    assert event["oss"]["ruleId"] == "thumbnails" and event["oss"]["object"]["key"] == "in/my cat+1.jpg", event
    assert oss(world.got["rest"][0])["oss"]["object"]["key"] == "elsewhere/dog.jpg"
    [push] = wait_for(lambda: world.receiver.taken("/hook"), 30, "the HTTP endpoint")
    assert oss(push[3]) == event
    certificate = base64.b64decode(push[2]["x-mns-signing-cert-url"]).decode()
    assert certificate.startswith(world.stack.outputs["CertificatesUrl"]), certificate
    status, pem = world.stack.http(certificate, sign=False)
    assert status == 200 and pem.startswith("-----BEGIN CERTIFICATE-----"), (status, pem)
    verify(push, pem)


def verify(push, pem):
    """MNS's signature, by another implementation than ours."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    _, path, headers, _ = push
    lines = ["POST", headers.get("content-md5", ""), headers.get("content-type", ""), headers["date"]]
    lines += [f"{name}:{value}" for name, value in sorted(headers.items()) if name.startswith("x-mns-")]
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    signature = base64.b64decode(headers["authorization"])
    key.verify(signature, "\n".join([*lines, path]).encode(), padding.PKCS1v15(), hashes.SHA1())


@step
def mail_over_sns_and_storage_over_eventbridge_arrive(world):
    world.rule("mails", None, [("queue", "mail")], ["Deliver:SendSuccessfully", "Deliver:SendFailed"], product="dm")
    topic = world.sns.create_topic(Name="ses-events")["TopicArn"]
    world.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=world.stack.outputs["EventsQueueArn"])
    world.sns.publish(TopicArn=topic, Message=json.dumps(SES))
    body = wait_for(lambda: world.drain("mail"), 60, "mail")[0]
    assert "event=deliver" in body and "status=0" in body, body
    world.s3.create_bucket(Bucket="bus")
    world.s3.put_bucket_notification_configuration(Bucket="bus", NotificationConfiguration={"EventBridgeConfiguration": {}})
    world.s3.put_object(Bucket="bus", Key="über+a bus.jpg", Body=b"x")
    wait_for(lambda: "über+a bus.jpg" in world.keys("rest"), 60, "the event from the bus")


SES = {"eventType": "Delivery", "mail": {"timestamp": "2026-11-22T00:00:00.000Z", "messageId": "m1", "source": "a@example.com",
       "destination": ["b@example.com"], "tags": {}},
       "delivery": {"timestamp": "2026-11-22T00:00:01.000Z", "recipients": ["b@example.com"], "smtpResponse": "250 ok"}}


@step
def a_topic_of_sns_is_an_endpoint(world):
    topic = world.sns.create_topic(Name=world.stack.outputs["TopicPrefix"] + "people")["TopicArn"]
    sink = world.sqs.create_queue(QueueName="sns-sink")["QueueUrl"]
    arn = world.sqs.get_queue_attributes(QueueUrl=sink, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    world.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    world.rule("announced", "photos/announce/", [("topic", topic)])
    world.put("announce/me")
    message = wait_for(lambda: world.sqs.receive_message(QueueUrl=sink).get("Messages"), 60, "the queue behind SNS")[0]
    envelope = json.loads(message["Body"])
    assert oss(envelope["Message"])["oss"]["object"]["key"] == "announce/me", envelope
    attributes = {name: held["Value"] for name, held in envelope["MessageAttributes"].items()}
    assert attributes["rule"] == "announced" and attributes["bucket"] == "photos", attributes
    assert attributes["eventType"] == "ObjectCreated:PutObject", attributes


@step
def accepted_events_reach_a_rule_made_later(world):
    world.stack.act("CreateQueue", QueueName="again")
    world.rule("again", "photos/elsewhere/", [("queue", "again")])
    data = world.stack.act("ReplayEvents", Since="1h", RuleName="again")
    assert data["Replayed"] >= 1, data
    wait_for(lambda: "elsewhere/dog.jpg" in world.keys("again"), 60, "the event of before the rule")
    world.stack.act("DeleteEventRule", ProductName="oss", RuleName="again")


@step
def a_rule_change_is_visible_within_five_seconds(world):
    world.stack.act("CreateQueue", QueueName="changed")
    world.rule("thumbnails", "photos/in/", [("queue", "changed")], action="UpdateEventRule")
    changed = time.monotonic()
    seen, number = None, 0
    while seen is None and time.monotonic() - changed < 60:
        key = f"in/change-{number}.jpg"
        sent = time.monotonic()
        world.put(key)
        number += 1
        while key not in world.keys("changed") and key not in world.keys("resize"):
            time.sleep(0.1)
        if key in world.keys("changed"):
            seen = sent - changed
    assert seen is not None and seen < 5, seen
    print(f"    an event sent {seen:.2f} s after the change was judged by it", flush=True)


@step
def a_receiver_that_comes_back_gets_everything_once(world):
    world.receiver.status = 503
    world.rule("down", "photos/down/", [("http", world.receiver.url + "/down")])
    for number in range(5):
        world.put(f"down/{number}")
    wait_for(lambda: len(world.receiver.refused("/down")) >= 5, 60, "the attempts that are refused")
    assert not world.receiver.taken("/down")
    world.receiver.status = 200
    wait_for(lambda: len(set(world.receiver.ids("/down"))) >= 5, 120, "the retries")
    first = {push[2]["x-mns-message-id"] for push in world.receiver.refused("/down")}
    assert set(world.receiver.ids("/down")) == first, "a retry carries the id of its first attempt"
    assert len(world.receiver.ids("/down")) == 5, "accepted once each"


@step
def hopeless_deliveries_are_kept_and_sent_again_by_an_operator(world):
    gone = world.receiver.url + "/gone"
    world.receiver.status = 410
    world.rule("gone", "photos/gone/", [("http", gone)])
    world.put("gone/1")
    letters = wait_for(lambda: dead(world, "gone"), 120, "the dead letter")
    assert len(letters) == 1, letters
    letter = world.stack.act("GetDeadLetter", Id=letters[0]["Id"])
    assert oss(letter["Body"])["oss"]["object"]["key"] == "gone/1" and "410" in json.dumps(letter), letter
    world.receiver.status = 200
    assert world.stack.act("RedriveDeadLetters", RuleName="gone") == {"Redriven": 1}
    wait_for(lambda: world.receiver.taken("/gone"), 60, "the redriven delivery")
    assert not dead(world, "gone")


def dead(world, rule):
    data = world.stack.act("ListDeadLetters", RuleName=rule)
    return next((value for value in data.values() if isinstance(value, list)), [])


@step
def what_cannot_be_read_is_a_dead_letter_and_harms_nobody(world):
    url = world.stack.outputs["EventsQueueUrl"]
    world.sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(["not an event", "{}", "[]"])])
    world.put("elsewhere/after the poison")
    wait_for(lambda: "elsewhere/after the poison" in world.keys("rest"), 60, "the good event beside the bad ones")
    letters = wait_for(lambda: len(records(world)) >= 3 and records(world), 60, "three dead letters")
    assert all("ingest" in json.dumps(letter) for letter in letters), letters


def records(world):
    data = world.stack.act("ListDeadLetters")
    held = next((value for value in data.values() if isinstance(value, list)), [])
    return [letter for letter in held if "ingest" in json.dumps(letter)]


@step
def killing_functions_loses_nothing(world):
    world.rule("many", "photos/many/", [("queue", "letters"), ("http", world.receiver.url + "/many")])
    # A batch whose function died comes again after the visibility timeout: minutes by the template, seconds here.
    for url in world.sqs.list_queues(QueueNamePrefix=world.stack.name + "-")["QueueUrls"]:
        if any(name in url for name in ("IngestQueue", "MatchQueue", "DeliverQueue")):
            world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "10"})
    killed = 0
    for number in range(60):
        world.put(f"many/{number:03}")
        if number % 12 == 5:
            for pid in world.emulator.functions():
                kill(pid)
                killed += 1
    expected = {f"many/{number:03}" for number in range(60)}
    wait_for(lambda: set(world.keys("letters")) >= expected, 180, "all events at the queue")
    wait_for(lambda: len(set(world.receiver.ids("/many"))) == 60, 180, "all events at the HTTP endpoint")
    print(f"    {killed} function processes killed, 60 of 60 events at both endpoints", flush=True)


@step
def with_smq_keys_the_vendors_sdk_manages_the_stack(world):
    if not world.sdk:
        print("    passed over: no --sdk given", flush=True)
        return
    stack = Stack(world.emulator, world.sam, "smq", ManagementAuth="SMQ")
    manage = stack.outputs["ManageUrl"]
    status, text = stack.http(manage + "?Action=ListEventRules&ProductName=oss", "POST", sign=False)
    assert status == 403 and "no access key" in text, (status, text)
    keys = [{"id": "operator", "secret": "of the stack", "role": "admin"}]
    world.emulator.client("secretsmanager").put_secret_value(SecretId=stack.outputs["AccessKeysSecret"], SecretString=json.dumps(keys))
    for pid in world.emulator.functions():
        kill(pid)
    status, text = stack.http(manage + "?Action=ListEventRules&ProductName=oss", "POST", sign=False)
    assert status == 403 and "no access key is configured" not in text, (status, text)
    host = manage.split("//")[1].rstrip("/")
    done = subprocess.run([world.sdk, str(ROOT / "tests/cloud/smq_client.py"), host, str(world.emulator.port), "operator", "of the stack"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print("    " + done.stdout.strip(), flush=True)


def contract(emulator):
    done = subprocess.run(
        [os.environ.get("CARGO", "cargo"), "test", "--locked", "--quiet", "-p", "carillon-tests", "--features", "aws", "--test", "contract_aws"],
        env={**os.environ, "CARILLON_CONTRACT_ENDPOINT": emulator.url}, cwd=ROOT)
    assert done.returncode == 0, "the contract of the storage ports"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--emulator", required=True, help="the emulator's program")
    arguments.add_argument("--sam", required=True, help="the sam program")
    arguments.add_argument("--sdk", default="", help="a python that has Alibaba's SDKs")
    arguments.add_argument("--only", default="", help="steps whose name contains this (the first three always run)")
    arguments.add_argument("--no-contract", action="store_true")
    chosen = arguments.parse_args()
    emulator = Emulator(os.path.abspath(chosen.emulator))
    failed = []
    try:
        if not chosen.no_contract:
            contract(emulator)
        stack = Stack(emulator, os.path.abspath(chosen.sam), "carillon", AllowEndpoints="127.0.0.0/8", EventBridgeSource="true", KeepEventsDays="1")
        print(f"deployed in {stack.seconds:.0f} s", flush=True)
        world = World(emulator, stack, Receiver())
        world.sam = os.path.abspath(chosen.sam)
        world.sdk = os.path.abspath(chosen.sdk) if chosen.sdk else ""
        for number, function in enumerate(STEPS):
            if number >= 3 and chosen.only not in function.__name__:
                continue
            started = time.monotonic()
            name = function.__name__.replace("_", " ")
            try:
                function(world)
                print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Exception as error:  # noqa: BLE001 - every step is told of
                failed.append(name)
                print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
                world.receiver.status = 200
                if number < 3:
                    break
    finally:
        emulator.stop()
        if failed:
            print(f"the emulator's log: {emulator.log.name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
