#!/usr/bin/env python3
"""Mistakes made in the source of the handlers, one at a time, and which property of the simulation notices each.

    python3 tests/simulation/mistakes/mistakes.py [PART OF A NAME]...     all by default; prints the table of PLANTED.md

`mistakes.json` says of each: the mistake in words, the file, the text as it is and as the mistake has it. Each is made in a clone of
this commit below target/mistakes, compiled, and judged by the thousand seeds of every test run: the first eight, and where they
see nothing, sixty, then all. What is planted by `plant.rs` lies around the handlers; this is about the handlers themselves.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
CLONE = ROOT / "target/mistakes/carillon"


def git(*arguments):
    subprocess.run(["git", *arguments], cwd=CLONE, check=True)


def fresh_clone():
    if not CLONE.exists():
        CLONE.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(CLONE)], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    git("fetch", "--quiet", "origin")
    git("checkout", "--quiet", "--force", commit)


def simulate(seeds):
    """What the simulation says: nothing, or the property that is hurt and the first seed that shows it."""
    # Fixed seeds, so that the table is the same each time; and this checkout's folder, so that all but our crates is built.
    command = ["cargo", "test", "--locked", "--quiet", "-p", "carillon-tests", "--test", "simulation", "a_thousand", "--", "--nocapture"]
    environment = dict(os.environ, CARILLON_SIM_RUNS=str(seeds), CARGO_TARGET_DIR=str(ROOT / "target"))
    ran = subprocess.Popen(command, cwd=CLONE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = ran.communicate(timeout=1_800)
    except subprocess.TimeoutExpired:
        # cargo's child, the test, with it.
        os.killpg(ran.pid, signal.SIGKILL)
        ran.communicate()
        return "no end within half an hour", ""
    if ran.returncode == 0:
        return None
    if "test result: FAILED" not in said:
        return "the compiler, or a test that did not end: " + " ".join(re.findall(r"^error.*", said, re.M)[:2]), ""
    seed = re.search(r"seeds fail: \[(\d+)", said)
    hurt = re.search(r"property \d+ \([^)]*\)", said)
    return hurt.group(0) if hurt else "a panic", seed.group(1) if seed else "?"


def main():
    mistakes = json.loads((HERE / "mistakes.json").read_text())
    wanted = sys.argv[1:]
    fresh_clone()
    if simulate(60) is not None:
        sys.exit("the simulation fails without any mistake")
    missed = []
    print("| mistake in a handler | file | caught by | at seed |\n|---|---|---|---|", flush=True)
    for mistake in mistakes:
        if wanted and not any(part in mistake["mistake"] for part in wanted):
            continue
        path = CLONE / mistake["file"]
        text = path.read_text()
        if text.count(mistake["is"]) != 1:
            sys.exit(f"{mistake['file']} has `{mistake['is']}` {text.count(mistake['is'])} times, not once")
        path.write_text(text.replace(mistake["is"], mistake["becomes"]))
        found = simulate(8) or simulate(60) or simulate(1_000)
        git("checkout", "--quiet", "--", ".")
        if found is None:
            missed.append(mistake["mistake"])
        caught, seed = found or ("nothing", "")
        print(f"| {mistake['mistake']} | `{mistake['file']}` | {caught} | {seed} |", flush=True)
    print(f"\n{len(missed)} not noticed: {missed}")
    sys.exit(1 if missed else 0)


main()
