#!/usr/bin/env python3
"""`make bench`: measures, and writes one report.

    python3 tests/bench/report.py [PART]...       the parts to measure; all by default: match pipeline push load
                                                  instructions demo cost cold simulation crash
    python3 tests/bench/report.py --check         fails when the README's table is not the figures that are kept
    python3 tests/bench/report.py --render        writes the report and the README's table from the figures that are kept

The figures are kept in tests/bench/figures.json, each with its command, the machine, the commit and the day. From them come
tests/bench/REPORT.md, with charts, and the table of the README between its two markers. `--check`, in every test run, fails when
the report or the README show other figures than those.
"""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "tests/bench/figures.json"
REPORT = ROOT / "tests/bench/REPORT.md"
BEGIN = "<!-- figures: written by `make bench` from tests/bench/figures.json -->\n"
END = "<!-- end of figures -->\n"


def said(*command, **environment):
    """What a command prints."""
    print("  " + " ".join(command), file=sys.stderr, flush=True)
    ran = subprocess.run(command, cwd=ROOT, env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout[-3000:]}")
    return ran.stdout


def carillon(*arguments):
    said("cargo", "build", "--locked", "--release", "--quiet", "--bin", "carillon")
    return said("target/release/carillon", *arguments)


def number(value):
    """A figure as a person reads it: three digits that count."""
    value = float(value)
    if value >= 1_000:
        rounded = round(value, 2 - len(str(int(value))) + 1)
        return f"{int(rounded):,}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value, floor):
    return f"{value / floor:.2f}"


def row(name, what, figure, beside, command, of=None):
    return {"name": name, "what": what, "figure": figure, "beside": beside, "ratio": of, "command": command}


def several(values):
    return ", ".join(values)


def match():
    rows = json.loads(carillon("bench", "match", "--max", "1000000", "--json"))["figures"]
    count = several(f"{r['rules']:,}".replace(",", " ") for r in rows)
    big = rows[-1]
    command = "carillon bench match --max 1000000"
    chart = {
        "title": "Which rules cover an event: nanoseconds, by number of rules",
        "x": [f"{r['rules']:,}".replace(",", " ") for r in rows],
        "y": [round(r["matchNs"]) for r in rows],
    }
    return [
        dict(
            row("match", f"which rules cover an event: {count} rules", several(number(r["matchNs"]) for r in rows) + " ns",
                "asking each rule in turn: " + several(number(r["naiveNs"]) for r in rows)
                + " ns; goals 100, 250, 400, 800, 1 500 ns", command, ratio(big["naiveNs"], big["matchNs"])),
            chart=chart,
        ),
        row("match-json", "matched from the event's JSON, at the same", several(number(r["matchFromJsonNs"]) for r in rows) + " ns",
            f"reading the JSON alone: {number(rows[0]['parseFloorNs'])} ns", command,
            ratio(big["matchFromJsonNs"], big["parseFloorNs"])),
        row("index", f"building the index, at {count} rules",
            several(number(r["loadUsPerRule"]) for r in rows) + f" us a rule; {number(big['indexBytesPerRule'])} bytes a rule",
            "goals 1 us, 150 bytes", command, ratio(big["loadUsPerRule"], 1)),
        row("conflict", f"does a new rule conflict, at {number(big['rules'])} rules: rules like the others, most of which do; "
            "rules that do not, with many near neighbours",
            f"{number(big['conflictMeanUs'])} us, at worst {number(big['conflictWorstUs'])} us; "
            f"{number(big['nearMissMeanUs'])} us, at worst {number(big['nearMissWorstUs'])} us",
            "goals 5 us, 50 us", command, ratio(big["nearMissWorstUs"], 50)),
    ]


