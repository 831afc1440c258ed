"""Prometheus's own client library (unpatched) reads /metrics.

    python metrics.py ENDPOINT KEY_ID KEY_SECRET
"""

import base64
import re
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

endpoint, key_id, key_secret = sys.argv[1:4]
request = urllib.request.Request(f"{endpoint}/metrics")
if key_secret != "unsigned":
    pair = base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
    request.add_header("Authorization", f"Basic {pair}")
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=600) as answer:
    kind = answer.headers["Content-Type"]
    text = answer.read().decode()
assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
assert text.endswith("\n") and "\r" not in text

families = {family.name: family for family in text_string_to_metric_families(text)}
for name in [
    "carillon_requests",
    "carillon_published_events",
    "carillon_attempts",
    "carillon_stage_records",
    "carillon_dead_letters",
    "carillon_store_bytes",
    "carillon_queue_messages",
    "carillon_connections",
]:
    assert name in families, f"{name} is missing"
for family in families.values():
    assert family.documentation and family.type in ("counter", "gauge"), family
    assert re.fullmatch(r"carillon_[a-z_]+", family.name), family.name
    # What counts up is named so (Prometheus: "Metric and label naming"); the reader takes the ending off.
    totals = [sample.name.endswith("_total") for sample in family.samples]
    assert all(totals) if family.type == "counter" else not any(totals), family
    labelled = [tuple(sorted(sample.labels.items())) for sample in family.samples]
    assert len(labelled) == len(set(labelled)), f"{family.name} has a sample twice"
announced = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
assert len(announced) == len(set(announced)), "a family is announced twice"
actions = {sample.labels["action"] for sample in families["carillon_requests"].samples}
assert {"CreateEventRule", "ReceiveMessage"} <= actions, actions
print(f"the reader of metrics is content: {len(families)} families")
