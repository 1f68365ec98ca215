#!/usr/bin/env bash
# The five crates as strangers get them. Packs each, builds it from its package alone, then runs the example of each README in
# a crate outside the workspace that depends on that crate and what the example names, and on nothing else of ours.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
crates=(sde-core cumulants lattice-phi4 score-nets lattice-diffusion) # in the order in which they are published
target=${CARGO_TARGET_DIR:-$PWD/target}

# Unoptimised: that it builds is the question. Cargo puts the packages of this list in the place of those on crates.io.
CARGO_PROFILE_DEV_OPT_LEVEL=0 cargo package "${crates[@]/#/-p}" "$@"

outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
for crate in "${crates[@]}"; do
    case $crate in
        cumulants) needs=(rand@0.9 rand_pcg@0.9 rand_distr@0.5) ;;
        score-nets) needs=(sde-core@$version rand_pcg@0.9) ;;
        lattice-diffusion) needs=(sde-core@$version) ;;
        *) needs=() ;;
    esac
    mkdir -p "$outside/$crate/src"
    tar xzf "$target/package/$crate-$version.crate" -C "$outside"
    sed -n '/^```rust$/,/^```$/p' "$outside/$crate-$version/README.md" | sed '/^```/d' > "$outside/$crate/src/main.rs"
    {
        printf '[package]\nname = "alone"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n'
        for need in "$crate@$version" "${needs[@]}"; do printf '%s = "%s"\n' "${need%@*}" "${need#*@}"; done
        printf '\n[patch.crates-io]\n'
        for other in "${crates[@]}"; do
            [ -d "$outside/$other-$version" ] && printf '%s = { path = "../%s-%s" }\n' "$other" "$other" "$version"
        done
        true
    } > "$outside/$crate/Cargo.toml"
    cp Cargo.lock "$outside/$crate/" # the same versions as here, as far as they are needed
    printf '\n== %s alone\n' "$crate"
    (cd "$outside/$crate" && CARGO_TARGET_DIR=$target/alone cargo run --release --quiet)
done
