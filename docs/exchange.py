"""Arrays that `cargo run --release --example exchange` wrote, checked and written back, and a net by PyTorch if it is there."""
import sys
from pathlib import Path
import numpy as np

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/exchange")
fields = np.load(out / "fields.npy")  # (configurations, L, L)
samples = np.load(out / "samples.npz")  # x, and kappa with its errors
assert abs(samples["x"].var() / samples["kappa"][1, 0] - 1) < 1e-3
np.save(out / "python.npy", fields.astype(np.float32))
np.savez(out / "python.npz", x=samples["x"])

try:
    import torch
except ImportError:
    print("no PyTorch here: python.pt is left out")
    sys.exit()
shapes = {"final.weight": (1, 64), "final.bias": (1,)}
for layer, inputs in (("hidden_layers.0.", 1), ("hidden_layers.1.", 64)):
    shapes |= {layer + "linear.weight": (64, inputs), layer + "linear.bias": (64,)}
    shapes |= {layer + "embed.1.weight": (64, 128), layer + "embed.1.bias": (64,)}
torch.save({f"network.{name}": torch.randn(shape) for name, shape in shapes.items()}, out / "python.pt")
