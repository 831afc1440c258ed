"""The vendor's MNS queue client (aliyun-mns-sdk, unpatched) against a running service.

    python mns_queue.py ENDPOINT KEY_ID KEY_SECRET
"""

import sys
import threading
import time

from mns.account import Account
from mns.message_property import MessagePropertyValue
from mns.mns_exception import MNSServerException
from mns.queue import Message, QueueMeta

endpoint, key_id, key_secret = sys.argv[1:4]
account = Account(endpoint, key_id, key_secret)


def refused(code, call):
    """Runs `call`, which must be refused with `code`; gives the exception."""
    try:
        call()
    except MNSServerException as error:
        assert error.type == code, f"want {code}, have {error.type}: {error.message}"
        assert error.req_id, "every refusal has a request id"
        return error
    raise AssertionError(f"{code} was expected")


def check(condition, what):
    assert condition, what


# Queues: create, again, with other attributes, look, change, list.
queue = account.get_queue("sdk-queue")
url = queue.create(QueueMeta(vis_timeout=30, delay_sec=0))
check(url.endswith("/queues/sdk-queue"), url)
queue.create(QueueMeta(vis_timeout=30, delay_sec=0))
refused("QueueAlreadyExist", lambda: queue.create(QueueMeta(vis_timeout=31)))
meta = queue.get_attributes()
check(meta.queue_name == "sdk-queue" and meta.visibility_timeout == 30, str(meta))
check(meta.maximum_message_size == 65536 and meta.message_retention_period == 345600, str(meta))
check(meta.logging_enabled is False and meta.create_time > 1_600_000_000, str(meta))
queue.set_attributes(QueueMeta(vis_timeout=600, polling_wait_sec=0, logging_enabled=True))
meta = queue.get_attributes()
check(meta.visibility_timeout == 600 and meta.logging_enabled is True, str(meta))
refused("QueueNotExist", lambda: account.get_queue("nowhere").get_attributes())
refused("InvalidArgument", lambda: account.get_queue("sdk-other").create(QueueMeta(vis_timeout=99999)))
for number in range(5):
    account.get_queue(f"sdk-page-{number}").create(QueueMeta())
seen, marker = [], ""
while True:
    urls, marker = account.list_queue(prefix="sdk-page-", ret_number=2, marker=marker)
    seen += urls
    if not marker:
        break
check([url.rsplit("/", 1)[1] for url in seen] == [f"sdk-page-{n}" for n in range(5)], str(seen))
for number in range(5):
    account.get_queue(f"sdk-page-{number}").delete()
check(account.list_queue(prefix="sdk-page-")[0] == [], "all are gone")
account.get_queue("never-there").delete()

# Send, peek, receive, delete.
queue.set_encoding(True)
sent = queue.send_message(Message("héllo & <wörld> 花\r\n\ttab"))
check(len(sent.message_id) == 32 and len(sent.message_body_md5) == 32, sent.message_id)
peeked = queue.peek_message()
check(peeked.message_id == sent.message_id and peeked.dequeue_count == 0, "a peek takes nothing")
got = queue.receive_message(0)
check(got.message_body.decode() == "héllo & <wörld> 花\r\n\ttab", repr(got.message_body))
check(got.message_body_md5 == sent.message_body_md5, "the digest is of the body as sent")
check(got.dequeue_count == 1 and got.priority == 8, "one reception, priority 8")
check(got.enqueue_time > 1_600_000_000_000 and got.next_visible_time > got.enqueue_time, "milliseconds")
refused("MessageNotExist", lambda: queue.receive_message(0))
queue.delete_message(got.receipt_handle)
refused("MessageNotExist", lambda: queue.delete_message(got.receipt_handle))
refused("MessageNotExist", lambda: queue.peek_message())
refused("ReceiptHandleError", lambda: queue.delete_message("nonsense"))
refused("ReceiptHandleError", lambda: queue.change_message_visibility("nonsense", 30))

# Bodies that are not Base64: XML must carry them exactly.
queue.set_encoding(False)
text = 'a&b<c>"d"\'e\' \n\t ]]> 花 trailing  '
queue.send_message(Message(text))
got = queue.receive_message(0)
check(got.message_body == text, repr(got.message_body))
queue.delete_message(got.receipt_handle)
queue.set_encoding(True)

# Visibility.
queue.send_message(Message("again"))
got = queue.receive_message(0)
changed = queue.change_message_visibility(got.receipt_handle, 3600)
check(int(changed.next_visible_time) > got.next_visible_time, "later than before")
refused("MessageNotExist", lambda: queue.delete_message(got.receipt_handle))
queue.delete_message(changed.receipt_handle)

