#!/bin/sh
# Runs every fuzz target, or those named, for FUZZ_SECONDS each (60 by default; the hour is FUZZ_SECONDS=3600), FUZZ_JOBS at
# a time (as many as there are cores), from the kept corpus. Needs stable Rust and a C++ compiler, since libFuzzer is C++; no
# nightly compiler and no cargo-fuzz: the instrumentation is a pass of LLVM that every rustc has. Prints a table of
# executions and coverage, and ends with 1 if anything was found; what was found lies in target/fuzz/found/TARGET. One
# input is run again by `target/fuzz/run/TARGET FILE`.
set -eu
cd "$(dirname "$0")"
export FUZZ_SECONDS="${FUZZ_SECONDS:-60}"
jobs=${FUZZ_JOBS:-$(getconf _NPROCESSORS_ONLN)}
host=$(rustc -vV | sed -n 's/^host: //p')
out=$(cd ../.. && pwd)/target/fuzz
export out
mkdir -p "$out/run"
all=$(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)

# The versions of the workspace, and libFuzzer.
cp ../../Cargo.lock Cargo.lock
# The flags stand for the code under test alone: with --target, build scripts and macros are compiled without.
CARGO_TARGET_DIR="$out/build" RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=4 ${FUZZ_RUSTFLAGS:-}" \
    cargo build --release --quiet --target "$host"
for target in $all; do
    # A copy: what runs for an hour must not change under a build.
    cp -f "$out/build/$host/release/$target" "$out/run/$target.new" && mv "$out/run/$target.new" "$out/run/$target"
done

# Any input that a target reads beside its own: samples of every source.
cat >"$out/one.sh" <<'END'
target=$1
mkdir -p "$out/corpus/$target" "$out/found/$target"
samples=
case $target in
decoders) samples=../../events/ingest ;;
rule_file) samples=../../events/match ;;
esac
# New inputs go to the first folder; the kept ones are read.
"$out/run/$target" -max_total_time="$FUZZ_SECONDS" -max_len=8192 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$out/found/$target/" -dict=words.dict "$out/corpus/$target" "corpus/$target" $samples \
    >"$out/$target.log" 2>&1 || echo failed >>"$out/$target.log"
# Hours by the clock say little where targets share cores: the last line is what the processor spent, as user and system.
times >"$out/$target.times"
END
targets=${*:-$all}
for target in $targets; do echo "$target"; done | xargs -P "$jobs" -n 1 sh "$out/one.sh"

found=0
printf '| target | seconds | processor minutes | executions | edges reached | inputs kept | crashes |\n|---|---|---|---|---|---|---|\n' >"$out/report.md"
for target in $targets; do
    log="$out/$target.log"
    crashes=$(find "$out/found/$target" -type f -newer "$out/one.sh" | wc -l)
    if [ "$(tail -n 1 "$log")" = failed ]; then
        found=1
        tail -n 60 "$log" >&2
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    seconds=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
    # "61m2.5s 0m3.4s"
    processor=$(tail -n 1 "$out/$target.times" | tr ms "  " | awk '{ print int($1 + $3 + ($2 + $4) / 60 + 0.5) }')
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    kept=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    printf '| `%s` | %s | %s | %s | %s | %s | %s |\n' "$target" "${seconds:-?}" "${processor:-?}" "${executed:-?}" "${edges:-?}" "${kept:-?}" "$crashes" \
        >>"$out/report.md"
done
cat "$out/report.md"
exit $found
