"""Steps of run.py: what an event meets on its way. Each goes on where the one before it ended."""

import base64
import json
import time

from stack import wait_for
from world import dead, oss, step


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
    event = oss(world.drain("resize")[0])
    assert event["eventName"] == "ObjectCreated:PutObject" and event["eventSource"] == "acs:oss", event
    assert event["oss"]["ruleId"] == "thumbnails" and event["oss"]["object"]["key"] == "in/my cat+1.jpg", event
    assert oss(world.drain("rest")[0])["oss"]["object"]["key"] == "elsewhere/dog.jpg"
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
def logs_carry_metrics_by_product_type_and_bucket(world):
    logs = world.emulator.client("logs")
    resource = world.emulator.client("cloudformation").describe_stack_resource(StackName=world.stack.name, LogicalResourceId="IngestLog")
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    [group] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 14, group
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
    lines = [event["message"].strip() for page in pages for event in page["events"]]
    metrics = [json.loads(line) for line in lines if line.startswith('{"_aws"')]
    photos = [m for m in metrics if m.get("bucket") == "photos" and m.get("type") == "ObjectCreated:PutObject"]
    assert photos and all(m["product"] == "oss" and m["stack"] == world.stack.name for m in photos), metrics[:3]
    [told] = photos[0]["_aws"]["CloudWatchMetrics"]
    assert told["Namespace"] == "Carillon" and ["stack", "product", "bucket"] in told["Dimensions"], told
    assert sum(m["Events"] for m in photos) >= 10, photos
