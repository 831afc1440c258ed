#!/bin/sh
# Pushes signed notifications to loopback and has them verified in Python and JavaScript. Sets up what it needs, in
# target/signatures. Needs python3, and npm for the JavaScript half.
set -eu
cd "$(dirname "$0")/../.."
work=target/signatures
mkdir -p "$work"
if ! cmp -s tests/signatures/requirements.txt "$work/requirements.txt"; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/signatures/requirements.txt
    cp tests/signatures/requirements.txt "$work/requirements.txt"
fi
cargo run --locked --quiet -p carillon-deliver --example signed_pushes >"$work/pushes.json"
"$work/venv/bin/python" tests/signatures/verify.py "$work/pushes.json"
if ! command -v npm >/dev/null; then
    echo "javascript: skipped, there is no npm here"
    exit 0
fi
if ! cmp -s tests/signatures/package.json "$work/package.json"; then
    cp tests/signatures/package.json "$work/package.json"
    (cd "$work" && npm install --silent --no-audit --no-fund) || { rm "$work/package.json"; exit 1; }
fi
cp tests/signatures/verify.mjs "$work/verify.mjs"
node "$work/verify.mjs" "$work/pushes.json"
