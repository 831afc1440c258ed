"""Our own rules for template.yaml: what the linters do not know. Prints every finding; exit 1 when there is one."""

import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Statements that name all resources or all actions, each with its reason. Whatever is not here is a finding.
WILDCARDS = {
    ("*", "xray:PutTraceSegments"): "X-Ray's writes know no resources",
    ("*", "xray:PutTelemetryRecords"): "X-Ray's writes know no resources",
    ("*", "sqs:ListQueues"): "ListQueues knows no resources; the function asks for names with the stack's prefix alone",
}
# Denials may be as wide as they like; these are the grants to everybody.
PUBLIC = {
    "ManageUrlPermission": "only with ManagementAuth=SMQ, where every request must carry a signature by an access key",
    "ManageUrlInvokePermission": "the same, and only through the function URL",
    "CertificatesUrlPermission": "receivers fetch the certificate without credentials; the function can read nothing else",
    "CertificatesUrlInvokePermission": "the same, and only through the function URL",
}
# Lambda's guide to SQS event sources.
VISIBILITY_TIMES = 6
RECEIVES = 5


class Tagged(yaml.SafeLoader):
    """Reads CloudFormation's short tags as what they are short for."""


def _tag(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Tagged.add_multi_constructor("!", _tag)


def listed(value):
    return value if isinstance(value, list) else [value]


def check(template):
    """The findings, as sentences."""
    resources = template["Resources"]
    of_type = lambda kind: {n: r.get("Properties", {}) for n, r in resources.items() if r["Type"] == kind}  # noqa: E731
    queues, functions = of_type("AWS::SQS::Queue"), of_type("AWS::Serverless::Function")
    mappings = of_type("AWS::Lambda::EventSourceMapping")
    dead = set()
    for name, queue in queues.items():
        redrive = queue.get("RedrivePolicy")
        if redrive:
            target = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]
            dead.add(target)
            if redrive["maxReceiveCount"] < RECEIVES:
                yield f"{name}: maxReceiveCount {redrive['maxReceiveCount']}, want at least {RECEIVES}"
            if queues[target]["MessageRetentionPeriod"] <= queue["MessageRetentionPeriod"]:
                yield f"{target}: keeps messages no longer than {name}, whose clock goes on there"
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name}: SqsManagedSseEnabled is not true"
    guarded = {listed(p["Queues"])[0]["Ref"]: p["PolicyDocument"]["Statement"] for p in of_type("AWS::SQS::QueuePolicy").values()}
    for name in queues:
        denies = [s for s in guarded.get(name, []) if s["Effect"] == "Deny"]
        if not any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} and s["Action"] == "sqs:*" for s in denies):
            yield f"{name}: no policy that refuses what does not come over TLS"
    fed = {}
    for name, mapping in mappings.items():
        queue, function = mapping["EventSourceArn"]["Fn::GetAtt"][0], mapping["FunctionName"]["Ref"]
        fed[function] = queue
        timeout = functions[function]["Timeout"]
        need = VISIBILITY_TIMES * timeout
        if queues[queue]["VisibilityTimeout"] < need:
            yield f"{queue}: visibility {queues[queue]['VisibilityTimeout']} s, want {VISIBILITY_TIMES} x {timeout} s of {function}"
        if "RedrivePolicy" not in queues[queue]:
            yield f"{queue}: feeds {function} and has no dead-letter queue"
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: FunctionResponseTypes lacks ReportBatchItemFailures"
        if "MaximumConcurrency" not in mapping.get("ScalingConfig", {}):
            yield f"{name}: no MaximumConcurrency"
        if mapping["BatchSize"] > 10 and not mapping.get("MaximumBatchingWindowInSeconds"):
            yield f"{name}: a batch beyond ten needs a window of a second or more"
    for name in queues:
        if name not in dead and name not in fed.values():
            yield f"{name}: feeds nothing and takes no dead letters"
    for name, function in functions.items():
        sends = {s["Fn::GetAtt"][0] for st in statements(resources, function) if "sqs:SendMessage" in listed(st["Action"])
                 for s in listed(st["Resource"]) if "Fn::GetAtt" in s}
        loops = fed.get(name) in sends
        if loops and function.get("RecursiveLoop") != "Allow":
            yield f"{name}: writes to the queue that feeds it, and RecursiveLoop is not Allow: Lambda will stop it"
        if not loops and "RecursiveLoop" in function:
            yield f"{name}: RecursiveLoop is set, and the function feeds itself nothing"
        if "LogGroup" not in function.get("LoggingConfig", {}):
            yield f"{name}: no log group of its own, so its logs are kept for ever"
        if "Policies" in function:
            yield f"{name}: Policies; SAM adds permissions of its own to those, write them into the role"
    for name, role in of_type("AWS::IAM::Role").items():
        for managed in role.get("ManagedPolicyArns", []):
            yield f"{name}: managed policy {managed}; name the actions instead"
        for policy in role.get("Policies", []):
            for statement in plain(policy["PolicyDocument"]["Statement"]):
                if statement["Effect"] != "Allow":
                    continue
                for action in listed(statement["Action"]):
                    if "*" in action:
                        yield f"{name}: action {action}"
                    for resource in listed(statement["Resource"]):
                        if resource == "*" and ("*", action) not in WILDCARDS:
                            yield f"{name}: {action} on every resource, and no reason for it is given here"
    for name, role in of_type("AWS::IAM::Role").items():
        every = [s for policy in role.get("Policies", []) for s in plain(policy["PolicyDocument"]["Statement"])]
        does = lambda action, effect="Allow": [s for s in every if action in listed(s["Action"]) and s["Effect"] == effect]  # noqa: E731
        lists = [s["Resource"] for s in does("s3:ListBucket") if "Condition" not in s]
        for bucket in of_type("AWS::S3::Bucket"):
            reads = any(f"${{{bucket}.Arn}}" in str(s["Resource"]) for s in does("s3:GetObject"))
            if reads and {"Fn::GetAtt": [bucket, "Arn"]} not in lists:
                yield f"{name}: may read {bucket} and not list all of it, so what is gone looks forbidden to it"
        if does("sqs:DeleteQueue"):
            kept = {s["Fn::GetAtt"][0] for deny in does("sqs:DeleteQueue", "Deny") for s in listed(deny["Resource"])}
            for queue in sorted(set(queues) - kept):
                yield f"{name}: may unmake {queue} where QueuePrefix covers it"
    for name, permission in of_type("AWS::Lambda::Permission").items():
        if permission["Principal"] == "*" and name not in PUBLIC:
            yield f"{name}: open to everybody, and no reason for it is given here"
        if permission["Action"] == "lambda:InvokeFunction" and not permission.get("InvokedViaFunctionUrl"):
            yield f"{name}: anybody may invoke the function, not by its URL alone"
    for name, table in of_type("AWS::DynamoDB::Table").items():
        if resources[name].get("DeletionPolicy") != "Retain" or resources[name].get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: goes away with the stack"
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name}: no point-in-time recovery"
    policies = {p["Bucket"]["Ref"]: p["PolicyDocument"]["Statement"] for p in of_type("AWS::S3::BucketPolicy").values()}
    for name, bucket in of_type("AWS::S3::Bucket").items():
        denies = [s for s in policies.get(name, []) if s["Effect"] == "Deny" and s["Action"] == "s3:*"]
        if not any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} and len(s["Resource"]) == 2 for s in denies):
            yield f"{name}: no policy that refuses what does not come over TLS"
        if set(bucket.get("PublicAccessBlockConfiguration", {}).values()) != {True}:
            yield f"{name}: public access is not blocked"
        if not any("ExpirationInDays" in rule for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])):
            yield f"{name}: objects stay for ever"
    told = [str([f.get("NotStartsWith") for s in t["AdvancedEventSelectors"] for f in s["FieldSelectors"]])
            for t in of_type("AWS::CloudTrail::Trail").values()]
    for name in of_type("AWS::S3::Bucket"):
        if not all(name in but for but in told):
            yield f"{name}: the trail tells of what Carillon itself writes there, without end"
    writes = [listed(s["Resource"]) for r in of_type("AWS::IAM::Role").values() for policy in r.get("Policies", [])
              for s in plain(policy["PolicyDocument"]["Statement"]) if "logs:CreateLogStream" in listed(s["Action"])]
    for name, group in of_type("AWS::Logs::LogGroup").items():
        # CloudFormation's ARN of a group ends in `:*` already; with another, the group itself is not covered.
        if [{"Fn::GetAtt": [name, "Arn"]}] not in writes:
            yield f"{name}: no role may write to exactly this group"
        if "RetentionInDays" not in group:
            yield f"{name}: logs are kept for ever"
    watched = {tuple(d["Value"].get("Fn::GetAtt", [d["Value"].get("Ref")])[:1]) + (a["MetricName"],)
               for a in of_type("AWS::CloudWatch::Alarm").values() for d in a.get("Dimensions", [])}
    for name in queues:
        metric = "ApproximateNumberOfMessagesVisible" if name in dead else "ApproximateAgeOfOldestMessage"
        if (name, metric) not in watched:
            yield f"{name}: no alarm on {metric}"
    for name in functions:
        for metric in ("Errors", "Throttles"):
            if (name, metric) not in watched:
                yield f"{name}: no alarm on {metric}"


