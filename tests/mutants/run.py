#!/usr/bin/env python3
"""The mutation run of shared/core: every mutant that `cargo mutants` lists, all in one build.

    cargo install cargo-mutants
    make mutants                 or: python3 tests/mutants/run.py [--folder NAME] [--again] [--jobs N]

`cargo mutants` builds and tests once for each mutant, which takes days here. This takes its list, and compiles all of it
at once: each mutant stands behind a switch (`src/main.rs` beside this file), and a run of the tests turns on one. A first
run notes which test asks for which mutant; only those tests are run for it, quick ones first, and the first that fails
kills it. A test that takes ten times its usual processor time counts as a kill too, as with cargo-mutants.

What no test asks for is missed. What does not compile, by itself or in this form, is left out and counts on neither side;
the page says how many these are.

`--again` judges only what the last run missed, and what is in files that changed since: a kill stays a kill as long as
tests are only added. Writes target/mutants/result.json, and tests/MUTANTS.md when all of the crate was judged.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "mutants"
SEEN = WORK / "seen"
STAGE = WORK / "stage"
COPY = WORK / "copy"
ENV = dict(
    os.environ,
    PROPTEST_RNG_SEED=os.environ.get("PROPTEST_RNG_SEED", "20201009"),
    PROPTEST_MAX_SHRINK_ITERS="0",
    PROPTEST_DISABLE_FAILURE_PERSISTENCE="1",
    RUST_BACKTRACE="0",
    # A tenth of the generated rule sets of `make test`: what tells a mutant from the original does so among these.
    CARILLON_RULE_SETS="1200",
    CARGO_INCREMENTAL="0",
    CARGO_TARGET_DIR=str(WORK / "build"),
)


def seen():
    """Takes the sources as they are now, as a workspace of core alone: nothing else has to be compiled."""
    shutil.rmtree(SEEN, ignore_errors=True)
    for path in ["shared/core", "tests/cases", "events"]:
        shutil.copytree(ROOT / path, SEEN / path)
    for path in ["Cargo.toml", "Cargo.lock", "clippy.toml"]:
        shutil.copy(ROOT / path, SEEN / path)
    manifest = (SEEN / "Cargo.toml").read_text()
    manifest = re.sub(r"members = \[.*?\]", 'members = ["shared/core"]', manifest, count=1, flags=re.S)
    manifest = manifest.replace('default-members = ["cli"]\n', "")
    manifest = re.sub(r"(?m)^carillon-(?!core)[\w-]+ = .*\n", "", manifest)
    manifest = re.sub(r"\[profile\.dev\.package\.(?!\"|carillon-core)[^\]]*\]\n(\w[^\n]*\n)+", "", manifest)
    manifest = manifest.replace('debug = "line-tables-only"', "debug = false")
    (SEEN / "Cargo.toml").write_text(manifest)
    # Without the benches and the crates that they alone want.
    crate = (SEEN / "shared/core/Cargo.toml").read_text()
    crate = re.sub(r"\[\[bench\]\].*", "", crate, flags=re.S)
    crate = crate.replace("[package]", "[package]\nautobenches = false\nautoexamples = false", 1)
    crate = re.sub(r"(?m)^(aho-corasick|divan|globset|regex) = .*\n", "", crate)
    (SEEN / "shared/core/Cargo.toml").write_text(crate)


def staged():
    """The sources without any mutant, to be rewritten."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(SEEN, STAGE)


def synced():
    """Carries the stage over to where it is built, touching only what differs, so that cargo rebuilds no more."""
    wanted = {path.relative_to(STAGE) for path in STAGE.rglob("*") if path.is_file()}
    for path in list(COPY.rglob("*")):
        name = path.relative_to(COPY)
        if path.is_file() and name not in wanted and name != pathlib.Path("Cargo.lock"):
            path.unlink()
    for name in wanted:
        content = (STAGE / name).read_bytes()
        if name == pathlib.Path("Cargo.lock") and (COPY / name).exists():
            continue
        if not (COPY / name).exists() or (COPY / name).read_bytes() != content:
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            (COPY / name).write_bytes(content)


