"""The peers' side of compare.py: reads lines `PEER KERNEL`, answers with nanoseconds by setting as JSON.

Every kernel does what ours does: the two-peak model (mu = 1, sigma = 1/4) under g = 10^t with 100 uniform steps,
and the paper's net 1-64-64-1 with 128 sines and cosines of the time, added to both hidden layers. Statistics are
those of a million exponential variates, autocorrelated where that matters. Lattices are square, with the action of
arXiv:2410.21212 at hopping 0.27 and lambda 0.022.
"""

import json
import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pyerrors
import scipy.fft
import scipy.signal
import scipy.stats
import torch

THREADS = int(sys.argv[1])
TRAJECTORIES = 1_000_000
STEPS = 100
# A full run takes seconds and every step costs the same, so fewer are timed.
TIMED = 10
ROWS = 100_000
NET_STEPS = 5
BATCH = 512
TRAINING_STEPS = 50
SAMPLES = 1_000_000
# A thousand resamples take half a minute and all cost the same.
RESAMPLES = 20
REPEATS = 3
AT_LEAST = 0.3  # seconds
POOL = ThreadPoolExecutor(THREADS)


def best(units, work):
    """Nanoseconds per unit, the best of repeats after one that does not count, as many as our side takes."""
    work()
    times = []
    begin = time.perf_counter()
    while len(times) < REPEATS or time.perf_counter() - begin < AT_LEAST:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e9 / units


def forward_amplitudes():
    """sqrt(Xi(t'|t)) of every step."""
    growth = 2 * math.log(10)
    times = np.linspace(0, 1, STEPS + 1)
    return [math.sqrt((math.exp(growth * b) - math.exp(growth * a)) / growth) for a, b in zip(times, times[1:])]


def backward_steps():
    """(steepness, gain, amplitude) of every step: x += gain (tanh(steepness x) - x) + amplitude z."""
    growth = 2 * math.log(10)
    steps = []
    for t in np.linspace(1, 0, STEPS + 1)[:-1]:
        variance = 1 / 16 + (math.exp(growth * t) - 1) / growth
        square = math.exp(growth * t) / STEPS
        steps.append((1 / variance, square / variance, math.sqrt(square)))
    return steps


FORWARD = forward_amplitudes()[:TIMED]
BACKWARD = backward_steps()[:TIMED]


def over_blocks(rows, size, work):
    """Calls `work(thread, start, end)` for every block, the blocks dealt out to the threads."""

    def deal(thread):
        for start in range(thread * size, rows, THREADS * size):
            work(thread, start, min(start + size, rows))

    list(POOL.map(deal, range(THREADS)))


# NumPy: blocks that fit the second-level cache, one generator per thread, every operation in place.


def numpy_sde(backward):
    results = {}
    for dtype in (np.float32, np.float64):
        for kind in (np.random.SFC64, np.random.PCG64):
            for size in (8192, 32768):
                generators = [np.random.Generator(kind(seed)) for seed in range(THREADS)]
                x = np.full(TRAJECTORIES, 0.5, dtype)
                scratch = np.empty((THREADS, 2, size), dtype)

                def work(thread, start, end):
                    generator, part = generators[thread], x[start:end]
                    z, w = scratch[thread, :, : end - start]
                    if backward:
                        for steepness, gain, amplitude in BACKWARD:
                            np.multiply(part, dtype(steepness), out=w)
                            np.tanh(w, out=w)
                            w -= part
                            w *= dtype(gain)
                            generator.standard_normal(dtype=dtype, out=z)
                            z *= dtype(amplitude)
                            part += w
                            part += z
                    else:
                        for amplitude in FORWARD:
                            generator.standard_normal(dtype=dtype, out=z)
                            z *= dtype(amplitude)
                            part += z

                name = f"{dtype.__name__} {kind.__name__} blocks of {size}"
                results[name] = best(TRAJECTORIES * TIMED, lambda: over_blocks(TRAJECTORIES, size, work))
    return results


def embedding(xp, t):
    frequencies = xp.exp(xp.arange(64) * (math.log(10000) / 64))
    return frequencies * t


def numpy_sampling():
    results = {}
    generator = np.random.default_rng(1)
    weights = lambda *shape: (generator.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float32)
    w1, b1, w2, b2, w3 = weights(64, 1)[:, 0], weights(64), np.ascontiguousarray(weights(64, 64).T), weights(64), weights(64)
    e1, e2 = weights(64, 128), weights(64, 128)
    slope = np.float32(0.01)
    for size in (512, 2048):
        generators = [np.random.Generator(np.random.SFC64(seed)) for seed in range(THREADS)]
        x = np.full(ROWS, 0.5, np.float32)
        scratch = np.empty((THREADS, 3, size, 64), np.float32)

        def run():
            for _, _, amplitude in BACKWARD[:NET_STEPS]:
                phase = embedding(np, 0.5)
                e = np.concatenate([np.sin(phase), np.cos(phase)]).astype(np.float32)
                c1, c2 = e1 @ e + b1, e2 @ e + b2

                def work(thread, start, end):
                    part = x[start:end]
                    h, y, s = scratch[thread, :, : end - start]
                    np.multiply(part[:, None], w1, out=h)
                    h += c1
                    np.multiply(h, slope, out=s)
                    np.maximum(h, s, out=h)
                    np.matmul(h, w2, out=y)
                    y += c2
                    np.multiply(y, slope, out=s)
                    np.maximum(y, s, out=y)
                    score = y @ w3
                    score *= np.float32(amplitude * amplitude)
                    part += score
                    z = generators[thread].standard_normal(end - start, dtype=np.float32)
                    z *= np.float32(amplitude)
                    part += z

                over_blocks(ROWS, size, work)

        results[f"float32 blocks of {size}"] = best(ROWS * NET_STEPS, run)
    return results


