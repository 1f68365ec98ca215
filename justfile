# Common tasks; `just` lists them.

default:
    @just --list

# The main job: train, run forwards and backwards, print the table
run *args:
    cargo run --release --example two_peak_ve -- {{args}}

# Tests and doctests
test:
    cargo test

# The statistical tests with other seeds
seeds count='1' first='1' *args:
    scripts/fresh-seeds.sh {{count}} {{first}} {{args}}

# What CI runs
ci:
    .ci/run

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings

# The programs for many processes; installs MPI
mpi:
    scripts/install-mpi.sh
    cargo test --release -p diffusion-mpi

# Criterion benches of the hot kernels
bench *args:
    cargo bench -p benches {{args}}

# The same kernels in NumPy and PyTorch, in one run
peers only='sde,mlp':
    python3 benches/peers/compare.py --only {{only}}

# The book, into docs/book; `scripts/install-book.sh` installs what it takes
book:
    mdbook build docs

# Documentation of the crates, with equations rendered as docs.rs does (loads KaTeX from a CDN)
doc:
    RUSTDOCFLAGS="--html-in-header $PWD/crates/sde-core/katex-header.html" cargo doc --no-deps

# Each crate as it would be published, built from its package alone
package:
    scripts/package.sh

# Licences and advisories, features one by one, changes of the interface (cargo-deny, cargo-hack, cargo-semver-checks)
supply base='HEAD~1':
    cargo deny check
    cargo hack check --each-feature --exclude-features cuda,metal -p sde-core -p cumulants -p lattice-phi4 -p score-nets -p lattice-diffusion
    cargo semver-checks --baseline-rev {{base}} -p sde-core -p cumulants -p lattice-phi4 -p lattice-diffusion
    cargo semver-checks --baseline-rev {{base}} -p score-nets --default-features

# The oldest Rust that each crate declares; rustup installs it
msrv:
    cargo +1.89.0 check --locked -p sde-core -p cumulants -p lattice-phi4 -p lattice-diffusion --features lattice-phi4/files
    cargo +1.94.0 check --locked -p score-nets -p examples
