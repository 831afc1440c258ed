#!/bin/sh
# Builds the command of this commit twice, from two clones in folders of different names, with the paths taken out, and
# compares the bytes. Ends with 1 when they differ.
set -eu
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
registry=${CARGO_HOME:-$HOME/.cargo}
# The allocator's C has the time of its compilation in it, unless it is told one (reproducible-builds.org).
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for folder in one another-folder; do
    git clone --quiet . "$place/$folder"
    (
        cd "$place/$folder"
        # A cached object of the first build would prove nothing about the second.
        RUSTC_WRAPPER= CARGO_INCREMENTAL=0 \
            RUSTFLAGS="--remap-path-prefix=$place/$folder=/carillon --remap-path-prefix=$registry=/cargo" \
            CFLAGS="-ffile-prefix-map=$place/$folder=/carillon -ffile-prefix-map=$registry=/cargo" \
            cargo build --quiet --locked --release --bin carillon
        sha256sum target/release/carillon
    )
done
cmp "$place/one/target/release/carillon" "$place/another-folder/target/release/carillon" && echo "the same bytes"