# PyTorch: inference mode, in place; whole arrays with its own threads, and blocks on ours.


def torch_sde(backward):
    results = {}
    steps = BACKWARD if backward else [(0.0, 0.0, amplitude) for amplitude in FORWARD]

    def advance(x, w, z, generator):
        for steepness, gain, amplitude in steps:
            z.normal_(generator=generator)
            if backward:
                torch.mul(x, steepness, out=w)
                w.tanh_()
                w.sub_(x)
                x.add_(w, alpha=gain)
            x.add_(z, alpha=amplitude)

    for dtype in (torch.float32, torch.float64):
        kind = str(dtype).removeprefix("torch.")
        with torch.inference_mode():
            x = torch.full((TRAJECTORIES,), 0.5, dtype=dtype)
            w, z = torch.empty_like(x), torch.empty_like(x)
            torch.set_num_threads(THREADS)
            generator = torch.Generator()
            results[f"{kind} whole"] = best(TRAJECTORIES * TIMED, lambda: advance(x, w, z, generator))
            generators = [torch.Generator().manual_seed(seed) for seed in range(THREADS)]
            for size in (8192, 32768):

                def work(thread, start, end):
                    torch.set_num_threads(1)
                    with torch.inference_mode():
                        advance(x[start:end], w[start:end], z[start:end], generators[thread])

                time_taken = best(TRAJECTORIES * TIMED, lambda: over_blocks(TRAJECTORIES, size, work))
                results[f"{kind} blocks of {size}"] = time_taken
            torch.set_num_threads(THREADS)
            results |= compiled_sde(kind, x, backward, steps)
    return results


COMPILED = {}


def compiled(name, function):
    """`torch.compile`d once; absent where that needs a compiler which this machine lacks."""
    if name not in COMPILED:
        COMPILED[name] = torch.compile(function, dynamic=False)
    return COMPILED[name]


def attempt(results, name, units, work):
    try:
        results[name] = best(units, work)
    except Exception as error:  # no C++ compiler, or an operation that cannot be compiled
        print(f"\nno {name}: {str(error).splitlines()[0]}", file=sys.stderr)


def compiled_sde(kind, x, backward, steps):
    def step(x, steepness, gain, amplitude):
        moved = x + gain * (torch.tanh(steepness * x) - x) if backward else x
        return x.copy_(moved + amplitude * torch.randn_like(x))

    step = compiled(f"sde {backward} {kind}", step)
    # Numbers as tensors: one compilation serves every step.
    numbers = [[torch.tensor(v, dtype=x.dtype) for v in values] for values in steps]
    results = {}

    def run():
        for values in numbers:
            step(x, *values)

    attempt(results, f"{kind} compiled", TRAJECTORIES * TIMED, run)
    return results


class Net(torch.nn.Module):
    """The paper's net."""

    def __init__(self):
        super().__init__()
        self.input, self.hidden, self.output = torch.nn.Linear(1, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 1)
        self.embed = torch.nn.ModuleList([torch.nn.Linear(128, 64) for _ in range(2)])
        self.activation = torch.nn.LeakyReLU(0.01)
        self.register_buffer("frequencies", torch.exp(torch.arange(64) * (math.log(10000) / 64)))

    def forward(self, x, t):
        phase = t * self.frequencies
        e = torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)
        h = self.activation(self.input(x) + self.embed[0](e))
        return self.output(self.activation(self.hidden(h) + self.embed[1](e)))


def torch_sampling():
    results = {}
    torch.manual_seed(1)
    net = Net()
    times = torch.linspace(1, 0.9, NET_STEPS)[:, None, None]

    def step(x, t, square):
        x.add_(net(x, t), alpha=square)
        x.add_(torch.randn_like(x), alpha=math.sqrt(square))

    with torch.inference_mode():
        x = torch.full((ROWS, 1), 0.5)
        torch.set_num_threads(THREADS)

        def whole():
            for t in times:
                step(x, t, 0.01)

        results["float32 whole"] = best(ROWS * NET_STEPS, whole)
        for size in (2048, 8192):

            def work(_, start, end):
                torch.set_num_threads(1)
                with torch.inference_mode():
                    for t in times:
                        step(x[start:end], t, 0.01)

            results[f"float32 blocks of {size}"] = best(ROWS * NET_STEPS, lambda: over_blocks(ROWS, size, work))
        torch.set_num_threads(THREADS)
        fused = compiled("sampling", lambda x, t: x.copy_(x + 0.01 * net(x, t) + 0.1 * torch.randn_like(x)))

        def run():
            for t in times:
                fused(x, t)

        attempt(results, "float32 compiled", ROWS * NET_STEPS, run)
    return results


