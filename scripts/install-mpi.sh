#!/usr/bin/env bash
# Installs what the crate diffusion-mpi is built and run with on Debian and Ubuntu: Open MPI (library, compiler wrapper,
# mpirun) and libclang, by which the bindings are made. Does nothing where all of it is there; needs root otherwise.
set -euo pipefail

packages=(libopenmpi-dev openmpi-bin libclang-dev)
missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    echo "install-mpi: ${packages[*]}: all are installed"
    exit 0
fi
echo "install-mpi: installing ${missing[*]}"
sudo=$([[ $EUID -eq 0 ]] || echo sudo)
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "${missing[@]}"
mpirun --version | head -n 1
