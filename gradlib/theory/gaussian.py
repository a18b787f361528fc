"""Activations, their slopes, and Gaussian averages of both: the only integrals mean-field theory needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

Array = NDArray[np.float64]
Numbers = float | Array
Function = Callable[[Array], Array]

SMALLEST_Q, LARGEST_Q = 1e-30, 1e8
"""Lengths that stand for the limits 0 and ∞, where a formula needs a number."""


class Activation(NamedTuple):
    """φ and its derivative φ′, both element by element."""

    value: Function
    slope: Function


def _leaky(negative_slope: float) -> Activation:
    return Activation(
        lambda x: np.where(x > 0, x, negative_slope * x),
        lambda x: np.where(x > 0, 1.0, negative_slope),
    )


def _exponential(scale: float, alpha: float) -> Activation:
    return Activation(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
    )


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda x: x, np.ones_like),
    "sigmoid": Activation(expit, lambda x: expit(x) * expit(-x)),
    "tanh": Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "relu": _leaky(0.0),
    "leaky_relu": _leaky(0.01),
    "elu": _exponential(1.0, 1.0),
    "selu": _exponential(1.0507009873554805, 1.6732632423543772),
    "gelu": Activation(
        lambda x: x * ndtr(x),
        lambda x: ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    ),
    "silu": Activation(lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
}


def activation_named(name: str, where: str) -> Activation:
    """Look up φ and φ′; raise ValueError, in the name of the function `where`, for an unknown one."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"gradlib.theory.{where}: activation {name!r} is unknown; "
            f"choose from {', '.join(sorted(ACTIVATIONS))}"
        )
    return ACTIVATIONS[name]


# Every kink lies at 0, and the interesting scale |x| ~ 1 may sit anywhere in z = x/√q. In u = ln|z| a kink
# at 0 is far away, a change of q is a shift, and the trapezoid rule converges exponentially.
_STEP = 1 / 8
_Z = np.exp(np.arange(-37.0, 2.5, _STEP))
_Z_DENSITY = np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi) * _Z * _STEP
NODES: Array = np.concatenate([-_Z, _Z])
WEIGHTS: Array = np.concatenate([_Z_DENSITY, _Z_DENSITY])

# Polar coordinates for pairs: radius as above, angle by the tanh-sinh rule on (0, 1).
_RADIUS = np.exp(np.arange(-18.0, 2.5, _STEP))
_RADIUS_WEIGHTS = np.exp(-(_RADIUS**2) / 2) * _RADIUS**2 * _STEP / (2 * np.pi)
_S = np.arange(-50, 51) * _STEP / 2
_ANGLE = expit(np.pi * np.sinh(_S))
_ANGLE_WEIGHTS = np.pi * np.cosh(_S) * _ANGLE * _ANGLE[::-1] * _STEP / 2


def gaussian_mean(function: Function, q: Numbers) -> Array:
    """E[f(√q z)] with z ~ N(0, 1), for a function that is smooth except, perhaps, at 0.

    q: variance, ≥ 0, of any shape. Returns that shape; relative error about 10⁻¹⁴.
    """
    return function(np.multiply.outer(np.sqrt(q), NODES)) @ WEIGHTS


def gaussian_pair_mean(function: Function, q: float, c: float) -> float:
    """E[f(u) f(v)] with u, v Gaussian, both of variance q and with correlation c.

    With u = √q r sin α and v = ±√q r sin(w − α), the lines u = 0 and v = 0 are the ends of the range
    of α; so a kink at 0 costs no accuracy. The width w is π − arccos c where u and v have the same
    sign, and arccos c where they differ.
    """
    total = 0.0
    apart = np.arccos(c)
    for width, opposite in ((np.pi - apart, False), (apart, True)):
        values = function(np.sqrt(q) * np.sin(width * _ANGLE)[:, None] * np.concatenate([-_RADIUS, _RADIUS]))
        mirrored = values[::-1]  # the angles are symmetric, so v runs through the same values as u
        if opposite:
            mirrored = np.roll(mirrored, len(_RADIUS), axis=1)
        total += width * _ANGLE_WEIGHTS @ (values * mirrored) @ np.tile(_RADIUS_WEIGHTS, 2)
    return float(total)
