"""Lengths, correlations and gradients of random networks over a whole lattice of settings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.func import vjp
from torch.nn.functional import cosine_similarity

from gradlib.activations import activation as make_activation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """What random networks did at every setting; arrays are (σ_w², σ_b², seed, layer), first layer first."""

    weight_variances: Array
    bias_variances: Array
    length: Array
    """mean square of the pre-activations"""
    correlation: Array
    """cosine of the angle between the pre-activations of the two inputs"""
    squared_gradient: Array
    """squared norm of ∂loss/∂(pre-activation), as a share of the last layer's"""

    @property
    def gradient_factor(self) -> Array:
        """χ per layer going backward, the geometric mean over all layers; (σ_w², σ_b², seed)."""
        return self.squared_gradient[..., 0] ** (1 / (self.squared_gradient.shape[-1] - 1))


def measure_lattice(
    activation: str | Callable[[Tensor], Tensor],
    weight_variances: ArrayLike,
    bias_variances: ArrayLike,
    depth: int,
    width: int,
    seeds: Iterable[int],
    q_first: float = 1.0,
    c_first: float = 0.5,
) -> Lattice:
    """Pass two inputs forward, and a random gradient back, through random networks at every setting.

        h_{l+1} = σ_w Z_l φ(h_l) + σ_b z_l,   Z_l ~ N(0, 1/width),  z_l ~ N(0, 1)

    One draw of Z and z serves all settings of a seed: each layer is a single matrix product whose columns
    are the settings, and neighbouring settings differ by what was set, not by luck. So spread over
    seeds is honest, and settings of one seed are not independent of each other.

    activation: a name of `gradlib.activations.ACTIVATIONS`, or any function of a tensor, element by element.
    weight_variances, bias_variances: the two axes, σ_w² > 0 and σ_b² ≥ 0. depth: layers, ≥ 2, h_1 to
    h_depth. q_first, c_first: length and correlation of the two h_1, met exactly. float64; memory for
    one seed at a time, 32 · depth · width · (settings + width) bytes. Raises ValueError outside the
    domain.
    """
    weight_axis = np.atleast_1d(np.asarray(weight_variances, float))
    bias_axis = np.atleast_1d(np.asarray(bias_variances, float))
    seeds = list(seeds)
    _check(weight_axis, bias_axis, depth, width, seeds, q_first, c_first)
    phi = make_activation(activation) if isinstance(activation, str) else activation
    sigma_w = torch.from_numpy(np.sqrt(weight_axis))[:, None]
    sigma_b = torch.from_numpy(np.sqrt(bias_axis))
    columns = (width, 2, len(weight_axis), len(bias_axis))  # unit, input, σ_w², σ_b²

    def measure(seed: int) -> list[Tensor]:
        draw = partial(torch.randn, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        outputs = [_pair(draw(width, 2), q_first, c_first)[..., None, None].expand(columns)]
        layers = []
        for _ in range(depth - 1):
            Z, z = draw(width, width) / sqrt(width), draw(width, 1, 1, 1)
            x, back_through_phi, *_ = vjp(phi, outputs[-1])
            outputs.append(sigma_w * (Z @ x.flatten(1)).view(columns) + sigma_b * z)
            layers.append((Z, back_through_phi))

        last = draw(width, 2, 1, 1)
        gradients = [(last / last.norm(dim=0)).expand(columns)]
        for Z, back_through_phi in reversed(layers):
            gradients += back_through_phi(sigma_w * (Z.T @ gradients[-1].flatten(1)).view(columns))

        return [
            torch.stack([h.square().mean((0, 1)) for h in outputs], -1),
            torch.stack([cosine_similarity(h[:, 0], h[:, 1], dim=0) for h in outputs], -1),
            torch.stack([g.square().sum(0).mean(0) for g in reversed(gradients)], -1),
        ]

    results = [torch.stack(parts, 2).numpy() for parts in zip(*map(measure, seeds), strict=True)]
    return Lattice(weight_axis, bias_axis, *results)


def _pair(directions: Tensor, q: float, c: float) -> Tensor:
    """Two vectors of mean square q and correlation c, in random directions. Shape (width, 2)."""
    u, v = torch.linalg.qr(directions).Q.T * sqrt(q * len(directions))
    return torch.stack([u, c * u + sqrt(1 - c**2) * v], -1)


def _check(
    weight_variances: Array,
    bias_variances: Array,
    depth: int,
    width: int,
    seeds: list[int],
    q_first: float,
    c_first: float,
) -> None:
    problems = {
        f"weight_variances={weight_variances}; expected numbers > 0": (weight_variances > 0).all(),
        f"bias_variances={bias_variances}; expected numbers ≥ 0": (bias_variances >= 0).all(),
        f"depth={depth}; expected at least 2 layers": depth >= 2,
        f"width={width}; expected at least 2 units": width >= 2,
        f"seeds={seeds}; expected at least one": seeds,
        f"q_first={q_first}; expected a number > 0": q_first > 0,
        f"c_first={c_first}; expected a correlation between -1 and 1": abs(c_first) <= 1,
    }
    for problem, fine in problems.items():
        if not fine:
            raise ValueError(f"gradlib.measure_lattice: {problem}")