def torch_training():
    results = {}
    torch.manual_seed(1)
    x, t = 4 * torch.randn(BATCH, 1), torch.rand(BATCH, 1)
    target, weight = torch.randn(BATCH, 1), torch.rand(BATCH, 1)
    for threads in (1, THREADS):
        torch.set_num_threads(threads)
        for how in ("eager", "compiled"):
            net = Net()
            optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
            loss_of = lambda x, t, target, weight: (weight * (net(x, t) - target) ** 2).mean()
            if how == "compiled":
                # A new net each round, so a new compilation: the caches of the first one make it quick.
                loss_of = torch.compile(loss_of, dynamic=False)

            def run():
                for _ in range(TRAINING_STEPS):
                    optimiser.zero_grad(set_to_none=True)
                    loss_of(x, t, target, weight).backward()
                    optimiser.step()

            attempt(results, f"float32 {how}, {threads} threads", TRAINING_STEPS, run)
    torch.set_num_threads(THREADS)
    return results


# Lattice nets: periodic convolutions and the paper's net at full resolution, 64 fields of 32 x 32.

FIELDS, EXTENT = 64, 32
FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
SHAPES = [(32, 32), (64, 128), (128, 256), (256, 64)]


def periodic(inputs, outputs, bias=False):
    return torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="circular", bias=bias)


def torch_conv(inputs, outputs, backward):
    results = {}
    torch.set_num_threads(THREADS)
    for name, layout in FORMATS.items():
        for how in ("eager", "compiled"):
            module = periodic(inputs, outputs).to(memory_format=layout)
            x = torch.randn(FIELDS, inputs, EXTENT, EXTENT).to(memory_format=layout)
            # A new module each round, so a new compilation.
            call = module if how == "eager" else torch.compile(module, dynamic=False)
            if backward:
                x.requires_grad_()

                def run():
                    torch.autograd.grad(y, [x, module.weight], gradient, retain_graph=True)

                try:
                    y = call(x)
                    gradient = torch.randn_like(y)
                except Exception as error:  # no C++ compiler
                    print(f"\nno compiled convolution: {str(error).splitlines()[0]}", file=sys.stderr)
                    continue
            else:

                def run():
                    with torch.inference_mode():
                        call(x)

            attempt(results, f"float32 {how} {name}", FIELDS, run)
    return results


