#!/usr/bin/env bash
# Runs the statistical tests with other seeds: fresh-seeds.sh N [FIRST] [options of cargo nextest, such as -p sde-core].
# Those are the tests of files, or of libraries with files, that take their seeds from the crate `testing`. Property tests run
# along: their cases are fresh in every run. Prints the tests that failed, with their seed, and fails if one did.
set -euo pipefail
cd "$(dirname "$0")/.."

count=$1
first=${2:-1}
shift $(($# < 2 ? $# : 2))

filter=$(git grep -lE 'testing::|proptest!' -- ':(glob)crates/*/src/**' ':(glob)crates/*/tests/*.rs' ':!crates/testing' | sed -E \
    -e 's|crates/([^/]*)/tests/(.*)\.rs|binary_id(\1::\2)|' \
    -e 's|crates/([^/]*)/src/.*|binary_id(\1)|' \
    -e 's|\(diffusion|(lattice-diffusion|' | sort -u | paste -sd'|')

# Tests run side by side, on one thread each: that takes less time in all.
export RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-1}
cargo nextest run --release --no-run -E "$filter" "$@"
failed=0
for ((seed = first; seed < first + count; seed++)); do
    log=$(FRESH_SEEDS=$seed cargo nextest run --release --no-fail-fast --status-level none --final-status-level fail \
        --success-output final -E "$filter" "$@" 2>&1) || failed=1
    p=$(grep -oP 'smallest p = \K.*' <<<"$log" | sort -g | head -1)
    printf 'seed %s:%s; smallest p = %s\n' "$seed" "$(grep -oP 'Summary \[\K[^]]*\].*' <<<"$log")" "$p"
    grep -E '^ +(FAIL|SIG)' <<<"$log" | sort -u || true
done
exit $failed
