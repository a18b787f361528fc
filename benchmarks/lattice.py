"""Measuring a lattice at once against a loop over its settings; fails below the promised ratio.

Both measure the same numbers: length, correlation and squared gradient of every layer, for two inputs, at
12 × 12 settings and 5 seeds. The loop builds each network from `nn.Linear`, as one would by hand.
"""

from __future__ import annotations

import resource
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from gradlib.lattice import measure_lattice

WEIGHT_VARIANCES = np.linspace(0.5, 4.0, 12)
BIAS_VARIANCES = np.linspace(0.0, 0.5, 12)
DEPTH, SEEDS, REPEATS, PROMISED = 20, range(5), 3, 5


def loop(width: int, seeds: range) -> None:
    """One network for each setting and seed."""
    for weight_variance in WEIGHT_VARIANCES:
        for bias_variance in BIAS_VARIANCES:
            for seed in seeds:
                torch.manual_seed(seed)
                layers = [nn.Linear(width, width) for _ in range(DEPTH - 1)]
                for layer in layers:
                    nn.init.normal_(layer.weight, std=float(np.sqrt(weight_variance / width)))
                    nn.init.normal_(layer.bias, std=float(np.sqrt(bias_variance)))
                outputs = [torch.randn(2, width, requires_grad=True)]
                for layer in layers:
                    outputs.append(layer(torch.tanh(outputs[-1])))
                gradients = torch.autograd.grad((outputs[-1] * torch.randn(2, width)).sum(), outputs)
                with torch.no_grad():
                    for h, g in zip(outputs, gradients, strict=True):
                        h.square().mean()
                        cosine_similarity(h[0], h[1], dim=0)
                        g.square().sum()


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    measure_lattice("tanh", [1.0], [0.0], depth=2, width=8, seeds=[0])  # first call pays for imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for width in (64, 128):
        ratios = []
        for _ in range(REPEATS):  # interleaved, so that both see the same load
            start = perf_counter()
            measure_lattice("tanh", WEIGHT_VARIANCES, BIAS_VARIANCES, DEPTH, width, SEEDS)
            middle = perf_counter()
            loop(width, SEEDS[:1])  # one seed is enough to time it; every seed costs the same
            ratios.append((perf_counter() - middle) * len(SEEDS) / (middle - start))
        ratio, grown = median(ratios), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f"lattice 12 × 12, {DEPTH} layers, width {width}: {ratio:.0f} × the loop (promised {PROMISED} ×)"
        )
        print(f"    memory: peak of this process grew by {grown / 1024:.0f} MiB")
        if ratio < PROMISED:
            raise SystemExit(f"benchmarks/lattice.py: {ratio:.1f} × is below the promised {PROMISED} ×")


if __name__ == "__main__":
    main()
