"""Every sample of events/<function> through the function's own binary, under the runtime interface emulator that comes with
the SAM CLI: `make invoke`. Exit 1 when an answer is not as it should be."""

import glob
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
AWS, FRONT, BACK = 4570, 9120, 9121


def environment():
    """What events/local.env says, over nothing else of this process but the path."""
    lines = (ROOT / "events/local.env").read_text().splitlines()
    return {"PATH": os.environ["PATH"], **dict(line.split("=", 1) for line in lines if line)}


def invoke(body):
    url = f"http://127.0.0.1:{FRONT}/2015-03-31/functions/function/invocations"
    for _ in range(100):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.URLError:
            time.sleep(0.1)
    sys.exit("the runtime interface emulator does not answer")


def wrong(function, answer):
    """Why this is no answer of a function that worked; none when it is."""
    if "errorMessage" in answer:
        return answer["errorMessage"]
    if function == "manage":
        return None if answer.get("statusCode") == 200 else f"status {answer.get('statusCode')}: {answer.get('body')}"
    return f"failed: {answer['batchItemFailures']}" if answer.get("batchItemFailures") != [] else None


def main():
    rie = sys.argv[1]
    aws = subprocess.Popen([ROOT / "target/debug/examples/local_aws", f"127.0.0.1:{AWS}", ROOT / "events/match/rules.json"],
                           stdout=subprocess.DEVNULL, env=environment())
    bad = total = 0
    try:
        for function in ("ingest", "match", "deliver", "manage"):
            emulator = subprocess.Popen(
                [rie, "--runtime-interface-emulator-address", f"127.0.0.1:{FRONT}", "--runtime-api-address", f"127.0.0.1:{BACK}",
                 ROOT / f"target/lambda/carillon-{function}/bootstrap"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**environment(), "AWS_LAMBDA_FUNCTION_NAME": function})
            try:
                files = [f for f in sorted(glob.glob(str(ROOT / f"events/{function}/*.json"))) if os.path.basename(f) != "rules.json"]
                for file in files:
                    why = wrong(function, invoke(pathlib.Path(file).read_bytes()))
                    total += 1
                    if why:
                        bad += 1
                        print(f"{os.path.relpath(file, ROOT)}: {why}", file=sys.stderr)
                print(f"{function}: {len(files)} samples")
            finally:
                emulator.terminate()
                emulator.wait()
    finally:
        aws.terminate()
        aws.wait()
    print(f"{total} invocations, {bad} not as they should be")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