def pipeline():
    got = json.loads(carillon("bench", "pipeline", "--json"))
    command = "carillon bench pipeline"
    rules = number(got["rules"])
    return [
        row("ingest-match", f"S3 record in, deliveries packed: ingest and match, {rules} rules, one core",
            f"{number(got['ingestAndMatchPerSecond'])} events a second",
            f"parsing the same JSON: {number(got['jsonParsePerSecond'])}; goal 150 000", command,
            ratio(got["ingestAndMatchPerSecond"], got["jsonParsePerSecond"])),
        row("kept", "accepted, durable, and in the endpoint's queue, in one process without HTTP; the same with nothing kept for replay",
            f"{number(got['deliveredPerSecond'])} events a second; {number(got['deliveredPerSecondUnkept'])}", "", command,
            ratio(got["deliveredPerSecond"], got["deliveredPerSecondUnkept"])),
    ]


def push():
    got = json.loads(carillon("bench", "push", "--json"))
    rate = lambda name: got.get(name, {}).get("per_second", got.get(name, {}).get("perSecond"))
    command = "carillon bench push"
    return [
        row("push", "HTTP pushes to a receiver in the same process", f"{number(rate('unsigned'))} a second unsigned",
            f"the same bytes without an HTTP client: {number(rate('floor'))}", command, ratio(rate("unsigned"), rate("floor"))),
        row("push-signed", "signed pushes, RSA-2048 and both webhook signatures", f"{number(rate('signed'))} a second",
            f"those signatures alone: {number(rate('signatures'))}; goal 70 % of that", command, ratio(rate("signed"), rate("signatures"))),
    ]


def load():
    flags = {"full": ["--rate", "20000", "--events", "600000", "--consumers", "12"], "half": ["--rate", "10000", "--events", "150000"]}
    full, half = (json.loads(carillon("bench", "load", *flags[name], "--json")) for name in ("full", "half"))
    samples = full["samples"]
    chart = {
        "title": "Resident memory of the service under full load: MB, by seconds",
        "x": [f"{s['seconds']:.0f}" for s in samples],
        "y": [round(s["resident"] / 1e6) for s in samples],
    }
    command = lambda name: " ".join(["carillon bench load", *flags[name]])
    late = lambda got: f"p50 {number(got['arrival']['p50'])} ms, p99 {number(got['arrival']['p99'])} ms"
    return [
        dict(
            row("load", f"`carillon up` from outside, {number(full['rules'])} rules, {full['recordsABody']} records a body, driver on the same "
                "two cores: accepted over HTTP, durable, then received and deleted from the endpoint's queue",
                f"{number(full['acceptedPerSecond'])} and {number(full['receivedPerSecond'])} events a second; "
                f"{full['missing']} missing, {full['duplicates']} repeats of {number(full['accepted'])}; {late(full)}",
                "goal 20 000", command("full"), ratio(full["receivedPerSecond"], 20_000)),
            chart=chart,
        ),
        row("load-latency", "from sending to receipt at half that load", late(half), "goal p99 250 ms", command("half"),
            ratio(half["arrival"]["p99"], 250)),
    ]


def instructions():
    if not shutil.which("valgrind"):
        print("  instructions: left out, there is no valgrind", file=sys.stderr)
        return []
    table = re.findall(r"\| (\d+) \| (\d+) \|", said("sh", "shared/core/benches/instructions.sh"))
    return [
        row("instructions", "instructions an event, at " + several(f"{int(rules):,}".replace(",", " ") for rules, _ in table) + " rules",
            several(number(n) if int(n) < 1000 else f"{int(n):,}".replace(",", " ") for _, n in table), "",
            "make bench-instructions", f"{int(table[-1][1]) / int(table[0][1]):.2f}")
    ]


def demo():
    text = said("cargo", "run", "--quiet", "--locked", "--bin", "carillon", "--", "demo")
    p50, p90 = re.search(r"p50 ([\d.]+) ms, p90 ([\d.]+) ms", text).groups()
    return [
        row("demo", "one event from `POST /events` to a client that receives and deletes it, idle service, debug build",
            f"p50 {p50} ms, p90 {p90} ms", "goal 20 ms", "make run", ratio(float(p50), 20))
    ]


