//! Benchmarks of the hot kernels; the programs are in `src/bin`.
