#!/usr/bin/env bash
# Installs what `just book` needs, at the versions that CI uses, built from source: some minutes, once.
set -euo pipefail

install() { # name, version, further options
    if [ "$("$1" --version 2>/dev/null | grep -o '[0-9][0-9.]*' | head -1)" != "$2" ]; then
        cargo install "$1" --version "$2" --locked "${@:3}"
    fi
}

install mdbook 0.5.4 --no-default-features --features search
install mdbook-katex 0.10.0
