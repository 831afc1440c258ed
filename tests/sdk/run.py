"""Runs the vendor's unpatched clients against `carillon up`, once with keys and once without.

    python run.py [SCRIPT...]

CARILLON names the command to test; by default it is the debug build of this workspace. The Python that runs this needs what requirements.txt names. Ends with 0 only if every script did.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "..", "target"))
CARILLON = os.environ.get("CARILLON", os.path.join(TARGET, "debug", "carillon"))
# metrics.py last: it looks for what the others did.
SCRIPTS = ["mns_open.py", "mns_queue.py", "metrics.py"]
KEY = ("SDKKEY", "sdk-secret")


def run(scripts, keys):
    """Starts a service on a free port, runs the scripts, and stops it; gives how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as data:
        command = [CARILLON, "up", "--data", data, "--listen", "127.0.0.1:0"]
        if keys:
            command += ["--access-key", ":".join(KEY)]
        service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            line = service.stdout.readline().strip()
            if "listening on " not in line:
                print(f"the service did not start: {line!r}")
                return len(scripts)
            endpoint = line.split("listening on ", 1)[1]
            identity, secret = KEY if keys else ("anybody", "unsigned")
            for script in scripts:
                path = os.path.join(HERE, script)
                try:
                    done = subprocess.run([sys.executable, path, endpoint, identity, secret], timeout=1200, check=False)
                    code = done.returncode
                except subprocess.TimeoutExpired:
                    code = "no answer within 1200 s"
                if code != 0:
                    failed += 1
                    print(f"{script} {'with' if keys else 'without'} keys: {code}")
        finally:
            service.terminate()
            try:
                service.wait(60)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()
    return failed


def main():
    """Both ways; gives the exit status."""
    scripts = sys.argv[1:] or SCRIPTS
    return 1 if sum(run(scripts, keys) for keys in (True, False)) else 0


sys.exit(main())
