#!/bin/sh
# Instructions an event, by number of rules: stable on a busy machine. Needs valgrind.
set -eu
cd "$(dirname "$0")/../../.."
cargo build --quiet --release --locked -p carillon-core --example instructions
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\)/\1/p'
}
echo "| rules | instructions an event |"
echo "|---|---|"
for rules in 10 1000 10000 100000; do
    few=$(count $rules 1000)
    many=$(count $rules 21000)
    echo "| $rules | $(((many - few) / 20000)) |"
done
