"""Verifies captured pushes on libraries that share no code with Carillon: `cryptography` for MNS's signature and for
Ed25519, `standardwebhooks` for the HMAC. Every single change in a signed part must fail."""

import base64
import hashlib
import json
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError


def string_to_sign(target, headers):
    lines = ["POST"]
    lines += [headers.get(name, "") for name in ("content-md5", "content-type", "date")]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-mns-")]
    return "\n".join(lines + [target])


def mns_holds(certificate, target, headers):
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    try:
        signature = base64.b64decode(headers["authorization"], validate=True)
        key.verify(signature, string_to_sign(target, headers).encode(), padding.PKCS1v15(), hashes.SHA1())
    except (InvalidSignature, ValueError):
        return False
    return True


def hmac_holds(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    except json.JSONDecodeError:
        return True  # the signature held; only then does the library read the body, which need not be JSON
    return True


def ed25519_holds(public_key, body, headers):
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for part in headers["webhook-signature"].split(" "):
        scheme, _, signature = part.partition(",")
        if scheme != "v1a":
            continue
        try:
            key.verify(base64.b64decode(signature), content)
            return True
        except InvalidSignature:
            pass
    return False


def flips(text):
    """The text with one bit of one character changed, for each of its characters."""
    for index, char in enumerate(text):
        yield text[:index] + chr(ord(char) ^ 1) + text[index + 1 :]


def check(push):
    headers = dict(push["headers"])
    assert len(headers) == len(push["headers"]), "a header came twice"
    assert all(name == name.lower() for name in headers), "a header name is not lower case"
    target, body, certificate = push["target"], push["body"], push["certificate"]
    changes = 0

    digest = hashlib.md5(body.encode()).hexdigest()
    styles = {"XML": base64.b64encode(digest.encode()).decode()}
    assert headers["content-md5"] == styles.get(push["format"], digest.upper()), "content-md5"
    assert base64.b64decode(headers["x-mns-signing-cert-url"]).decode() == push["certificate_url"]

    assert mns_holds(certificate, target, headers), "the MNS signature does not hold"
    for changed in flips(target):
        assert not mns_holds(certificate, changed, headers)
        changes += 1
    for name in headers:
        if name.startswith("x-mns-") or name in ("content-md5", "content-type", "date"):
            for changed in flips(headers[name]):
                assert not mns_holds(certificate, target, headers | {name: changed}), name
                changes += 1
    signature = bytearray(base64.b64decode(headers["authorization"]))
    for bit in range(0, len(signature) * 8, 97):
        signature[bit // 8] ^= 1 << bit % 8
        assert not mns_holds(certificate, target, headers | {"authorization": base64.b64encode(signature).decode()})
        signature[bit // 8] ^= 1 << bit % 8
        changes += 1

    for holds, keys in ((hmac_holds, push["secrets"]), (ed25519_holds, push["public_keys"])):
        for key in keys:
            assert holds(key, body, headers), holds.__name__
            for changed in flips(body):
                assert not holds(key, changed, headers), holds.__name__
                changes += 1
            for changed in flips(headers["webhook-id"]):
                assert not holds(key, body, headers | {"webhook-id": changed}), holds.__name__
                changes += 1
            later = str(int(headers["webhook-timestamp"]) + 1)
            assert not holds(key, body, headers | {"webhook-timestamp": later}), holds.__name__
            changes += 1
    return changes


pushes = json.load(open(sys.argv[1], encoding="utf-8"))
assert len(pushes) == 18 and any(len(push["secrets"]) == 2 for push in pushes)
total = sum(check(push) for push in pushes)
print(f"python: {len(pushes)} pushes hold, {total} changed ones do not")