def cost():
    text = said("cargo", "test", "--locked", "--quiet", "-p", "carillon-tests", "--features", "aws", "--test", "cost", "--", "--nocapture")
    total = float(re.search(r"\| all \| *\| ([\d.]+) \|", text).group(1))
    return [
        row("cost", "cost of a million notifications on AWS, by counted requests and list prices, with assumed durations",
            f"{total:.2f} USD", "goal 0.60", "cargo test -p carillon-tests --features aws --test cost -- --nocapture", ratio(total, 0.60))
    ]


def cold():
    text = said("make", "--no-print-directory", "cold-start")
    lines = re.findall(r"^\S*?(\w+)(?:/bootstrap)? +([\d.]+) ms +[\d.]+ ms +([\d.]+)x +([\d.]+) MB +([\d.]+) MB$", text, re.M)
    (_, floor, *_), functions = lines[0], lines[1:]
    ready = float(re.search(r"from JSON to ready: ([\d.]+) ms", text).group(1))
    worst = max(float(times) for _, _, times, _, _ in functions)
    names = several(name for name, *_ in functions)
    return [
        row("cold-start", f"cold start, exec to first poll of the runtime API: {names}",
            several(number(ms) for _, ms, *_ in functions) + " ms; "
            + several(f"{float(memory):.1f}" for *_, memory, _ in functions) + " MB resident; binaries of "
            + several(f"{float(size):.1f}" for *_, size in functions) + " MB",
            f"an empty function in the same run: {number(floor)} ms; goals 2 times that, 12 MB, 8 MB", "make cold-start",
            f"{worst:.2f}"),
        row("cold-rules", "10 000 rules ready to match, from the items that the table gave", f"{number(ready)} ms", "goal 100 ms",
            "make cold-start", ratio(ready, 100)),
    ]


def simulation():
    text = said("cargo", "test", "--locked", "--quiet", "-p", "carillon-tests", "--test", "simulation", "a_thousand", "--", "--nocapture")
    events, owed, bound = re.search(r"(\d+) events, (\d+) notifications owed, 0 lost \(.* at most ([\d.e-]+)", text).groups()
    copies, excused = re.search(r"pushes accepted, (\d+) of them again; the faults struck would excuse (\d+)", text).groups()
    plain = lambda text: f"{int(text):,}".replace(",", " ")
    return [
        row("simulation", f"simulated: 1 000 seeds, {plain(events)} events, {plain(owed)} notifications owed, faults of every kind",
            f"0 lost (so below {bound} with 95 % confidence, for these faults); {plain(copies)} copies of at most {plain(excused)} that the faults excuse",
            "", "cargo test -p carillon-tests --test simulation a_thousand -- --nocapture", ratio(int(copies), int(excused)))
    ]


def crash():
    text = said("cargo", "test", "--locked", "--quiet", "-p", "carillon", "--test", "crash", "--", "--nocapture", CARILLON_KILLS="100")
    kills, accepted, repeats, excused = re.search(
        r"(\d+) kills .*?: (\d+) of \d+ events accepted .* 0 lost; (\d+) repeats of at most (\d+)", text).groups()
    plain = lambda text: f"{int(text):,}".replace(",", " ")
    return [
        row("crash", f"`carillon up` killed {kills} times under load, seen from its public doors",
            f"{plain(accepted)} accepted, 0 lost, {plain(repeats)} repeats of at most {plain(excused)} that the kills excuse", "",
            f"CARILLON_KILLS={kills} cargo test -p carillon --test crash -- --nocapture", ratio(int(repeats), max(1, int(excused))))
    ]


PARTS = [match, instructions, pipeline, load, push, demo, cost, cold, simulation, crash]


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()) if os.path.exists("/proc/cpuinfo") else None
    rust = subprocess.run(["rustc", "-V"], stdout=subprocess.PIPE, text=True).stdout.split()[1]
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    # A busy machine is part of a figure.
    said_busy = f", with {busy:.0f} other programs for each core" if busy > 1.5 else ""
    return f"{os.cpu_count()} cores, {cpu.group(1) if cpu else os.uname().machine}, Rust {rust}{said_busy}"


