"""The vendor's management client (alibabacloud_mns_open20220119, unpatched) against a running service.

    python mns_open.py ENDPOINT KEY_ID KEY_SECRET
"""

import sys
from urllib.parse import urlsplit

from alibabacloud_mns_open20220119 import models
from alibabacloud_mns_open20220119.client import Client
from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

endpoint, key_id, key_secret = sys.argv[1:4]


def client(identity=key_id, secret=key_secret):
    """A client as the vendor's guide makes one, but for the endpoint."""
    return Client(
        Config(
            access_key_id=identity,
            access_key_secret=secret,
            endpoint=urlsplit(endpoint).netloc,
            protocol="http",
            region_id="us-east-1",
            # Milliseconds: a slow machine is no failure of the service.
            connect_timeout=600_000,
            read_timeout=600_000,
        )
    )


sdk = client()
called = set()


def call(name, request=None, on=None):
    """Calls an action that must succeed; gives its Data."""
    method = getattr(on or sdk, name)
    body = (method(request) if request is not None else method()).body
    assert body.success is True and body.code == 200 and body.status == "Success", body
    assert body.message == "operation success" and len(body.request_id) == 36, body
    called.add(name)
    return getattr(body, "data", None)


def refused(status, code, name, request, on=None):
    """Calls an action that must be refused."""
    try:
        getattr(on or sdk, name)(request)
    except DaraException as error:
        have = (error.status_code, error.code)
        assert have == (status, code), f"{name}: want {(status, code)}, have {have}: {error.message}"
        return error
    raise AssertionError(f"{name}: {code} was expected")


