"""Small synthetic tasks: nothing to download, the same numbers on every machine."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor
from torch.nn import functional


def gaussian_inputs(samples: int, features: int, seed: int = 0) -> Tensor:
    """Independent standard normal inputs, (samples, features)."""
    return torch.randn(samples, features, generator=torch.Generator().manual_seed(seed))


def spirals(samples: int = 300, classes: int = 3, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Interleaved spirals in the plane, one for each class: easy to see, impossible for a linear model.

    Returns inputs (samples, 2), scaled to unit mean square, and integer labels (samples,).
    Raises ValueError unless samples is a multiple of classes and classes ≥ 2.
    """
    if classes < 2 or samples % classes:
        raise ValueError(
            f"gradlib.spirals: samples={samples} must be a multiple of classes={classes}, and classes ≥ 2"
        )
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(samples // classes)
    radius = torch.linspace(0.1, 1, samples // classes).repeat(classes)
    angle = 2 * pi * (radius + labels / classes) + noise * torch.randn(samples, generator=generator)
    points = radius[:, None] * torch.stack((angle.cos(), angle.sin()), dim=1)
    return points / points.square().mean().sqrt(), labels


def remember_first(samples: int, length: int = 30, symbols: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Sequences of random symbols to be classified by their first: a memory of `length` − 1 steps, no less.

    All symbols are independent and uniform, so the others say nothing about the label, and a model that
    forgets the first stays at a loss of ln(symbols). Returns one-hot inputs (samples, length, symbols)
    and integer labels (samples,). Raises ValueError unless samples, length ≥ 1 and symbols ≥ 2.
    """
    if min(samples, length) < 1 or symbols < 2:
        raise ValueError(
            f"gradlib.remember_first: samples={samples}, length={length}, symbols={symbols}; expected "
            "samples, length ≥ 1 and symbols ≥ 2"
        )
    generator = torch.Generator().manual_seed(seed)
    sequences = torch.randint(symbols, (samples, length), generator=generator)
    return functional.one_hot(sequences, symbols).to(torch.get_default_dtype()), sequences[:, 0]