def table(rows):
    lines = ["| what | figure | floor or goal | command |", "|---|---|---|---|"]
    lines += [f"| {r['what']} | {r['figure']} | {r['beside']} | `{r['command']}` |" for r in rows]
    return "\n".join(lines) + "\n"


def chart(of):
    most = max(of["y"]) * 1.1 or 1
    every = max(1, len(of["x"]) // 12)
    picked = list(zip(of["x"], of["y"]))[::every]
    x = ", ".join(f'"{x}"' for x, _ in picked)
    y = ", ".join(str(y) for _, y in picked)
    return f'```mermaid\nxychart-beta\n  title "{of["title"]}"\n  x-axis [{x}]\n  y-axis 0 --> {most:.0f}\n  bar [{y}]\n```\n'


def report(rows):
    text = "# Figures\n\nWritten by `make bench`. A ratio is the figure over its floor or goal; it travels between machines better.\n\n"
    text += "| what | figure | floor or goal | ratio | command | commit | day | machine |\n|---|---|---|---|---|---|---|---|\n"
    for r in rows:
        text += (f"| {r['what']} | {r['figure']} | {r['beside']} | {r['ratio'] or ''} | `{r['command']}` | {r['commit']} | {r['day']} "
                 f"| {r['machine']} |\n")
    for r in rows:
        if r.get("chart"):
            text += "\n" + chart(r["chart"])
    return text


def render(rows):
    REPORT.write_text(report(rows))
    readme = ROOT / "README.md"
    whole = readme.read_text()
    if BEGIN in whole:
        head, rest = whole.split(BEGIN)
        readme.write_text(head + BEGIN + table(rows) + END + rest.split(END)[1])
    print(f"wrote {REPORT.relative_to(ROOT)}, and the table of README.md")


def check(rows):
    """Whether the report and the README show the figures that are kept, and each of them says where it comes from."""
    faults = [f"{r.get('name')}: {field} is missing" for r in rows for field in ["what", "figure", "command", "commit", "day", "machine"]
              if not r.get(field)]
    whole = (ROOT / "README.md").read_text()
    shown = whole.split(BEGIN)[-1].split(END)[0] if whole.count(BEGIN) == 1 and END in whole else ""
    if shown != table(rows):
        faults.append("README.md shows other figures than tests/bench/figures.json: run `python3 tests/bench/report.py --render`")
    if not REPORT.exists() or REPORT.read_text() != report(rows):
        faults.append("tests/bench/REPORT.md shows other figures than tests/bench/figures.json: run `python3 tests/bench/report.py --render`")
    if len(rows) < 10:
        faults.append("tests/bench/figures.json has lost figures")
    print("\n".join(faults) or f"the README shows the {len(rows)} figures that were measured")
    sys.exit(1 if faults else 0)


def main():
    rows = json.loads(KEPT.read_text()) if KEPT.exists() else []
    wanted = sys.argv[1:]
    if wanted == ["--check"]:
        check(rows)
    parts = [] if wanted == ["--render"] else [p for p in PARTS if not wanted or p.__name__ in wanted]
    unknown = [name for name in wanted if name != "--render" and name not in [p.__name__ for p in PARTS]]
    if unknown:
        sys.exit(f"there is no part {unknown[0]}: " + ", ".join(p.__name__ for p in PARTS))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    for part in parts:
        print(part.__name__, file=sys.stderr, flush=True)
        taken = {"commit": commit or "?", "day": datetime.date.today().isoformat(), "machine": machine()}
        for fresh in part():
            fresh.update(taken)
            at = [place for place, held in enumerate(rows) if held["name"] == fresh["name"]]
            if at:
                rows[at[0]] = fresh
            else:
                rows.append(fresh)
            # Each part is kept as it ends: a run that is cut short has not been for nothing.
            KEPT.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    render(rows)


main()