class LatticeNet(torch.nn.Module):
    """The paper's lattice net: every level at full resolution, joined across the way down and up."""

    def __init__(self, channels=(32, 64, 128, 256), features=256):
        super().__init__()
        a, b, c, d = channels
        shapes = [(1, a, 4), (a, b, 32), (b, c, 32), (c, d, 32), (d, c, 32), (2 * c, b, 32), (2 * b, a, 32)]
        self.register_buffer("frequencies", 30 * torch.randn(features // 2))
        self.embed = torch.nn.Linear(features, features)
        self.convolutions = torch.nn.ModuleList([periodic(i, o) for i, o, _ in shapes])
        self.times = torch.nn.ModuleList([torch.nn.Linear(features, o) for _, o, _ in shapes])
        self.norms = torch.nn.ModuleList([torch.nn.GroupNorm(g, o) for _, o, g in shapes])
        self.out = periodic(2 * a, 1, bias=True)

    def forward(self, x, t):
        phase = 2 * math.pi * t[:, None] * self.frequencies
        silu = torch.nn.functional.silu
        e = silu(self.embed(torch.cat([phase.sin(), phase.cos()], dim=-1)))

        def layer(k, h):
            return silu(self.norms[k](self.convolutions[k](h) + self.times[k](e)[:, :, None, None]))

        kept = []
        for k in range(4):
            x = layer(k, x)
            kept.append(x)
        x = layer(4, kept.pop())
        for k in (5, 6):
            x = layer(k, torch.cat([x, kept.pop()], dim=1))
        return self.out(torch.cat([x, kept.pop()], dim=1))


def torch_published(training):
    results = {}
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    for name, layout in FORMATS.items():
        for how in ("eager", "compiled"):
            net = LatticeNet().to(memory_format=layout)
            x = torch.randn(FIELDS, 1, EXTENT, EXTENT).to(memory_format=layout)
            z, t = torch.randn_like(x), torch.rand(FIELDS)
            optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
            loss_of = lambda x, t, z: ((net(x, t) + z) ** 2).mean()
            call = loss_of if training else net
            if how == "compiled":
                call = torch.compile(call, dynamic=False)

            def run():
                if training:
                    optimiser.zero_grad(set_to_none=True)
                    call(x, t, z).backward()
                    optimiser.step()
                else:
                    with torch.inference_mode():
                        call(x, t)

            attempt(results, f"float32 {how} {name}", FIELDS, run)
    return results


# Statistics.


def skewed():
    return np.random.default_rng(1).exponential(size=SAMPLES)


def power_sums(x, centre, first, second):
    """`sum (x - centre)^k`, k = 1..8, with three products; the rest are dot products."""
    y, square = first[: len(x)], second[: len(x)]
    np.subtract(x, centre, out=y)
    np.multiply(y, y, out=square)
    s1, s2, s3, s4 = y.sum(), y @ y, y @ square, square @ square
    np.multiply(y, square, out=y)
    s5, s6 = y @ square, y @ y
    np.multiply(square, square, out=square)
    return np.array([s1, s2, s3, s4, s5, s6, y @ square, square @ square])


def cumulants(moments):
    kappa = []
    for n in range(1, len(moments) + 1):
        terms = (math.comb(n - 1, m - 1) * kappa[m - 1] * moments[n - m - 1] for m in range(1, n))
        kappa.append(moments[n - 1] - sum(terms))
    return kappa


def numpy_moments():
    x = skewed()
    results = {}
    for size in (2048, 8192, 32768):
        scratch = np.empty((THREADS, 2, size))
        totals = np.zeros((THREADS, 8))

        def run():
            totals[:] = 0
            centre = x.mean()

            def work(thread, start, end):
                totals[thread] += power_sums(x[start:end], centre, *scratch[thread])

            over_blocks(SAMPLES, size, work)
            cumulants(totals.sum(0) / SAMPLES)

        results[f"blocks of {size}"] = best(SAMPLES, run)
    return results


def scipy_moments():
    x = skewed()
    return {"stats.moment": best(SAMPLES, lambda: cumulants(scipy.stats.moment(x, order=list(range(1, 9)))))}


def numpy_bootstrap():
    """One resample per thread at a time, gathered block by block; or counted, and counts times powers."""
    x = skewed()
    x -= x.mean()
    results = {}
    for kind in (np.random.SFC64, np.random.PCG64DXSM):
        for dtype in (np.int64, np.int32):
            for size in (8192, 32768):
                generators = [np.random.Generator(kind(seed)) for seed in range(THREADS)]
                scratch = np.empty((THREADS, 3, size))

                def resample(task):
                    thread = task % THREADS
                    sums = np.zeros(8)
                    drawn, first, second = scratch[thread]
                    for start in range(0, SAMPLES, size):
                        count = min(size, SAMPLES - start)
                        index = generators[thread].integers(0, SAMPLES, count, dtype=dtype)
                        np.take(x, index, out=drawn[:count], mode="clip")
                        sums += power_sums(drawn[:count], 0.0, first, second)
                    return cumulants(sums / SAMPLES)

                def run():
                    deal = lambda thread: [resample(task) for task in range(thread, RESAMPLES, THREADS)]
                    np.std([kappa for part in POOL.map(deal, range(THREADS)) for kappa in part], axis=0)

                name = f"{kind.__name__} {dtype.__name__} gathered by {size}"
                results[name] = best(SAMPLES * RESAMPLES, run)
    powers = x[None, :] ** np.arange(1, 9)[:, None]
    generators = [np.random.Generator(np.random.SFC64(seed)) for seed in range(THREADS)]

    def counted(task):
        index = generators[task % THREADS].integers(0, SAMPLES, SAMPLES, dtype=np.int64)
        return cumulants(powers @ np.bincount(index, minlength=SAMPLES) / SAMPLES)

    def run():
        deal = lambda thread: [counted(task) for task in range(thread, RESAMPLES, THREADS)]
        np.std([kappa for part in POOL.map(deal, range(THREADS)) for kappa in part], axis=0)

    results["SFC64 counted"] = best(SAMPLES * RESAMPLES, run)
    return results


def pyerrors_gamma():
    """`tau_int = 10`, the window by the same rule."""
    a = 19 / 21
    chain = scipy.signal.lfilter([1], [1, -a], skewed())
    observable = pyerrors.Obs([chain], ["chain"])
    return {"fft": best(SAMPLES, lambda: observable.gamma_method(S=1.5))}


# Lattices: trajectories of unit length in leapfrog steps, with the draw of momenta, energies and the decision.

HOPPING, COUPLING = 0.27, 0.022
# Extent, chains, trajectories that are timed, and their steps. A hundred steps are those of the paper.
TRAJECTORIES = {
    "hmc_32": (32, 64, 20, 10),
    "hmc_32_paper": (32, 64, 2, 100),
    "hmc_128": (128, 16, 4, 10),
    "hmc_1024": (1024, 16, 1, 10),
}


def numpy_hmc(extent, chains, trajectories, steps):
    """Blocks of chains with a rim around every lattice, so that neighbours are slices; all operations in place."""
    results = {}
    for size in sorted({1, 4, 16}):
        shape = (size, extent, extent)
        generators = [np.random.Generator(np.random.SFC64(seed)) for seed in range(THREADS)]
        fields = np.zeros((chains, extent + 2, extent + 2))
        fields[:, 1:-1, 1:-1] = generators[0].normal(size=(chains, extent, extent))
        scratch = np.empty((THREADS, 3, *shape))
        kept = np.empty((THREADS, size, extent + 2, extent + 2))

        def force(x, f, g):
            x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1] = x[:, -2], x[:, 1], x[:, :, -2], x[:, :, 1]
            inner = x[:, 1:-1, 1:-1]
            np.add(x[:, :-2, 1:-1], x[:, 2:, 1:-1], out=f)
            f += x[:, 1:-1, :-2]
            f += x[:, 1:-1, 2:]
            f *= 2 * HOPPING
            np.multiply(inner, inner, out=g)
            g *= -4 * COUPLING
            g -= 2 * (1 - 2 * COUPLING)
            g *= inner
            f += g

        def energy(x, p, f, g):
            force(x, f, g)
            inner = x[:, 1:-1, 1:-1]
            np.multiply(inner, inner, out=g)
            potential = -0.5 * np.einsum("cij,cij->c", inner, f) - COUPLING * np.einsum("cij,cij->c", g, g)
            return 0.5 * np.einsum("cij,cij->c", p, p) + potential

        def work(thread, start, end):
            generator, x = generators[thread], fields[start:end]
            p, f, g = scratch[thread, :, : end - start]
            inner, old = x[:, 1:-1, 1:-1], kept[thread, : end - start]
            for _ in range(trajectories):
                old[...] = x
                generator.standard_normal(out=p)
                before = energy(x, p, f, g)
                force(x, f, g)
                f *= 0.5 / steps
                p += f
                for step in range(steps):
                    np.multiply(p, 1 / steps, out=g)
                    inner += g
                    force(x, f, g)
                    f *= (1 if step + 1 < steps else 0.5) / steps
                    p += f
                reject = generator.random(end - start) >= np.exp(before - energy(x, p, f, g))
                x[reject] = old[reject]

        units = chains * extent * extent * steps * trajectories
        results[f"{size} chains together"] = best(units, lambda: over_blocks(chains, size, work))
    return results


# The same loops for one chain and for eight side by side; a row is drifted as soon as no kick needs it any more.


@numba.njit(fastmath=True)
def kick_row(x, p, i, eps):
    extent = x.shape[0]
    up, down = x[i - 1 if i > 0 else extent - 1], x[i + 1 if i + 1 < extent else 0]
    row, out = x[i], p[i]
    a, b = 2 * HOPPING * eps, 2 * (1 - 2 * COUPLING) * eps
    c = 4 * COUPLING * eps
    out[0] += a * (up[0] + down[0] + row[extent - 1] + row[1]) - row[0] * (b + c * row[0] * row[0])
    for j in range(1, extent - 1):
        out[j] += a * (up[j] + down[j] + row[j - 1] + row[j + 1]) - row[j] * (b + c * row[j] * row[j])
    j = extent - 1
    out[j] += a * (up[j] + down[j] + row[j - 1] + row[0]) - row[j] * (b + c * row[j] * row[j])


@numba.njit(fastmath=True)
def kick_lanes(x, p, i, eps):
    extent = x.shape[0]
    up, down = x[i - 1 if i > 0 else extent - 1], x[i + 1 if i + 1 < extent else 0]
    row, out = x[i], p[i]
    a, b = 2 * HOPPING * eps, 2 * (1 - 2 * COUPLING) * eps
    c = 4 * COUPLING * eps
    for j in range(extent):
        left, right = row[j - 1 if j > 0 else extent - 1], row[j + 1 if j + 1 < extent else 0]
        for lane in range(8):
            y = row[j, lane]
            out[j, lane] += a * (up[j, lane] + down[j, lane] + left[lane] + right[lane]) - y * (b + c * y * y)


@numba.njit(fastmath=True)
def drift_row(x, p, i, eps):
    row, momenta = x[i].ravel(), p[i].ravel()
    for j in range(row.size):
        row[j] += eps * momenta[j]


def make_leaps(kick):
    @numba.njit(fastmath=True)
    def leaps(x, p, steps):
        extent, eps = x.shape[0], 1 / steps
        for step in range(steps):
            for i in range(extent):
                kick(x, p, i, 0.5 * eps if step == 0 else eps)
                if i > 1:
                    drift_row(x, p, i - 1, eps)
            drift_row(x, p, extent - 1, eps)
            drift_row(x, p, 0, eps)
        for i in range(extent):
            kick(x, p, i, 0.5 * eps)

    return leaps


@numba.njit(fastmath=True)
def energies(x, p, out):
    """Of lattices side by side, `x[i, j, lane]`."""
    extent, lanes = x.shape[0], x.shape[2]
    out[:] = 0
    for i in range(extent):
        down = x[i + 1 if i + 1 < extent else 0]
        for j in range(extent):
            right = x[i, j + 1 if j + 1 < extent else 0]
            for lane in range(lanes):
                y, v = x[i, j, lane], p[i, j, lane]
                s = y * y * (1 - 2 * COUPLING + COUPLING * y * y)
                out[lane] += 0.5 * v * v + s - 2 * HOPPING * y * (down[j, lane] + right[lane])


leaps_row, leaps_lanes = make_leaps(kick_row), make_leaps(kick_lanes)


@numba.njit(parallel=True, fastmath=True)
def numba_trajectories_rows(x, trajectories, steps):
    chains, extent = x.shape[0], x.shape[1]
    for chain in numba.prange(chains):
        p, old = np.empty((extent, extent)), np.empty((extent, extent))
        before, after = np.empty(1), np.empty(1)
        for _ in range(trajectories):
            old[:] = x[chain]
            flat = p.ravel()
            for k in range(flat.size):
                flat[k] = np.random.standard_normal()
            energies(x[chain].reshape(extent, extent, 1), p.reshape(extent, extent, 1), before)
            leaps_row(x[chain], p, steps)
            energies(x[chain].reshape(extent, extent, 1), p.reshape(extent, extent, 1), after)
            if not np.random.random() < math.exp(before[0] - after[0]):
                x[chain] = old


@numba.njit(parallel=True, fastmath=True)
def numba_trajectories_lanes(x, trajectories, steps):
    blocks, extent = x.shape[0], x.shape[1]
    for block in numba.prange(blocks):
        p, old = np.empty((extent, extent, 8)), np.empty((extent, extent, 8))
        before, after = np.empty(8), np.empty(8)
        for _ in range(trajectories):
            old[:] = x[block]
            flat = p.ravel()
            for k in range(flat.size):
                flat[k] = np.random.standard_normal()
            energies(x[block], p, before)
            leaps_lanes(x[block], p, steps)
            energies(x[block], p, after)
            for lane in range(8):
                if not np.random.random() < math.exp(before[lane] - after[lane]):
                    x[block, :, :, lane] = old[:, :, lane]


def numba_hmc(extent, chains, trajectories, steps):
    units = chains * extent * extent * steps * trajectories
    x = np.random.default_rng(1).normal(size=(chains, extent, extent))
    lanes = np.random.default_rng(1).normal(size=(chains // 8, extent, extent, 8))
    return {
        "one chain at a time": best(units, lambda: numba_trajectories_rows(x, trajectories, steps)),
        "8 chains side by side": best(units, lambda: numba_trajectories_lanes(lanes, trajectories, steps)),
    }


@numba.njit(parallel=True, fastmath=True)
def wolff_clusters(x, clusters):
    """Grows and flips clusters in every chain; returns how many sites were flipped."""
    chains, extent = x.shape[0], x.shape[1]
    flipped = np.zeros(chains, np.int64)
    for chain in numba.prange(chains):
        field = x[chain]
        stack = np.empty((extent * extent, 2), np.int32)
        count = 0
        for _ in range(clusters):
            i, j = np.random.randint(extent), np.random.randint(extent)
            field[i, j] = -field[i, j]
            stack[0, 0], stack[0, 1] = i, j
            top = 1
            while top > 0:
                top -= 1
                i, j = stack[top, 0], stack[top, 1]
                count += 1
                y = -field[i, j]
                for direction in range(4):
                    k, l = i, j
                    if direction == 0:
                        k = i + 1 if i + 1 < extent else 0
                    elif direction == 1:
                        k = i - 1 if i > 0 else extent - 1
                    elif direction == 2:
                        l = j + 1 if j + 1 < extent else 0
                    else:
                        l = j - 1 if j > 0 else extent - 1
                    product = y * field[k, l]
                    if product > 0 and np.random.random() < 1 - math.exp(-4 * HOPPING * product):
                        field[k, l] = -field[k, l]
                        stack[top, 0], stack[top, 1] = k, l
                        top += 1
        flipped[chain] = count
    return flipped.sum()


def numba_wolff():
    extent, chains = 32, 64
    x = np.random.default_rng(1).normal(size=(chains, extent, extent))
    for _ in range(100):
        numba_trajectories_rows(x, 1, 10)
        wolff_clusters(x, 5)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        flipped = wolff_clusters(x, 500)
        times.append((time.perf_counter() - start) * 1e9 / flipped)
    return {"": min(times)}


# The perturbative score of lattice fields: eight transforms of every field, and powers in between. Our side says what
# the coefficients are, and what comes out for a few fields.

PERTURBATIVE_BATCH = 1024


def perturbative_model():
    """Arrays over half of the momenta, in the layout of `rfft2`, and numbers."""
    output = subprocess.run([sys.argv[2], "1", "perturbative_reference"], check=True, stdout=subprocess.PIPE, text=True)
    model = json.loads(output.stdout)["perturbative_reference"]
    extent, s2 = model["extent"], model["noise"] ** 2
    square = lambda values: np.array(values).reshape(-1, extent, extent)
    g, linear = square(model["variances"])[0], square(model["linear"])[0]
    wiener = g / (g + s2)
    one = wiener * s2
    two = np.fft.rfft2(np.fft.irfft2(one[:, : extent // 2 + 1], s=one.shape) ** 2).real
    half = lambda values: np.ascontiguousarray(values[:, : extent // 2 + 1])
    model |= {
        "fields": square(model["fields"]),
        "scores": square(model["scores"]),
        "legs": half(wiener / math.sqrt((wiener * g).mean())),
        "one": half(one / one[0, 0]),
        "two": two / two[0, 0],
        "nonlinear": half(wiener),
        # -1/(G + s^2) and the linear part of the features, in one.
        "gaussian": half(-1 / (g + s2) - wiener * linear),
    }
    return model


class PerturbativeArrays:
    """The score by NumPy, operation by operation in place, with the transforms of a package."""

    def __init__(self, model, dtype, size, forward, inverse):
        extent = model["extent"]
        self.numbers, self.forward, self.inverse = model, forward, inverse
        names = ("legs", "one", "two", "nonlinear", "gaussian")
        self.legs, self.one, self.two, self.nonlinear, self.gaussian = (model[name].astype(dtype) for name in names)
        self.scratch = np.empty((4, size, extent, extent), dtype)

    def score(self, x, out):
        model, (y2, y3, power, total) = self.numbers, self.scratch[:, : len(x)]
        c, z = model["coefficients"], model["zero_mode"]
        modes = self.forward(x)
        y = self.inverse(modes * self.legs)
        np.clip(y, -model["bound"], model["bound"], out=y)
        np.multiply(y, y, out=y2)
        np.multiply(y2, y, out=y3)
        joined = self.forward(y2)
        joined *= self.two
        bubble = self.inverse(joined)
        bubble *= y
        joined = self.forward(y3)
        joined *= self.one
        tree = self.inverse(joined)
        tree *= y2
        zero = z[3] * bubble.sum((1, 2)) + z[4] * tree.sum((1, 2)) + z[0] * y3.sum((1, 2))
        bubble *= c[3]
        tree *= c[4]
        np.add(bubble, tree, out=total)
        np.multiply(y3, y2, out=power)
        y3 *= c[0]
        total += y3
        zero += z[1] * power.sum((1, 2))
        np.multiply(power, c[1], out=y3)
        total += y3
        power *= y2
        zero += z[2] * power.sum((1, 2))
        power *= c[2]
        total += power
        joined = self.forward(total)
        joined[:, 0, 0] = zero - model["constant"] * y[0].size
        joined *= self.nonlinear
        modes *= self.gaussian
        joined += modes
        out[:] = self.inverse(joined)


def check_perturbative(model, dtype, scores):
    """To rounding: single precision may be off by more where powers are large."""
    deviation = np.abs(np.asarray(scores, float) - model["scores"]).max() / model["scores"].std()
    assert deviation < (1e-10 if dtype == np.float64 else 1e-4), f"another score: {deviation}"


def array_perturbative(transforms):
    """Blocks on our threads, and whole batches on those of the package, if it has any."""
    results = {}
    model = perturbative_model()
    shape = model["fields"].shape[1:]
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(1).normal(size=(PERTURBATIVE_BATCH, *shape)).astype(dtype)
        out = np.empty_like(x)
        fields = model["fields"].astype(dtype)
        scores = np.empty_like(fields)
        for size in (32, 128, PERTURBATIVE_BATCH):
            whole = size == PERTURBATIVE_BATCH
            forward, inverse = transforms(shape, THREADS if whole else 1)
            workers = [PerturbativeArrays(model, dtype, size, forward, inverse) for _ in range(1 if whole else THREADS)]
            workers[0].score(fields, scores)
            check_perturbative(model, dtype, scores)
            if whole:
                run, name = lambda: workers[0].score(x, out), "whole"
            else:
                block = lambda thread, start, end: workers[thread].score(x[start:end], out[start:end])
                run, name = lambda: over_blocks(PERTURBATIVE_BATCH, size, block), f"blocks of {size}"
            results[f"{dtype.__name__} {name}"] = best(PERTURBATIVE_BATCH, run)
    return results


def numpy_transforms(shape, _):
    return np.fft.rfft2, lambda modes: np.fft.irfft2(modes, s=shape)


def scipy_transforms(shape, workers):
    forward = lambda fields: scipy.fft.rfft2(fields, workers=workers)
    return forward, lambda modes: scipy.fft.irfft2(modes, s=shape, workers=workers, overwrite_x=True)


def torch_perturbative():
    results = {}
    model = perturbative_model()
    shape = model["fields"].shape[1:]
    c, z, bound, constant = (model[name] for name in ("coefficients", "zero_mode", "bound", "constant"))
    for dtype in (torch.float32, torch.float64):
        kind = str(dtype).removeprefix("torch.")
        names = ("legs", "one", "two", "nonlinear", "gaussian")
        legs, one, two, nonlinear, gaussian = (torch.tensor(model[name], dtype=dtype) for name in names)
        forward, inverse = torch.fft.rfft2, lambda modes: torch.fft.irfft2(modes, s=shape)

        def score(x):
            modes = forward(x)
            y = inverse(modes * legs).clamp(-bound, bound)
            y2 = y * y
            y3 = y2 * y
            y5 = y3 * y2
            y7 = y5 * y2
            bubble = y * inverse(forward(y2) * two)
            tree = y2 * inverse(forward(y3) * one)
            features = (y3, y5, y7, bubble, tree)
            total = sum(c * feature for c, feature in zip(c, features))
            zero = sum(z * feature.sum((1, 2)) for z, feature in zip(z, features)) - constant * y[0].numel()
            joined = forward(total)
            joined[:, 0, 0] = zero
            return inverse(joined * nonlinear + modes * gaussian)

        def score_in_place(x):
            modes = forward(x)
            y = inverse(modes * legs).clamp_(-bound, bound)
            y2 = y * y
            y3 = y2 * y
            bubble = inverse(forward(y2).mul_(two)).mul_(y)
            tree = inverse(forward(y3).mul_(one)).mul_(y2)
            zero = z[0] * y3.sum((1, 2)) + z[3] * bubble.sum((1, 2)) + z[4] * tree.sum((1, 2))
            total = bubble.mul_(c[3]).add_(tree, alpha=c[4]).add_(y3, alpha=c[0])
            power = y3.mul_(y2)
            total.add_(power, alpha=c[1])
            zero += z[1] * power.sum((1, 2))
            power.mul_(y2)
            total.add_(power, alpha=c[2])
            zero += z[2] * power.sum((1, 2))
            joined = forward(total)
            joined[:, 0, 0] = zero - constant * y[0].numel()
            return inverse(joined.mul_(nonlinear).add_(modes.mul_(gaussian)))

        with torch.inference_mode():
            torch.set_num_threads(THREADS)
            fields = torch.tensor(model["fields"], dtype=dtype)
            for function in (score, score_in_place):
                check_perturbative(model, np.dtype(kind), function(fields).numpy())
            x = torch.randn(PERTURBATIVE_BATCH, *shape, dtype=dtype)
            results[f"{kind} whole"] = best(PERTURBATIVE_BATCH, lambda: score_in_place(x))
            out = torch.empty_like(x)
            for size in (32, 128):

                def work(_, start, end):
                    torch.set_num_threads(1)
                    with torch.inference_mode():
                        out[start:end] = score_in_place(x[start:end])

                results[f"{kind} blocks of {size}"] = best(
                    PERTURBATIVE_BATCH, lambda: over_blocks(PERTURBATIVE_BATCH, size, work)
                )
            torch.set_num_threads(THREADS)
            fused = compiled(f"perturbative {kind}", score)
            attempt(results, f"{kind} compiled", PERTURBATIVE_BATCH, lambda: fused(x))
    return results


KERNELS = {
    ("numpy", "sde_forward_step"): lambda: numpy_sde(False),
    ("numpy", "sde_backward_exact_score_step"): lambda: numpy_sde(True),
    ("numpy", "mlp_sampling_step"): numpy_sampling,
    ("numpy", "mlp_training_step"): dict,
    ("torch", "sde_forward_step"): lambda: torch_sde(False),
    ("torch", "sde_backward_exact_score_step"): lambda: torch_sde(True),
    ("torch", "mlp_sampling_step"): torch_sampling,
    ("torch", "mlp_training_step"): torch_training,
    ("numpy", "moments_to_order_8"): numpy_moments,
    ("scipy", "moments_to_order_8"): scipy_moments,
    ("numpy", "bootstrap_of_8_cumulants"): numpy_bootstrap,
    ("pyerrors", "gamma_method"): pyerrors_gamma,
    **{("numpy", name): lambda work=work: numpy_hmc(*work) for name, work in TRAJECTORIES.items()},
    **{("numba", name): lambda work=work: numba_hmc(*work) for name, work in TRAJECTORIES.items()},
    **{
        ("torch", f"conv_{i}_{o}_{way}"): lambda i=i, o=o, way=way: torch_conv(i, o, way == "backward")
        for i, o in SHAPES
        for way in ("forward", "backward")
    },
    ("torch", "published_forward"): lambda: torch_published(False),
    ("torch", "published_training_step"): lambda: torch_published(True),
    ("numpy", "perturbative_32"): lambda: array_perturbative(numpy_transforms),
    ("scipy", "perturbative_32"): lambda: array_perturbative(scipy_transforms),
    ("torch", "perturbative_32"): torch_perturbative,
    ("numpy", "wolff_32"): dict,
    ("numba", "wolff_32"): numba_wolff,
}

for line in sys.stdin:
    print(json.dumps(KERNELS[tuple(line.split())]()), flush=True)
