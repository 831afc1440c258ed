"""An emulator on loopback, and a stack deployed to it."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Emulator:
    """The emulator as a process of ours: it ends when we do, by its own id."""

    def __init__(self, program):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.NamedTemporaryFile("w+", prefix="carillon-emulator-", suffix=".log", delete=False)
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }
        # Without these three it listens beyond loopback.
        bound = {"IOT_MTLS_ENABLED": "0", "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
        self.process = subprocess.Popen(
            [program],
            env={**os.environ, **self.environment, **bound, "GATEWAY_PORT": str(self.port)},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            cwd=tempfile.mkdtemp(prefix="carillon-emulator-"),
            start_new_session=True,
        )
        wait_for(lambda: self.client("s3").list_buckets(), 60, "the emulator to answer")

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def functions(self):
        """The functions that run now, name by process id: children of the emulator that execute a `bootstrap`."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                program = os.readlink(entry / "exe")
            except (OSError, IndexError):
                continue
            if int(fields[2]) == os.getpgid(self.process.pid) or int(fields[1]) == self.process.pid:
                if program.removesuffix(" (deleted)").endswith("/bootstrap"):
                    found[int(entry.name)] = function_name(entry)
        return found

    def stop(self):
        for pid in self.functions():
            kill(pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def function_name(process):
    """By the environment that Lambda gives; empty when the process has ended meanwhile."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    named = [held for held in variables if held.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")]
    return named[0].split(b"=", 1)[1].decode() if named else ""


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Stack:
    """A deployed stack: its outputs, and its control plane."""

    def __init__(self, emulator, sam, name, **parameters):
        self.emulator = emulator
        self.name = name
        overrides = [f"{key}={value}" for key, value in parameters.items()]
        started = time.monotonic()
        done = subprocess.run(
            [sam, "deploy", "--template-file", str(ROOT / "template.yaml"), "--stack-name", name, "--resolve-s3",
             "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
             "--parameter-overrides", *overrides],
            env={**os.environ, **emulator.environment}, cwd=ROOT, capture_output=True, text=True,
        )
        if done.returncode != 0:
            raise SystemExit(f"sam deploy failed:\n{done.stdout}\n{done.stderr}")
        self.seconds = time.monotonic() - started
        held = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in held}

    def http(self, url, method="GET", body=b"", headers=None, sign=True):
        """A request to a function URL: sent to the emulator, named by its Host header, signed for it."""
        host = urllib.parse.urlsplit(url).netloc
        target = url.split(host, 1)[1] or "/"
        headers = dict(headers or {})
        if sign:
            request = AWSRequest(method=method, url=f"https://{host}{target}", data=body, headers=headers)
            SigV4Auth(Credentials("test", "test"), "lambda", REGION).add_auth(request)
            headers = dict(request.headers)
        headers["Host"] = host
        request = urllib.request.Request(self.emulator.url + target, data=body or None, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def act(self, action, **parameters):
        """An action of the management API; its Data."""
        query = urllib.parse.urlencode({"Action": action, "Version": "2022-01-19", **flatten(parameters)}, quote_via=urllib.parse.quote)
        status, text = self.http(f"{self.outputs['ManageUrl']}?{query}", method="POST")
        if status != 200:
            raise AssertionError(f"{action}: {status} {text}")
        return json.loads(text).get("Data")


def flatten(value, name=""):
    """Lists and maps as the RPC style has them: `EventTypes.1`, `MatchRules.1.1.Prefix`."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = ((str(index + 1), item) for index, item in enumerate(value))
    else:
        return {name: value}
    flat = {}
    for key, item in parts:
        flat.update(flatten(item, f"{name}.{key}" if name else key))
    return flat


def wait_for(look, seconds, what):
    """Looks again and again until there is something; gives it, and how long it took."""
    started = time.monotonic()
    last = None
    while time.monotonic() - started < seconds:
        try:
            found = look()
            if found:
                return found
        except Exception as error:  # noqa: BLE001 - whatever is not ready yet
            last = error
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain for {what}" + (f": {last}" if last else ""))


def only_printable(text):
    return re.sub(r"[^\x20-\x7e]", "?", text)
