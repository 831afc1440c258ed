"""The cloud form, end to end: the real template on an emulator, real binaries, real receivers.

What the emulator cannot show (who may do what by IAM, fairness between groups, RecursiveLoop) is checked on the template
by check_template.py instead.
"""

import argparse
import os
import subprocess
import sys
import time

from receiver import Receiver
from stack import ROOT, Emulator, Stack
from world import STEPS, World

# Each adds its steps, in this order.
import pipeline  # isort: skip # noqa: F401
import over_a_stack  # isort: skip # noqa: F401
import kills  # isort: skip # noqa: F401
import switches  # isort: skip # noqa: F401


def contract(emulator):
    done = subprocess.run(
        [os.environ.get("CARGO", "cargo"), "test", "--locked", "--quiet", "-p", "carillon-tests", "--features", "aws", "--test", "contract_aws"],
        env={**os.environ, "CARILLON_CONTRACT_ENDPOINT": emulator.url}, cwd=ROOT)
    assert done.returncode == 0, "the contract of the storage ports"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--emulator", required=True, help="the emulator's program")
    arguments.add_argument("--sam", required=True, help="the sam program")
    arguments.add_argument("--carillon", required=True, help="the command, built with the feature `aws`")
    arguments.add_argument("--sdk", default="", help="a python that has Alibaba's SDKs")
    arguments.add_argument("--only", default="", help="steps whose name contains one of these, with commas between (the first three always run)")
    arguments.add_argument("--no-contract", action="store_true")
    chosen = arguments.parse_args()
    emulator = Emulator(os.path.abspath(chosen.emulator))
    failed = []
    try:
        if not chosen.no_contract:
            contract(emulator)
        stack = Stack(emulator, os.path.abspath(chosen.sam), "carillon", AllowEndpoints="127.0.0.0/8", EventBridgeSource="true", KeepEventsDays="1")
        print(f"deployed in {stack.seconds:.0f} s", flush=True)
        world = World(emulator, stack, Receiver(), os.path.abspath(chosen.carillon))
        world.sam = os.path.abspath(chosen.sam)
        world.sdk = os.path.abspath(chosen.sdk) if chosen.sdk else ""
        for number, function in enumerate(STEPS):
            if number >= 3 and not any(part in function.__name__ for part in chosen.only.split(",")):
                continue
            started = time.monotonic()
            name = function.__name__.replace("_", " ")
            try:
                function(world)
                print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Exception as error:  # noqa: BLE001 - every step is told of
                failed.append(name)
                print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
                world.receiver.status = 200
                if number < 3:
                    break
    finally:
        emulator.stop()
        if failed:
            print(f"the emulator's log: {emulator.log.name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
