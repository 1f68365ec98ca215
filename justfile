# Common tasks; `just` lists them.

default:
    @just --list

# The main job: train, run forwards and backwards, print the table
run *args:
    cargo run --release --example two_peak_ve -- {{args}}

# Tests and doctests
test:
    cargo test

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

# The book
book:
    mdbook build docs
