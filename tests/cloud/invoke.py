"""Every sample of events/<function> through the function's own binary: under the runtime interface emulator that comes with
the SAM CLI, and by `cargo lambda invoke` under `cargo lambda watch`. `make invoke`. Exit 1 when an answer is not as it should be."""

import argparse
import glob
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTIONS = ("ingest", "match", "deliver", "manage")
# Where events/local.env says that the double of AWS listens.
WRITTEN = "127.0.0.1:4570"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port, what):
    """Waits until somebody listens."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{what} does not listen")


class Process:
    """A process that ends with its block, by its own id."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = [str(argument) for argument in arguments], options

    def __enter__(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.running = subprocess.Popen(self.arguments, **{**quiet, **self.options})
        return self.running

    def __exit__(self, *_):
        self.running.terminate()
        try:
            self.running.wait(10)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()


def bootstrap(function):
    return ROOT / f"target/lambda/carillon-{function}/bootstrap"


class Rie:
    """The runtime interface emulator runs the function itself."""

    name = "runtime interface emulator"

    def __init__(self, program, function, environment):
        self.port = free_port()
        at = ("--runtime-interface-emulator-address", f"127.0.0.1:{self.port}", "--runtime-api-address", f"127.0.0.1:{free_port()}")
        self.process = Process(program, *at, bootstrap(function), env={**environment, "AWS_LAMBDA_FUNCTION_NAME": function})

    def invoke(self, file):
        listens(self.port, "the runtime interface emulator")
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=file.read_bytes()), timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.URLError as error:
            return {"errorMessage": f"no answer: {error}"}


class CargoLambda:
    """`cargo lambda watch --only-lambda-apis` serves the runtime API, the function is what `make functions` built."""

    name = "cargo lambda invoke"

    def __init__(self, program, function, environment):
        self.program, self.name_of_binary, self.port = program, f"carillon-{function}", free_port()
        self.own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.at = ("--invoke-address", "127.0.0.1", "--invoke-port", str(self.port))
        self.server = Process(program, "lambda", "watch", "--only-lambda-apis", *self.at, cwd=ROOT, env=self.own)
        named = {"AWS_LAMBDA_FUNCTION_NAME": self.name_of_binary, "AWS_LAMBDA_FUNCTION_VERSION": "1",
                 "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                 "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{self.port}/.rt/{self.name_of_binary}"}
        self.function = Process(bootstrap(function), env={**environment, **named})
        self.process = self

    def __enter__(self):
        self.server.__enter__()
        listens(self.port, "cargo lambda watch")
        self.function.__enter__()

    def __exit__(self, *what):
        self.function.__exit__(*what)
        self.server.__exit__(*what)

    def invoke(self, file):
        done = subprocess.run([self.program, "lambda", "invoke", *self.at, self.name_of_binary, "--data-file", str(file)],
                              cwd=ROOT, env=self.own, capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout) if done.returncode == 0 else {"errorMessage": done.stderr.strip()}


def wrong(function, answer):
    """Why this is no answer of a function that worked; none when it is."""
    if "errorMessage" in answer:
        return answer["errorMessage"]
    if function == "manage":
        return None if answer.get("statusCode") == 200 else f"status {answer.get('statusCode')}: {answer.get('body')}"
    return f"failed: {answer['batchItemFailures']}" if answer.get("batchItemFailures") != [] else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rie", help="the runtime interface emulator's program")
    arguments.add_argument("--cargo-lambda", help="cargo-lambda's program")
    chosen = arguments.parse_args()
    ways = [(kind, os.path.abspath(program)) for kind, program in ((Rie, chosen.rie), (CargoLambda, chosen.cargo_lambda)) if program]
    port = free_port()
    lines = (ROOT / "events/local.env").read_text().replace(WRITTEN, f"127.0.0.1:{port}").splitlines()
    environment = {"PATH": os.environ["PATH"], **dict(line.split("=", 1) for line in lines if line)}
    bad = total = 0
    with Process(ROOT / "target/debug/examples/local_aws", f"127.0.0.1:{port}", ROOT / "events/match/rules.json", env=environment):
        listens(port, "the double of AWS")
        for kind, program in ways:
            for function in FUNCTIONS:
                way = kind(program, function, environment)
                files = [pathlib.Path(file) for file in sorted(glob.glob(str(ROOT / f"events/{function}/*.json")))]
                files = [file for file in files if file.name != "rules.json"]
                with way.process:
                    for file in files:
                        why = wrong(function, way.invoke(file))
                        total += 1
                        if why:
                            bad += 1
                            print(f"{kind.name}, {file.relative_to(ROOT)}: {why}", file=sys.stderr)
                print(f"{kind.name}, {function}: {len(files)} samples", flush=True)
    print(f"{total} invocations, {bad} not as they should be")
    sys.exit(1 if bad or not total else 0)


if __name__ == "__main__":
    main()