def placed(left_out):
    """Rewrites the stage with all mutants but these."""
    (WORK / "numbers.json").write_text(json.dumps(list(left_out)))
    output = subprocess.run(
        ["cargo", "run", "--quiet", "--manifest-path", str(HERE / "Cargo.toml"), "--", str(WORK / "list.json"),
         str(STAGE), str(WORK / "numbers.json")],
        env=dict(ENV, CARGO_TARGET_DIR=str(WORK / "tool")), check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    return json.loads(output)


def blamed(messages, places, left_out):
    """The mutants that errors of the compiler speak of, each with its error."""
    fresh, unplaced = {}, []
    for message in messages:
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        error = message["message"]
        spans = list(error["spans"])
        for span in list(spans):
            while span.get("expansion"):
                span = span["expansion"]["span"]
                spans.append(span)
        code = (error.get("code") or {}).get("code", "")
        found = set()
        for span in sorted(spans, key=lambda span: not span["is_primary"]):
            for number, file, start, end, *kind in places:
                inside = start < span["byte_end"] and span["byte_start"] < end
                if file != span["file_name"] or not inside or number in left_out:
                    continue
                if kind and code != "E0004":
                    continue
                found.add(number)
            if found and span["is_primary"]:
                break
        for number in found:
            fresh[number] = f"{code} {error['message']}"[:160]
        if not found and spans:
            unplaced.append(error["rendered"])
    return fresh, unplaced


def cargo(*arguments):
    ran = subprocess.run(
        ["cargo", *arguments, "-p", "carillon-core", "--message-format=json"],
        cwd=COPY, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    return ran.returncode == 0, [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")], ran.stderr


def built():
    """Rewrites and compiles, leaving out what does not compile, until all does."""
    seen()
    listed = subprocess.run(
        ["cargo", "mutants", "--list", "--json", "-p", "carillon-core", "--config", str(HERE / "mutants.toml")],
        cwd=SEEN, env=ENV, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    mutants = json.loads(listed)
    (WORK / "list.json").write_text(listed)
    names = [mutant["name"] for mutant in mutants]
    # What did not compile last time will not now, unless its file changed: then it gets another chance.
    known = WORK / "left-out.json"
    left_out = {}
    if known.exists():
        earlier = json.loads(known.read_text())
        left_out = {n: earlier[name] for n, name in enumerate(names) if name in earlier}
    rounds = 0
    while True:
        rounds += 1
        staged()
        rewritten = placed(left_out)
        synced()
        compiles, messages, errors = cargo("check", "--lib")
        if compiles:
            break
        fresh, unplaced = blamed(messages, rewritten["places"], left_out)
        print(f"round {rounds}: {len(fresh)} mutants do not compile", flush=True)
        if not fresh:
            sys.exit("cannot tell which mutants these are:\n" + "\n".join(unplaced[:10]) + errors[-3000:])
        left_out.update(fresh)
        known.write_text(json.dumps({names[n]: why for n, why in left_out.items()}, indent=1))
    compiles, messages, errors = cargo("test", "--lib", "--tests", "--no-run")
    if not compiles:
        said = [m["message"]["rendered"] for m in messages if m.get("reason") == "compiler-message"]
        sys.exit("the tests do not compile:\n" + "\n".join(said[:10]) + errors[-3000:])
    binaries = [m["executable"] for m in messages if m.get("executable") and m.get("profile", {}).get("test")]
    done = set(rewritten["done"])
    for number in range(len(mutants)):
        if number not in done and number not in left_out:
            left_out[number] = "no place for a switch"
    return mutants, left_out, binaries


def tested(binary, names, seconds, extra):
    """Whether these tests pass within so much processor time, and 4 GiB."""
    limits = f'ulimit -t {int(seconds) + 1}; ulimit -v {4 << 20}; exec "$@"'
    try:
        ran = subprocess.run(
            ["sh", "-c", limits, "sh", binary, "--exact", "--test-threads=1", *names], cwd=COPY / "shared/core",
            env=dict(ENV, **extra), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 * seconds + 120,
        )
        return ran.returncode == 0
    except subprocess.TimeoutExpired:
        return False


def traced(binaries):
    """For each mutant, the tests that ask for it, each with the time it takes."""
    asked = {}
    for binary in binaries:
        tests = subprocess.run([binary, "--list", "--format=terse"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in tests.splitlines():
            name = line.removesuffix(": test")
            if name == line:
                continue
            trace = WORK / "trace"
            trace.unlink(missing_ok=True)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not tested(binary, [name], 600, {"MUTANT_TRACE": str(trace)}):
                sys.exit(f"{name} fails without a mutant")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            for number in trace.read_text().split() if trace.exists() else []:
                asked.setdefault(int(number), []).append((took, binary, name))
    return asked


def killer(number, tests):
    """The test that fails with this mutant."""
    groups = []
    for took, binary, name in sorted(tests):
        # Tests of a few milliseconds together, since starting a process takes as long as they do.
        if took < 0.05 and groups and groups[-1][1] == binary and groups[-1][0] < 0.3:
            groups[-1][0] += took
            groups[-1][2].append(name)
        else:
            groups.append([took, binary, [name]])
    for took, binary, names in groups:
        if not tested(binary, names, max(5, 10 * took), {"MUTANT": str(number)}):
            return names[0] if len(names) == 1 else f"one of {len(names)} that begin with {names[0]}"
    return None


def described(name):
    """A mutant's file and what was changed, without line and column: those move."""
    file, _, _, change = name.split(":", 3)
    return file.removeprefix("shared/core/src/"), change.strip()


def reason_of(name, reasons):
    """Why this one survives, as tests/mutants/reasons.json has it: the first entry whose file and pattern fit."""
    file, change = described(name)
    for entry in reasons:
        if file.startswith(entry["file"]) and re.search(entry["change"], change):
            return entry["kind"], entry["why"]
    return "not told apart", "no test tells it from the original yet"


def reported(result):
    """tests/MUTANTS.md."""
    reasons = json.loads((HERE / "reasons.json").read_text())
    killed, missed, left_out = result["killed"], result["missed"], result["left_out"]
    judged = len(killed) + len(missed)
    # What `cargo mutants` could not compile either: no such value, or a condition that binds a name.
    nowhere = [n for n, why in left_out.items() if re.match(r"E0277|E0599|E0308| expected|E0015 (?!.*`mutant`)", why)]
    alone = [n for n in left_out if n not in nowhere]
    everything = subprocess.run(
        ["cargo", "mutants", "--list", "-p", "carillon-core", "--no-config"],
        cwd=SEEN, env=ENV, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.splitlines()
    listed = judged + len(left_out)
    worst = 100 * len(killed) / max(1, judged + len(alone))
    lines = [(HERE / "head.md").read_text().rstrip(), ""]
    lines += [
        f"**{len(killed)} of {judged} mutants killed: {100 * len(killed) / max(1, judged):.1f} %.** {len(missed)} survive. "
        f"Of {len(everything)} that `cargo mutants` lists, {len(everything) - listed} are not asked for, {len(nowhere)} do not "
        f"compile (no default of that type, and the like), and {len(alone)} cannot stand behind a switch (constants, functions "
        f"that constants call, `impl Trait`): these count on neither side. Were all of the last missed, it would be {worst:.1f} %.",
        "",
        "| room | mutants | killed | survive | |",
        "|---|--:|--:|--:|--:|",
    ]
    rooms = {}
    for name in killed:
        rooms.setdefault(described(name)[0].rsplit("/", 1)[0], [0, 0])[0] += 1
    for name in missed:
        rooms.setdefault(described(name)[0].rsplit("/", 1)[0], [0, 0])[1] += 1
    for room, (dead, alive) in sorted(rooms.items()):
        lines.append(f"| {room} | {dead + alive} | {dead} | {alive} | {100 * dead / (dead + alive):.1f} % |")
    kinds = {}
    for name in missed:
        kind, why = reason_of(name, reasons)
        kinds.setdefault(kind, {}).setdefault((described(name)[0], why), []).append(name)
    for kind, groups in sorted(kinds.items(), key=lambda held: -sum(map(len, held[1].values()))):
        lines += ["", f"## {kind} ({sum(map(len, groups.values()))})", "", "| file | survivors | why |", "|---|---|---|"]
        for (file, why), names in sorted(groups.items()):
            places = {}
            for name in names:
                line = name.split(":")[1]
                places.setdefault(described(name)[1].replace("|", "\\|"), []).append(line)
            told = "; ".join(f"{change} (line {', '.join(lines_of)})" for change, lines_of in places.items())
            lines.append(f"| {file} | {told} | {why} |")
    (ROOT / "tests" / "MUTANTS.md").write_text("\n".join(lines) + "\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--folder", help="only mutants whose path has this in it")
    arguments.add_argument("--again", action="store_true", help="keep the kills of the last run, where the file is unchanged")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants judged at one time")
    arguments.add_argument("--report", action="store_true", help="write the page anew, with the reasons as they are now")
    chosen = arguments.parse_args()
    if chosen.report:
        return reported(json.loads((WORK / "result.json").read_text()))
    began = time.time()
    WORK.mkdir(parents=True, exist_ok=True)
    COPY.mkdir(exist_ok=True)
    mutants, left_out, binaries = built()
    print(f"{len(mutants)} mutants, {len(left_out)} left out; built after {time.time() - began:.0f} s", flush=True)
    asked = traced(binaries)
    print(f"tests traced after {time.time() - began:.0f} s", flush=True)

    path = WORK / "result.json"
    hashes = {m["file"]: hashlib.sha256((SEEN / m["file"]).read_bytes()).hexdigest() for m in mutants}
    result = {"files": hashes, "killed": {}, "missed": {}, "left_out": {mutants[n]["name"]: why for n, why in left_out.items()}}
    kept = {}
    if chosen.again and path.exists():
        last = json.loads(path.read_text())
        same = {file for file, found in last["files"].items() if hashes.get(file) == found}
        kept = {name: by for name, by in last["killed"].items() if name.split(":")[0] in same}
    lock = threading.Lock()

    def judged(number):
        name = mutants[number]["name"]
        by = kept.get(name) or killer(number, asked.get(number, []))
        with lock:
            if by:
                result["killed"][name] = by
            else:
                result["missed"][name] = {"number": number, "tests": len(asked.get(number, []))}
                print(f"missed ({len(asked.get(number, []))} tests ask for it): {number} {name}", flush=True)
            path.write_text(json.dumps(result, indent=1))

    numbers = [n for n, m in enumerate(mutants) if n not in left_out and (not chosen.folder or chosen.folder in m["file"])]
    # The index last: its tests take longest.
    numbers.sort(key=lambda n: ("ruleset/index" in mutants[n]["file"], n))
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        list(pool.map(judged, numbers))
    if not chosen.folder:
        reported(result)
    killed, missed = len(result["killed"]), len(result["missed"])
    print(f"{killed} of {killed + missed} killed: {100 * killed / max(1, killed + missed):.1f} %; {len(left_out)} left out; "
          f"{time.time() - began:.0f} s")


main()
