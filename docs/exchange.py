"""Reads what `cargo run --release --example exchange` wrote, checks it, and writes it back from NumPy and PyTorch."""
import json, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/exchange")
fields = np.load(out / "fields.npy")  # (configurations, L, L)
samples = np.load(out / "samples.npz")  # x, and kappa with its errors
curve = np.genfromtxt(out / "net.csv", delimiter=",", names=True)
settings = json.loads((out / "results.json").read_text())["settings"]
assert abs(samples["x"].var() / samples["kappa"][1, 0] - 1) < 1e-3

tensors = load_file(out / json.loads((out / "net.json").read_text())["tensors"])
w = {name.removeprefix("average.network."): tensor for name, tensor in tensors.items()}

def net(x, u):  # two hidden layers, SiLU, 8 harmonics of the logarithm of the noise
    k = np.arange(1, 9) * np.pi * u / 8
    e, h = np.concatenate([[u / 2], np.sin(k), np.cos(k)]), x[:, None]
    for layer in ("hidden_layers.0", "hidden_layers.1"):
        h = h @ w[f"{layer}.linear.weight"].T + w[f"{layer}.linear.bias"] + w[f"{layer}.embed.1.weight"] @ e
        h = h / (1 + np.exp(-h))
    return (h @ w["final.weight"].T)[:, 0]

k2, v = settings["kappa_2"], settings["noise_variance"]
x, u, a = curve["x"] / np.sqrt(v + k2), np.log(v) / 2, v + k2
score = -curve["x"] / a + np.sqrt(k2 / (a * v)) * (net(x, u) - net(-x, u)) / 2
print("largest difference of the scores:", abs(score - curve["score"]).max())
assert np.allclose(score, curve["score"], atol=1e-4)

np.save(out / "python.npy", fields.astype(np.float32))
np.savez(out / "python.npz", x=samples["x"])
try:
    import torch
except ImportError:
    sys.exit("no PyTorch here: python.pt is left out")
n = "network."
shapes = {n + "final.weight": (1, 64), n + "final.bias": (1,)}
for i, inputs in ((0, 1), (1, 64)):
    layer = f"{n}hidden_layers.{i}."
    shapes |= {layer + "linear.weight": (64, inputs), layer + "linear.bias": (64,)}
    shapes |= {layer + "embed.1.weight": (64, 128), layer + "embed.1.bias": (64,)}
torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, out / "python.pt")