# Delay and priority.
queue.send_message(Message("late", delay_seconds=3600))
refused("MessageNotExist", lambda: queue.receive_message(0))
meta = queue.get_attributes()
check(meta._delay_messages == 1, "one is delayed")
queue.send_message(Message("low", priority=16))
queue.send_message(Message("high", priority=1))
order = [queue.receive_message(0) for _ in range(2)]
check([m.message_body for m in order] == [b"high", b"low"], str([m.message_body for m in order]))
check([m.priority for m in order] == [1, 16], "priorities come back")
queue.batch_delete_message([m.receipt_handle for m in order])

# Properties beside the body.
given = {
    "city": MessagePropertyValue.create_string("杭州 <&>"),
    "weight": MessagePropertyValue.create_number("-1.5"),
    "urgent": MessagePropertyValue.create_boolean(True),
    "raw": MessagePropertyValue.create_binary(bytes(range(256))),
}


def same(message, want):
    """Whether the message has these properties and no others."""
    have = message.get_user_properties() or {}
    check(have.keys() == want.keys(), str(have.keys()))
    for name, value in want.items():
        check(have[name].get_data_type() == value.get_data_type(), name)
        check(have[name].get_raw_value() == value.get_raw_value(), name)


message = Message("with properties")
message.set_user_properties(given)
queue.send_message(message)
same(queue.peek_message(), given)
got = queue.receive_message(0)
same(got, given)
queue.delete_message(got.receipt_handle)
queue.batch_send_message([message, Message("without")])
for got in queue.batch_receive_message(16, 0):
    same(got, given if got.message_body == b"with properties" else {})
    queue.delete_message(got.receipt_handle)
message.set_user_properties({f"p{n}": MessagePropertyValue.create_number(n) for n in range(51)})
refused("InvalidArgument", lambda: queue.send_message(message))
message.set_user_properties({f"p{n}": MessagePropertyValue.create_string("x" * 4096) for n in range(17)})
refused("MessageTooLarge", lambda: queue.send_message(message))

# Batches.
sent = queue.batch_send_message([Message(f"body {n}") for n in range(16)])
check(len({m.message_id for m in sent}) == 16, "sixteen ids")
check(len(queue.batch_peek_message(16)) == 16, "sixteen to see")
got = queue.batch_receive_message(16, 0)
check(sorted(m.message_body for m in got) == sorted(f"body {n}".encode() for n in range(16)), "all sixteen")
queue.batch_delete_message([m.receipt_handle for m in got[:15]])
error = refused(
    "MessageNotExist", lambda: queue.batch_delete_message([got[0].receipt_handle, got[15].receipt_handle])
)
check([e["ReceiptHandle"] for e in error.sub_errors] == [got[0].receipt_handle], str(error.sub_errors))
refused("MessageNotExist", lambda: queue.batch_receive_message(16, 0))
account.get_queue("sdk-small").create(QueueMeta(max_msg_size=1024))
small = account.get_queue("sdk-small")
error = refused("MessageTooLarge", lambda: small.batch_send_message([Message("a"), Message("b" * 2000)]))
check(len(error.sub_errors) == 2 and "MessageId" in error.sub_errors[0], str(error.sub_errors))
check(small.receive_message(0).message_body == b"a", "the sound one was taken")
refused("MessageTooLarge", lambda: small.send_message(Message("b" * 2000)))
refused("QueueNotExist", lambda: account.get_queue("nowhere").send_message(Message("x")))
refused("QueueNotExist", lambda: account.get_queue("nowhere").receive_message(0))

# A long poll ends with the message it waits for.
waited = {}


def wait():
    """Waits on a connection of its own."""
    other = Account(endpoint, key_id, key_secret).get_queue("sdk-poll")
    waited["message"] = other.receive_message(30)
    waited["at"] = time.monotonic()


poll = account.get_queue("sdk-poll")
poll.create(QueueMeta())
waiter = threading.Thread(target=wait)
waiter.start()
time.sleep(0.5)
poll.send_message(Message("here"))
at = time.monotonic()
waiter.join(600)
check(waited["message"].message_body == b"here", "the poll got it")
print(f"a long poll ended {max(0.0, waited['at'] - at) * 1000:.1f} ms after the send was answered")

# Who may.
if key_secret != "unsigned":
    refused("InvalidAccessKeyId", lambda: Account(endpoint, "nobody", "x").get_queue("sdk-queue").get_attributes())
    refused("SignatureDoesNotMatch", lambda: Account(endpoint, key_id, "wrong").get_queue("sdk-queue").get_attributes())

for name in ["sdk-queue", "sdk-small", "sdk-poll"]:
    account.get_queue(name).delete()
print("the MNS queue client is content")
