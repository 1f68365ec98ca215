"""The net that `cargo run --release --example exchange` trained, read from its safetensors and held against its curve."""
import json, sys
import numpy as np
from safetensors.numpy import load_file

out = sys.argv[1] if len(sys.argv) > 1 else "out/exchange"
tensors = load_file(f"{out}/{json.load(open(f'{out}/net.json'))['tensors']}")
w = {name.removeprefix("average.network."): tensor for name, tensor in tensors.items()}

def net(x, u):  # two hidden layers, SiLU, 8 harmonics of the logarithm of the noise
    k = np.arange(1, 9) * np.pi * u / 8
    e, h = np.concatenate([[u / 2], np.sin(k), np.cos(k)]), x[:, None]
    for layer in ("hidden_layers.0", "hidden_layers.1"):
        h = h @ w[f"{layer}.linear.weight"].T + w[f"{layer}.linear.bias"] + w[f"{layer}.embed.1.weight"] @ e
        h = h / (1 + np.exp(-h))
    return (h @ w["final.weight"].T)[:, 0]

curve = np.genfromtxt(f"{out}/net.csv", delimiter=",", names=True, skip_header=1)
k2, v = (json.load(open(f"{out}/results.json"))["settings"][name] for name in ("kappa_2", "noise_variance"))
x, u, a = curve["x"] / np.sqrt(v + k2), np.log(v) / 2, v + k2
score = -curve["x"] / a + np.sqrt(k2 / (a * v)) * (net(x, u) - net(-x, u)) / 2
print("largest difference of the scores:", abs(score - curve["score"]).max())
assert np.allclose(score, curve["score"], atol=1e-4)
