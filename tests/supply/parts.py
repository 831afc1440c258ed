#!/usr/bin/env python3
"""What Carillon is made of: holds every dependency to deny.toml, and writes the list of parts.

    python3 tests/supply/parts.py           licences, banned crates and sources, as deny.toml has them; exit 1 on a breach
    python3 tests/supply/parts.py --sbom    the same, and target/sbom/carillon.json (CycloneDX 1.5)

It needs nothing beyond Python and cargo, so every test run makes it; `cargo deny check` reads the same file and knows more,
the advisories above all.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def strings(text):
    return re.findall(r'"([^"]+)"', "\n".join(line.split("#")[0] for line in text.splitlines()))


def rules():
    """The parts of deny.toml that are held here. Read by hand: Python has a TOML reader from 3.11 on only."""
    text = (ROOT / "deny.toml").read_text()
    licences = strings(re.search(r"\[licenses\].*?allow = \[(.*?)\n\]", text, re.S).group(1))
    found = re.findall(r'crate = "([^"]+)",(?: wrappers = \[([^\]]*)\],)? reason = "([^"]+)"', text)
    banned = {crate: (strings(wrappers), reason) for crate, wrappers, reason in found}
    waived = re.findall(r'id = "(RUSTSEC-[\d-]+)"', text)
    return set(licences), banned, waived


def allowed(expression, licences):
    """Whether an SPDX expression can be met by these licences."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either(at):
        value, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            other, at = both(at + 1)
            value = value or other
        return value, at

    def both(at):
        value, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = one(at + 1)
            value = value and other
        return value, at

    def one(at):
        if tokens[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        name, at = tokens[at], at + 1
        if at + 1 < len(tokens) and tokens[at] == "WITH":
            name, at = f"{name} WITH {tokens[at + 1]}", at + 2
        return name in licences, at

    return either(0)[0]


def main():
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"], cwd=ROOT, check=True, stdout=subprocess.PIPE,
    ).stdout)
    licences, banned, waived = rules()
    ours = set(metadata["workspace_members"])
    parts = [package for package in metadata["packages"] if package["id"] not in ours]
    faults, used, versions = [], set(), {}
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    users = {}
    for node in metadata["resolve"]["nodes"]:
        for wanted in node["dependencies"]:
            users.setdefault(wanted, set()).add(names[node["id"]])
    for part in parts:
        name = f"{part['name']} {part['version']}"
        versions.setdefault(part["name"], []).append(part["version"])
        if not part["license"]:
            faults.append(f"{name} names no licence: read its licence file, and say in deny.toml what it is")
        elif not allowed(part["license"], licences):
            faults.append(f"{name} is under {part['license']}, which deny.toml does not allow: replace it, or allow it with a reason")
        else:
            used.add(part["license"])
        wrappers, reason = banned.get(part["name"], ([], None))
        others = users.get(part["id"], set()) - set(wrappers)
        if reason and (others or not wrappers):
            faults.append(f"{name}, wanted by {', '.join(sorted(others))}, is banned: {reason}")
        if part["source"] != REGISTRY:
            faults.append(f"{name} comes from {part['source']}, not from the registry")
    lock = (ROOT / "Cargo.lock").read_text()
    sums = {(name, version): text for name, version, text in
            re.findall(r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]+)"', lock)}
    for part in parts:
        if (part["name"], part["version"]) not in sums:
            faults.append(f"{part['name']} {part['version']} has no checksum in Cargo.lock")
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    twice = sum(len(found) > 1 for found in versions.values())
    print(f"{len(parts)} parts, {len(used)} licence expressions, {twice} crates in more than one version, "
          f"{len(waived)} advisory waived; {len(faults)} faults")
    if "--sbom" in sys.argv:
        write(parts, sums, lock)
    sys.exit(1 if faults else 0)


def write(parts, sums, lock):
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:cargo/{part['name']}@{part['version']}",
            "name": part["name"],
            "version": part["version"],
            "purl": f"pkg:cargo/{part['name']}@{part['version']}",
            "licenses": [{"expression": (part["license"] or "").replace("/", " OR ")}],
            "hashes": [{"alg": "SHA-256", "content": sums[(part["name"], part["version"])]}],
        }
        for part in sorted(parts, key=lambda part: (part["name"], part["version"]))
        if (part["name"], part["version"]) in sums
    ]
    # One lock file, one list, one number: no clock and no random in it.
    digest = hashlib.sha256(lock.encode()).hexdigest()
    serial = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    version = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "carillon", "name": "carillon", "version": version,
                                   "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
    }
    out = ROOT / "target/sbom/carillon.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(bom, indent=1) + "\n")
    print(f"wrote {out.relative_to(ROOT)}: {len(components)} components")


main()
