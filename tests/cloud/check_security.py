"""A security linter over template.yaml: checkov, offline, on the template as it ships and with everything switched on.

What it finds and we keep stands below with its reason; any other finding fails, and so does a reason without a finding.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

KEY_OF_ONES_OWN = "a key of one's own costs 1 USD a month and a request a message, and guards against nobody whom IAM lets in"
FUNCTIONS = ("IngestFunction", "MatchFunction", "DeliverFunction", "ManageFunction", "CertificatesFunction")
LOGS = tuple(name.replace("Function", "Log") for name in FUNCTIONS)
QUEUES = ("IngestQueue", "IngestFailed", "MatchQueue", "MatchFailed", "DeliverQueue", "DeliverFailed")

# Check: (resources, reason).
SKIPS = {
    "CKV_AWS_27": (QUEUES, "it knows KMS alone: SqsManagedSseEnabled is on, check_template.py sees to it; " + KEY_OF_ONES_OWN),
    "CKV_AWS_119": (("Table",), "encrypted with DynamoDB's own key; " + KEY_OF_ONES_OWN),
    "CKV_AWS_149": (("SigningKeys", "AccessKeys"), "encrypted with Secrets Manager's own key; " + KEY_OF_ONES_OWN),
    "CKV_AWS_158": (LOGS, "encrypted by CloudWatch; the logs hold no bodies and no secrets; " + KEY_OF_ONES_OWN),
    "CKV_AWS_173": (FUNCTIONS, "the variables hold names and URLs, no secret: those are in Secrets Manager"),
    "CKV_AWS_115": (FUNCTIONS, "MaximumConcurrency of each mapping is the limit of its function; a reserved share would be taken "
                               "from the account's others, and a new account has too few to reserve any"),
    "CKV_AWS_116": (FUNCTIONS, "it means asynchronous invocations: these are fed by queues that have dead-letter queues, or by URLs"),
    "CKV_AWS_117": (FUNCTIONS, "pushes go to the internet: in a VPC they would need a NAT gateway, and the functions reach nothing "
                               "private unless AllowEndpoints says so"),
    "CKV_AWS_258": (("CertificatesUrl", "ManageUrl"), "receivers fetch the certificate without credentials, and that function can "
                                                      "read nothing else; ManageUrl only with ManagementAuth=SMQ, where each request is signed"),
    "CKV_AWS_18": (("TrailBucket", "EventBucket"), "access logs of a bucket of logs, or of events on their way, that none but the "
                                                   "stack's functions reach and that is emptied after days"),
    "CKV_AWS_21": (("TrailBucket", "EventBucket"), "objects are written once, under names that are never used again, and gone after days"),
    "CKV_AWS_35": (("Trail",), "the trail is encrypted with S3's key; " + KEY_OF_ONES_OWN),
    "CKV_AWS_67": (("Trail",), "a trail of one region, like the stack: S3 tells no other"),
}
# Each breaks the template in one place; the linter must then find more. A check that cannot fail proves nothing.
BREAKS = {
    "CKV_AWS_28": ("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
    "CKV_AWS_66": ("RetentionInDays: !Ref LogRetentionDays", "LogGroupClass: STANDARD"),
}


def switched_on(text):
    """The template with every resource in it, whatever the parameters say: the linter leaves out those under a condition."""
    return re.sub(r"\n    Condition: \w+(?=\n)", "", text)


def findings(checkov, texts):
    """(check, resource) pairs and how many checks passed, over all the texts."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            pathlib.Path(folder, f"{name}.yaml").write_text(text)
        run = subprocess.run(
            [checkov, "--directory", folder, "--framework", "cloudformation", "--skip-download", "--quiet", "--output", "json"],
            capture_output=True, text=True)
        try:
            report = json.loads(run.stdout)
        except ValueError:
            sys.exit(f"checkov said nothing readable: {run.stdout[:500]}{run.stderr[-2000:]}")
    if not report.get("results") or report["summary"]["parsing_errors"]:
        sys.exit(f"checkov could not read the template: {report.get('summary')} {report.get('results', {}).get('parsing_errors')}")
    failed = {}
    for each in report["results"]["failed_checks"]:
        name = pathlib.Path(each["file_path"]).stem
        failed.setdefault(name, set()).add((each["check_id"], each["resource"].split(".")[-1], each["check_name"]))
    return failed, report["summary"]["passed"]


def main():
    text = (ROOT / "template.yaml").read_text()
    texts = {"shipped": text, "everything": switched_on(text)}
    for check, (good, bad) in BREAKS.items():
        assert good in text, f"{check}: the template has no {good!r} to break"
        texts[f"broken-{check}"] = text.replace(good, bad)
    failed, passed = findings(sys.argv[1], texts)
    wrong = []
    found = failed.get("shipped", set()) | failed.get("everything", set())
    for check, resource, words in sorted(found):
        if resource not in SKIPS.get(check, ((), ""))[0]:
            wrong.append(f"{resource}: {check}: {words}")
    for check, (resources, _) in SKIPS.items():
        if not any(check == held for held, _, _ in found):
            wrong.append(f"check_security.py itself: {check} finds nothing any more; take its reason out")
    for check in BREAKS:
        if not any(check == held for held, _, _ in failed.get(f"broken-{check}", ())):
            wrong.append(f"check_security.py itself: a template that is broken for {check} passes")
    for line in wrong:
        print(f"template.yaml: {line}", file=sys.stderr)
    kept = sum(1 for check, resource, _ in found if resource in SKIPS.get(check, ((), ""))[0])
    print(f"template.yaml: {len(wrong)} findings of the security linter; {kept} kept, for {len(SKIPS)} reasons; {passed} checks passed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