def beyond(action, **query):
    """Calls an action that SMQ does not have, by the client's own generic call; gives its Data."""
    params = Params(
        action=action,
        version="2022-01-19",
        protocol="HTTPS",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    body = sdk.call_api(params, OpenApiRequest(query=query), RuntimeOptions())["body"]
    assert body["Success"] is True and body["Code"] == 200, body
    return body.get("Data")


# Queues.
for name in ["MyQueue", "dead", "other"]:
    made = call("create_queue", models.CreateQueueRequest(queue_name=name, visibility_timeout=30))
    assert made.success is True and made.code == 200, made
refused(409, "QueueAlreadyExist", "create_queue", models.CreateQueueRequest(queue_name="dead", delay_seconds=7))
refused(400, "InvalidArgument", "create_queue", models.CreateQueueRequest(queue_name="1bad"))
refused(400, "InvalidArgument", "create_queue", models.CreateQueueRequest(queue_name="b", visibility_timeout=0))
policy = models.SetQueueAttributesRequest(
    queue_name="MyQueue",
    enable_logging=True,
    maximum_message_size=2048,
    dlq_policy=models.SetQueueAttributesRequestDlqPolicy(
        enabled=True, dead_letter_target_queue="dead", max_receive_count=3
    ),
)
call("set_queue_attributes", policy)
got = call("get_queue_attributes", models.GetQueueAttributesRequest(queue_name="MyQueue"))
assert (got.queue_name, got.maximum_message_size, got.visibility_timeout) == ("MyQueue", 2048, 30), got
assert got.logging_enabled is True and got.active_messages == 0 and got.create_time > 1_600_000_000, got
assert got.dlq_policy.dead_letter_target_queue == "dead" and got.dlq_policy.max_receive_count == 3, got
listed = call("list_queue", models.ListQueueRequest(queue_name="e", page_num=1, page_size=10))
assert [queue.queue_name for queue in listed.page_data] == ["MyQueue", "dead", "other"], listed
assert (listed.total, listed.pages, listed.size, listed.page_num) == (3, 1, 3, 1), listed
refused(404, "QueueNotExist", "get_queue_attributes", models.GetQueueAttributesRequest(queue_name="nowhere"))
refused(404, "QueueNotExist", "delete_queue", models.DeleteQueueRequest(queue_name="nowhere"))

# Topics: CreateTopic sends its parameters as a form.
call("create_topic", models.CreateTopicRequest(topic_name="mine", enable_logging=True, max_message_size=2048))
refused(409, "TopicAlreadyExist", "create_topic", models.CreateTopicRequest(topic_name="mine"))
got = call("get_topic_attributes", models.GetTopicAttributesRequest(topic_name="mine"))
assert (got.topic_name, got.max_message_size, got.logging_enabled) == ("mine", 2048, True), got
assert got.message_retention_period == 86400 and got.topic_type == "normal", got
call("set_topic_attributes", models.SetTopicAttributesRequest(topic_name="mine", enable_logging=False))
listed = call("list_topic", models.ListTopicRequest(topic_name="min", page_num=1, page_size=10))
assert [topic.topic_name for topic in listed.page_data] == ["mine"], listed
assert listed.page_data[0].logging_enabled is False, listed
refused(404, "TopicNotExist", "get_topic_attributes", models.GetTopicAttributesRequest(topic_name="nowhere"))

# Subscriptions.
call(
    "subscribe",
    models.SubscribeRequest(
        topic_name="mine",
        subscription_name="to-queue",
        push_type="queue",
        endpoint="acs:mns:us-east-1:000000000000:queues/MyQueue",
        message_tag="red",
        notify_content_format="SIMPLIFIED",
        notify_strategy="EXPONENTIAL_DECAY_RETRY",
        dlq_policy=models.SubscribeRequestDlqPolicy(enabled=True, dead_letter_target_queue="dead"),
    ),
)
got = call(
    "get_subscription_attributes",
    models.GetSubscriptionAttributesRequest(topic_name="mine", subscription_name="to-queue"),
)
assert got.endpoint == "acs:mns:us-east-1:000000000000:queues/MyQueue" and got.filter_tag == "red", got
assert (got.notify_content_format, got.notify_strategy) == ("SIMPLIFIED", "EXPONENTIAL_DECAY_RETRY"), got
assert got.dlq_policy.enabled is True and got.dlq_policy.dead_letter_target_queue == "dead", got
assert got.topic_owner == "000000000000", got
call(
    "set_subscription_attributes",
    models.SetSubscriptionAttributesRequest(
        topic_name="mine",
        subscription_name="to-queue",
        notify_strategy="BACKOFF_RETRY",
        tenant_rate_limit_policy=models.SetSubscriptionAttributesRequestTenantRateLimitPolicy(
            enabled=True, max_receives_per_second=10
        ),
    ),
)
listed = call(
    "list_subscription_by_topic", models.ListSubscriptionByTopicRequest(topic_name="mine", page_num=1, page_size=10)
)
assert [held.subscription_name for held in listed.page_data] == ["to-queue"], listed
assert listed.page_data[0].notify_strategy == "BACKOFF_RETRY", listed
refused(
    404,
    "QueueNotExist",
    "subscribe",
    models.SubscribeRequest(topic_name="mine", subscription_name="x", push_type="queue", endpoint="nowhere"),
)
refused(
    400,
    "InvalidArgument",
    "subscribe",
    models.SubscribeRequest(topic_name="mine", subscription_name="x", push_type="fc", endpoint="f"),
)
refused(
    404,
    "SubscriptionNotExist",
    "unsubscribe",
    models.UnsubscribeRequest(topic_name="mine", subscription_name="nobody"),
)

# Rules: the tutorial of seed 000, 3.2.
Match, Rule = models.EventMatchRule, models.CreateEventRuleRequest


def rule(name, match, endpoint_type="queue", endpoint_value="MyQueue", **more):
    """A rule over new objects."""
    return Rule(
        product_name="oss",
        rule_name=name,
        event_types=["ObjectCreated:PutObject", "ObjectCreated:PostObject"],
        match_rules=match,
        endpoint=models.CreateEventRuleRequestEndpoint(endpoint_type=endpoint_type, endpoint_value=endpoint_value),
        **more,
    )


tutorial = rule("event-notification-test-rule", [[Match(name="event-notification-test")]])
assert call("create_event_rule", tutorial) == "event-notification-test-rule"
refused(409, "EventRuleAlreadyExist", "create_event_rule", tutorial)
error = refused(
    409, "EventRuleConflict", "create_event_rule", rule("second", [[Match(prefix="event-notification-test/a")]])
)
assert "event-notification-test-rule" in error.message and "ObjectCreated:P" in error.message, error.message
token = rule("tokened", [[Match(prefix="photos/", suffix=".jpg", match_state=True)]], client_token="once")
assert call("create_event_rule", token) == "tokened"
assert call("create_event_rule", token) == "tokened"
several = Rule(
    product_name="oss",
    rule_name="several",
    event_types=["ObjectRemoved:*"],
    match_rules=[[Match(prefix="logs/")], [Match(prefix="photos/"), Match(suffix=".tmp", match_state=False)]],
    endpoints=[
        models.CreateEventRuleRequestEndpoints(endpoint_type="queue", endpoint_value="MyQueue"),
        models.CreateEventRuleRequestEndpoints(endpoint_type="queue", endpoint_value="other"),
    ],
    delivery_mode="BROADCAST",
)
call("create_event_rule", several)
call("create_event_rule", rule("to-topic", [[Match(prefix="topical/")]], "topic", "mine"))
default = Rule(
    product_name="oss",
    rule_name="DefaultEnRule",
    event_types=["Default"],
    match_rules=[[Match(name="mns-en-reserved-default")]],
    endpoint=models.CreateEventRuleRequestEndpoint(endpoint_type="queue", endpoint_value="other"),
)
call("create_event_rule", default)

got = call("get_event_rule", models.GetEventRuleRequest(product_name="oss", rule_name="several"))
assert got.rule_name == "several" and got.event_types == ["ObjectRemoved:*"], got
assert [[clause.to_map() for clause in clauses] for clauses in got.match_rules] == [
    [{"MatchState": True, "Prefix": "logs/"}],
    [{"MatchState": True, "Prefix": "photos/"}, {"MatchState": False, "Suffix": ".tmp"}],
], got
assert [(s.endpoint_type, s.endpoint_value) for s in got.subscriptions] == [("queue", "MyQueue"), ("queue", "other")]
assert got.topic_name.startswith("mns-en-topics-oss-several-") and got.delivery_mode == "BROADCAST", got
got = call("get_event_rule", models.GetEventRuleRequest(product_name="oss", rule_name="to-topic"))
assert got.topic_name == "mine" and got.endpoint.endpoint_type == "topic", got
got = call("get_event_rule", models.GetEventRuleRequest(product_name="oss", rule_name="DefaultEnRule"))
assert got.event_types == ["Default"] and got.match_rules[0][0].name == "mns-en-reserved-default", got


def names(**filters):
    """Names of the rules a list gives."""
    data = call("list_event_rules", models.ListEventRulesRequest(product_name="oss", **filters))
    return [item.rule_name for item in data.page_data]


everything = ["DefaultEnRule", "event-notification-test-rule", "several", "to-topic", "tokened"]
assert names(page_num=1, page_size=50) == everything, names()
assert names(rule_name="to") == ["to-topic", "tokened"], names(rule_name="to")
assert names(topic_name="mine") == ["to-topic"]
queue = models.ListEventRulesRequestSubscription(endpoint_type="queue", endpoint_value="other")
assert names(subscription=queue) == ["DefaultEnRule", "several"]
refused(404, "TopicNotExist", "create_event_rule", rule("x", [[Match(prefix="new/")]], "topic", "nowhere"))
refused(404, "QueueNotExist", "create_event_rule", rule("x", [[Match(prefix="new/")]], "queue", "nowhere"))
refused(400, "InvalidArgument", "create_event_rule", rule("1x", [[Match(prefix="new/")]]))
refused(404, "EventRuleNotExist", "get_event_rule", models.GetEventRuleRequest(product_name="oss", rule_name="x"))
refused(404, "EventRuleNotExist", "delete_event_rule", models.DeleteEventRuleRequest(product_name="oss", rule_name="x"))

# Beyond SMQ.
changed = {
    "ProductName": "oss",
    "RuleName": "tokened",
    "EventTypes": '["ObjectCreated:PutObject"]',
    "MatchRules": '[[{"Prefix":"pictures/"}]]',
    "Endpoint": '{"EndpointType":"queue","EndpointValue":"MyQueue"}',
}
assert beyond("UpdateEventRule", **changed) == "tokened"
event = '{"eventName":"ObjectCreated:PutObject","oss":{"bucket":{"name":"pictures"},"object":{"key":"a.jpg"}}}'
assert beyond("ExplainEvent", Event=event)["CoveredBy"] == ["tokened"]
beyond("DisableEventRule", ProductName="oss", RuleName="tokened")
explained = beyond("ExplainEvent", Event=event)
assert explained["CoveredBy"] == [] and explained["Default"] is True, explained
assert "disabled" in explained["Text"], explained
beyond("EnableEventRule", ProductName="oss", RuleName="tokened")
preview = beyond("PreviewEventRule", **{**changed, "RuleName": "newcomer", "Events": event})
assert preview["Taken"] == 1 and preview["Conflicts"][0]["RuleName"] == "tokened", preview
for action in ["ListDeliveries", "ListDeadLetters"]:
    assert beyond(action, RuleName="tokened")["PageData"] == [], action
assert beyond("RedriveDeadLetters", All="true")["Redriven"] == 0
assert beyond("DeleteDeadLetters", All="true")["Deleted"] == 0
published = beyond("PublishEvents", ProductName="own", Events='{"type":"Tick:Second","resource":"clock","body":"1"}')
assert published["Accepted"] == 1, published
counted = beyond("ReplayEvents", Since="1h", ProductName="own", DryRun="true")
assert counted["Replayed"] == 1 and "NextToken" not in counted, counted
assert beyond("ReplayEvents", Since="1h", RuleName="tokened")["Replayed"] == 0
recent = beyond("PreviewEventRule", ProductName="own", RuleName="ticks", EventTypes='["Tick:*"]',
                MatchRules='[[{"Prefix":"clock"}]]')
assert recent["Taken"] == 1 and recent["TakenExamples"][0]["From"] == "nobody", recent

assert beyond("FollowDeliveries", WaitSeconds="0")["PageData"] == []
file = (
    '[{"ProductName":"oss","RuleName":"tokened","EventTypes":["ObjectCreated:PutObject"],'
    '"MatchRules":[[{"Prefix":"pictures/"}]],"Endpoints":[{"EndpointType":"queue","EndpointValue":"MyQueue"}]}]'
)
plan = beyond("ApplyEventRules", Rules=file, DryRun="true")
assert plan["Applied"] is False and plan["Summary"]["Unchanged"] == 1 and plan["Summary"]["Delete"] == 4, plan
try:
    beyond("ApplyEventRules", Rules=file, PlanId="stale")
    raise AssertionError("a stale plan was applied")
except DaraException as error:
    assert (error.status_code, error.code) == (409, "EventRulesChanged"), error
try:
    beyond("ApplyEventRules", Rules='[{"ProductName":"oss","RuleName":"1st"}]')
    raise AssertionError("a faulty file was applied")
except DaraException as error:
    assert (error.status_code, error.code) == (400, "InvalidArgument"), error
assert names() == everything
assert beyond("ApplyEventRules", Rules=file, KeepOthers="true")["Summary"]["Unchanged"] == 1

for name in everything:
    call("delete_event_rule", models.DeleteEventRuleRequest(product_name="oss", rule_name=name))
assert names() == []

# The account.
got = call("get_account_attributes", models.GetAccountAttributesRequest())
assert got.log_enabled is False, got
call("set_account_attributes", models.SetAccountAttributesRequest(log_enabled=False))
got = call("get_endpoint_attribute", models.GetEndpointAttributeRequest(endpoint_type="public"))
assert got.endpoint_enabled is True, got
for name, request in {
    "enable_endpoint": models.EnableEndpointRequest(endpoint_type="public"),
    "disable_endpoint": models.DisableEndpointRequest(endpoint_type="public"),
    "authorize_endpoint_acl": models.AuthorizeEndpointAclRequest(
        endpoint_type="public", acl_strategy="allow", cidr_list=["10.0.0.0/8"]
    ),
    "revoke_endpoint_acl": models.RevokeEndpointAclRequest(
        endpoint_type="public", acl_strategy="allow", cidr_list=["10.0.0.0/8"]
    ),
}.items():
    refused(400, "UnsupportedOperation", name, request)
    called.add(name)

# Away with it all.
call("unsubscribe", models.UnsubscribeRequest(topic_name="mine", subscription_name="to-queue"))
call("delete_topic", models.DeleteTopicRequest(topic_name="mine"))
for name in ["MyQueue", "dead", "other"]:
    call("delete_queue", models.DeleteQueueRequest(queue_name=name))
assert call("list_topic", models.ListTopicRequest(page_num=1, page_size=10)).page_data == []

# Who may.
if key_secret != "unsigned":
    request = models.ListQueueRequest(page_num=1, page_size=10)
    refused(403, "InvalidAccessKeyId", "list_queue", request, on=client("nobody", "x"))
    refused(403, "SignatureDoesNotMatch", "list_queue", request, on=client(key_id, "wrong"))

actions = {name for name in dir(sdk) if name + "_with_options" in dir(sdk)}
assert called == actions, f"not called: {actions - called}"
print(f"the management client is content: {len(called)} actions")
