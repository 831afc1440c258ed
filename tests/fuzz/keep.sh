#!/bin/sh
# Takes what the fuzzer has learned into the kept corpus: a few inputs that reach all that was reached, none of more
# than 2 KiB, at most 32 KiB and a hundred inputs for a target. Run after `make fuzz`, not beside it.
set -eu
cd "$(dirname "$0")"
out=$(cd ../.. && pwd)/target/fuzz
for target in ${*:-$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)}; do
    fresh=$(mktemp -d)
    "$out/run/$target" -set_cover_merge=1 -max_len=2048 "$fresh" "corpus/$target" "$out/corpus/$target" 2>/dev/null
    # Seeds are written by hand and stay.
    find "corpus/$target" -type f ! -name 'seed-*' ! -name 'found-*' -delete
    # At most a hundred, of all sizes alike: a corpus is kept to begin with, not to end with.
    count=$(find "$fresh" -type f | wc -l)
    size=0
    for name in $(ls -Sr "$fresh" | awk -v step=$((count / 100 + 1)) 'NR % step == 0'); do
        size=$((size + $(wc -c <"$fresh/$name")))
        [ $size -le 32768 ] || break
        mv "$fresh/$name" "corpus/$target/"
    done
    rm -r "$fresh"
    echo "$target: $(find "corpus/$target" -type f | wc -l) inputs, $(cat "corpus/$target"/* | wc -c) bytes"
done