def plain(statements):
    """Statements, also those under a condition."""
    for statement in statements:
        if "Fn::If" in statement:
            yield from (branch for branch in statement["Fn::If"][1:] if "Effect" in branch)
        else:
            yield statement


def statements(resources, function):
    role = resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]
    for policy in role["Policies"]:
        yield from plain(policy["PolicyDocument"]["Statement"])


def only(resources, role, sid):
    """The statement of this name."""
    every = resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return next(s for s in plain(every) if s.get("Sid") == sid)


# Each breaks the template in one place; the check must then say so. A check that cannot fail proves nothing.
BREAKS = {
    "visibility": lambda r: r["MatchQueue"]["Properties"].update(VisibilityTimeout=179),
    "maxReceiveCount": lambda r: r["MatchQueue"]["Properties"]["RedrivePolicy"].update(maxReceiveCount=4),
    "keeps messages": lambda r: r["MatchFailed"]["Properties"].update(MessageRetentionPeriod=345600),
    "no dead-letter queue": lambda r: r["MatchQueue"]["Properties"].pop("RedrivePolicy"),
    "ReportBatchItemFailures": lambda r: r["MatchMapping"]["Properties"].pop("FunctionResponseTypes"),
    "RecursiveLoop is not Allow": lambda r: r["DeliverFunction"]["Properties"].pop("RecursiveLoop"),
    "feeds itself nothing": lambda r: r["MatchFunction"]["Properties"].update(RecursiveLoop="Allow"),
    "over TLS": lambda r: r.pop("DeliverQueuePolicy"),
    "on every resource": lambda r: r["MatchRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0].update(Resource="*"),
    "action sqs:*": lambda r: r["MatchRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0].update(Action="sqs:*"),
    "not by its URL alone": lambda r: r["CertificatesUrlInvokePermission"]["Properties"].pop("InvokedViaFunctionUrl"),
    "goes away": lambda r: r["Table"].pop("DeletionPolicy"),
    "kept for ever": lambda r: r["MatchLog"]["Properties"].pop("RetentionInDays"),
    "public access": lambda r: r["EventBucket"]["Properties"].pop("PublicAccessBlockConfiguration"),
    "EventBucket: no policy": lambda r: r.pop("EventBucketPolicy"),
    "stay for ever": lambda r: r["EventBucket"]["Properties"].pop("LifecycleConfiguration"),
    "without end": lambda r: r["Trail"]["Properties"]["AdvancedEventSelectors"][0]["FieldSelectors"].pop(),
    "exactly this group": lambda r: only(r, "MatchRole", "Log").update(Resource={"Fn::Sub": "${MatchLog.Arn}:*"}),
    "looks forbidden": lambda r: only(r, "ManageRole", "ListEvents").update(Condition={"StringEquals": {"s3:prefix": "events/"}}),
    "may unmake": lambda r: only(r, "ManageRole", "LeaveTheStagesAlone")["Resource"].pop(),
    "no alarm on Approximate": lambda r: r.pop("MatchFailedAlarm"),
    "no alarm on Throttles": lambda r: r.pop("CertificatesThrottlesAlarm"),
}


def main():
    text = (ROOT / "template.yaml").read_text()
    findings = list(check(yaml.load(text, Tagged)))
    for fault, spoil in BREAKS.items():
        template = yaml.load(text, Tagged)
        spoil(template["Resources"])
        if not any(fault in finding for finding in check(template)):
            findings.append(f"check_template.py itself: a template with the fault {fault!r} passes")
    for finding in findings:
        print(f"template.yaml: {finding}", file=sys.stderr)
    print(f"template.yaml: {len(findings)} findings, {len(BREAKS)} deliberate faults tried")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
