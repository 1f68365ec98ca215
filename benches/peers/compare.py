#!/usr/bin/env python3
"""The same work here and in other packages, in one run on the same threads.

    python3 benches/peers/compare.py [--only sde,mlp] [--rounds 3] [--threads 2] [--json FILE]

Makes a virtual environment beside this file from requirements.txt (once), builds our side with cargo, and
takes turns: every round times ours and each peer one after the other. Each peer is timed in every setting
of peers.py (float32 and float64, whole arrays and blocks that fit the cache, eager and compiled) and counts
with its fastest one. Times are nanoseconds per unit of work: per trajectory and step, for training per
step of 512 samples, for statistics per sample (of a resample), for HMC per site and leapfrog step of whole
trajectories, for Wolff's clusters per flipped site, for the perturbative score, convolutions and the lattice net
per field of 32 x 32.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ENVIRONMENT = HERE / ".venv"
# The kernels of each group, and who else has them.
GROUPS = {
    "sde": (["sde_forward_step", "sde_backward_exact_score_step"], ["numpy", "torch"]),
    "mlp": (["mlp_sampling_step", "mlp_training_step"], ["numpy", "torch"]),
    "moments": (["moments_to_order_8"], ["numpy", "scipy"]),
    "bootstrap": (["bootstrap_of_8_cumulants"], ["numpy"]),
    "gamma": (["gamma_method"], ["pyerrors"]),
    "conv": (
        [f"conv_{shape}_{way}" for shape in ("32_32", "64_128", "128_256", "256_64") for way in ("forward", "backward")],
        ["torch"],
    ),
    "unet": (["published_forward", "published_training_step"], ["torch"]),
    "perturbative": (["perturbative_32"], ["numpy", "scipy", "torch"]),
    "hmc": (["hmc_32", "hmc_32_paper", "hmc_128", "hmc_1024", "wolff_32"], ["numpy", "numba"]),
}
# A BLAS call is one block of ours: threads are ours to spread. glibc, and on our side mimalloc, keep large blocks
# instead of giving them back to the kernel after every operation.
SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MIMALLOC_PURGE_DELAY": "-1",
}


def environment():
    """The Python of the virtual environment, with the pinned peers in it."""
    python = ENVIRONMENT / "bin" / "python"
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "requirements.sha256"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted):
        print("installing the peers, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return python


def build():
    """Our side, built for release; its path."""
    command = ["cargo", "build", "--release", "-p", "benches", "--bin", "peer_kernels", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines())
    paths = [m["executable"] for m in messages if m.get("target", {}).get("name") == "peer_kernels"]
    return next(path for path in paths if path)


class Peers:
    """A Python process that times one kernel of one peer whenever it is asked to."""

    def __init__(self, python, program, threads):
        command = [python, HERE / "peers.py", str(threads), program]
        pipe = subprocess.PIPE
        own = {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
        environment = {**os.environ, **SETTINGS, **own}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def time(self, peer, kernel):
        """Nanoseconds per unit by setting; empty where the peer has no sensible version."""
        print(peer, kernel, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"peers.py ended while timing {kernel} in {peer}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups of kernels, of {', '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=3, help="turns that everyone takes")
    parser.add_argument("--threads", type=int, default=2, help="threads of everyone")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    arguments = parser.parse_args()
    groups = arguments.only.split(",")
    if unknown := [group for group in groups if group not in GROUPS]:
        parser.error(f"--only: no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads: at least 1")
    threads = arguments.threads
    kernels = {kernel: GROUPS[group][1] for group in groups for kernel in GROUPS[group][0]}

    python, program = environment(), build()
    peers = Peers(python, program, threads)
    figures = {kernel: {"ours": [], **{peer: {} for peer in names}} for kernel, names in kernels.items()}
    for turn in range(arguments.rounds):
        for kernel, names in kernels.items():
            print(f"\rround {turn + 1} of {arguments.rounds}: {kernel:30}", end="", file=sys.stderr, flush=True)
            command = [program, str(threads), kernel]
            own = {**os.environ, **SETTINGS}
            ours = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=own).stdout
            figures[kernel]["ours"].append(json.loads(ours)[kernel])
            for peer in names:
                for setting, time in peers.time(peer, kernel).items():
                    figures[kernel][peer].setdefault(setting, []).append(time)
    peers.close()
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)

    results = {}
    print(f"ns per unit, {threads} threads: minimum (median) of {arguments.rounds} rounds")
    for kernel, figure in figures.items():
        print(f"\n{kernel}")
        rows = [("ours", figure["ours"])]
        names = kernels[kernel]
        rows += [(f"{peer} {name}", times) for peer in names for name, times in figure[peer].items()]
        for name, times in rows:
            print(f"  {name:34} {min(times):12.2f} ({statistics.median(times):.2f})")
        ours = min(figure["ours"])
        best = {peer: min((min(times) for times in figure[peer].values()), default=None) for peer in names}
        ratio = min(time for time in best.values() if time is not None) / ours
        print(f"  {'best peer / ours':34} {ratio:12.2f}")
        results[kernel] = {
            "ours_ns": ours,
            **{f"{peer}_ns": time for peer, time in best.items()},
            "ratio_to_best": ratio,
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
