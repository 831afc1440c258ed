#!/bin/sh
# Instructions of decoding one S3 notification, and of parsing it with serde_json: stable on a busy machine. Needs
# valgrind, which knows no SHA instructions: there the identity costs about 10 000 instructions that a processor with
# them does not spend.
set -eu
cd "$(dirname "$0")/../../.."
cargo build --quiet --release --locked -p carillon-ingest --example decode_instructions
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/decode_instructions "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\)/\1/p'
}
for what in parse decode; do
    few=$(count $what 1000)
    many=$(count $what 4000)
    echo "$what: $(((many - few) / 3000)) instructions a notification"
done
