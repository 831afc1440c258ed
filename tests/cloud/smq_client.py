"""Alibaba's own SDK against the function URL of a stack with ManagementAuth=SMQ. Run by run.py, in the venv of the SDKs:
smq_client.py HOST PORT KEY SECRET. The host's name leads to the emulator; the SDK signs it as it would on AWS."""

import socket
import sys

from alibabacloud_mns_open20220119 import models
from alibabacloud_mns_open20220119.client import Client
from alibabacloud_tea_openapi.utils_models import Config

host, port, key, secret = sys.argv[1:]
resolve = socket.getaddrinfo


def lead(name, at, *rest, **named):
    """The function URL's name leads to the emulator's address and port; the `Host` that is signed stays the name alone."""
    return resolve("127.0.0.1", int(port), *rest, **named) if name == host else resolve(name, at, *rest, **named)


socket.getaddrinfo = lead


def client(secret):
    return Client(Config(access_key_id=key, access_key_secret=secret, endpoint=host, protocol="http", region_id="us-east-1"))


try:
    client("wrong").list_event_rules(models.ListEventRulesRequest(product_name="oss"))
    sys.exit("a wrong secret was let in")
except Exception as error:  # noqa: BLE001 - the SDK's own type carries the code
    assert "SignatureDoesNotMatch" in str(error), error
sdk = client(secret)
sdk.create_queue(models.CreateQueueRequest(queue_name="sdk-queue"))
sdk.create_event_rule(models.CreateEventRuleRequest(
    product_name="oss", rule_name="by-sdk", event_types=["ObjectCreated:PutObject"],
    match_rules=[[models.EventMatchRule(prefix="photos/sdk/")]],
    endpoints=[models.CreateEventRuleRequestEndpoints(endpoint_type="queue", endpoint_value="sdk-queue")]))
listed = sdk.list_event_rules(models.ListEventRulesRequest(product_name="oss")).body.data
assert [rule.rule_name for rule in listed.page_data] == ["by-sdk"], listed
sdk.delete_event_rule(models.DeleteEventRuleRequest(product_name="oss", rule_name="by-sdk"))
print("the vendor's SDK made, listed and deleted a rule")
