"""What infinite width and exact numbers leave out: spread between networks, dead networks, underflow."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, log, log2, sqrt
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri

from gradlib.theory.domain import counts, positive
from gradlib.theory.gaussian import activation_named


class LogNormal(NamedTuple):
    """A positive number whose logarithm is Gaussian."""

    log_mean: float
    log_variance: float

    @property
    def mean(self) -> float:
        """exp(mean + variance/2) of the logarithm: ruled by rare, huge values."""
        return exp(self.log_mean + self.log_variance / 2)

    @property
    def median(self) -> float:
        """The typical value: half of all networks lie below."""
        return exp(self.log_mean)

    def quantile(self, probability: float) -> float:
        """The value below which this share of networks lies. Raises ValueError unless 0 < p < 1."""
        if not 0 < probability < 1:
            raise ValueError(
                f"gradlib.theory.LogNormal.quantile: probability={probability}; expected 0 < p < 1"
            )
        return exp(self.log_mean + sqrt(self.log_variance) * float(ndtri(probability)))


def lognormal_gradient(
    widths: Sequence[int], weight_variance: float = 2.0, activation: str = "relu"
) -> LogNormal:
    """The squared gradient of one input after passing back through layers of these widths.

        ln(‖g_1‖² / ‖g_L‖²) ~ N(L ln χ − β/2, β),   β = κ Σ 1/n_l,   κ = 3 E[φ′⁴] / E[φ′²]² − 1

    Hanin & Nica 2020, Theorem 1, for Gaussian weights: κ = 5 for ReLU, 2 for a linear network. The
    mean over networks is χ^L whatever the width, the median is exp(−β/2) times that: a deep, narrow
    network typically loses gradient that the mean does not show. Depth matters only as depth / width.

    widths: units of the layers that the gradient arrives at, one for each factor χ (not of the last
    layer, where it starts). The law leaves out terms of order 1/n², and tails beyond it. activation:
    'relu', 'leaky_relu' or 'identity', whose slopes do not depend on the length. Biases zero. Raises
    ValueError outside the domain.
    """
    slope = activation_named(activation, "lognormal_gradient").slope
    if activation not in ("identity", "leaky_relu", "relu"):
        raise ValueError(
            f"gradlib.theory.lognormal_gradient: activation {activation!r} has slopes that depend on the "
            "length; choose from identity, leaky_relu, relu"
        )
    counts("lognormal_gradient", widths=widths)
    positive("lognormal_gradient", weight_variance=weight_variance)
    slopes = slope(np.array([-1.0, 1.0]))
    second, fourth = float(np.mean(slopes**2)), float(np.mean(slopes**4))
    beta = (3 * fourth / second**2 - 1) * sum(1 / width for width in widths)
    return LogNormal(len(widths) * log(weight_variance * second) - beta / 2, beta)


def born_dead_probability(widths: Sequence[int]) -> float:
    """The chance that a ReLU network passes nothing of one given input on at initialization.

        1 − ∏_l (1 − 2^(−n_l))   (Lu et al. 2020)

    Each of n_l units is silent with probability ½, whatever came before; a layer of silent units ends
    the gradient. For many inputs it is an upper bound on the chance that all of them die. widths: of the
    ReLU layers. Weights symmetric, biases zero. Raises ValueError for a width below 1.
    """
    counts("born_dead_probability", widths=widths)
    return -float(np.expm1(sum(np.log1p(-(2.0**-width)) for width in widths)))


def depth_to_underflow(factor: float, dtype: torch.dtype) -> int:
    """The number of layers after which a gradient that starts at 1 rounds to exactly zero.

        smallest L with √factor^L ≤ s/2,  s the smallest subnormal number of dtype

    s is 2⁻²⁴ in float16, 2⁻¹³³ in bfloat16, 2⁻¹⁴⁹ in float32 (IEEE 754: half of s rounds to zero). factor:
    χ, of the squared gradient, in (0, 1). This is the depth for an entry of typical size, rounded once:
    entries spread around it, so some die earlier and some later; hardware that flushes subnormals to
    zero loses them log2(significand) bits earlier; and multiplying a single subnormal number by a factor
    above ½ again and again rounds back up and never gets to zero. Raises ValueError outside (0, 1) and
    for a dtype that is not floating point.
    """
    if not 0 < factor < 1:
        raise ValueError(f"gradlib.theory.depth_to_underflow: factor={factor}; expected 0 < factor < 1")
    if not dtype.is_floating_point:
        raise ValueError(f"gradlib.theory.depth_to_underflow: {dtype} is not a floating-point type")
    limits = torch.finfo(dtype)
    log2_zero = log2(limits.smallest_normal) + log2(limits.eps) - 1
    return ceil(2 * log2_zero / log2(factor))
