"""What infinite width and exact numbers leave out: spread between networks, dead networks, underflow."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log2, sqrt
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import betaln, digamma, ndtri, polygamma, xlog1py, xlogy

from gradlib.theory.domain import counts, positive
from gradlib.theory.gaussian import Array


class LogNormal(NamedTuple):
    """A positive number, different in every network, whose logarithm is close to Gaussian."""

    mean: float
    """over networks: ruled by rare, huge values"""
    log_mean: float
    log_variance: float

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


def binomial(trials: int, probability: float) -> Array:
    """The chances of 0 … trials successes, (trials + 1,): as scipy.stats.binom, which is slow to load."""
    k = np.arange(trials + 1)
    log_ways = -betaln(k + 1, trials - k + 1) - np.log(trials + 1)
    return np.exp(log_ways + xlogy(k, probability) + xlog1py(trials - k, -probability))


def lognormal_gradient(
    widths: Sequence[int], weight_variance: float = 2.0, activation: str = "relu"
) -> LogNormal:
    """The squared gradient of one input after it has passed back through layers of these widths.

        ‖g_1‖² / ‖g_L‖² = ∏_l σ_w² X_l / n_l,   X_l ~ χ²(K_l),   K_l ~ Binomial(n_l, ½) active units

    so that its logarithm has the mean Σ E[ln 2σ_w²/n_l + ψ(K_l/2)] and the variance Σ E[ψ′(K_l/2)] +
    Var[ψ(K_l/2)], about L ln χ − β/2 and β, with β = 5 Σ 1/n_l for ReLU. For a linear network K_l = n_l and
    β = 2 Σ 1/n_l. Its mean over networks is χ^L whatever the width, its median about exp(−β/2) times
    that: a deep, narrow network typically loses gradient that the mean does not show, and only
    depth / width matters (Hanin & Nica 2020, Theorem 1).

    widths: units of the layers that the gradient arrives at, one for each factor χ (so without the last
    layer, where it starts). activation: 'relu' or 'identity', whose slopes do not depend on the length.
    Weights Gaussian, biases zero. The logarithm's moments, and so median and quantiles, are those of
    networks that are not dead; the mean counts dead ones as zero. Raises ValueError outside the domain.
    """
    if activation not in ("identity", "relu"):
        raise ValueError(
            f"gradlib.theory.lognormal_gradient: activation {activation!r} has no such law; choose from "
            "identity, relu"
        )
    counts("lognormal_gradient", widths=widths)
    positive("lognormal_gradient", weight_variance=weight_variance)
    mean, log_mean, log_variance = 1.0, 0.0, 0.0
    for width in widths:
        active = np.arange(1, width + 1) if activation == "relu" else np.array([width])
        chances = binomial(width, 0.5)[active]
        chances = chances / chances.sum()
        logs = np.log(2 * weight_variance / width) + digamma(active / 2)
        mean *= weight_variance * (0.5 if activation == "relu" else 1.0)
        log_mean += float(chances @ logs)
        log_variance += float(chances @ (polygamma(1, active / 2) + logs**2) - (chances @ logs) ** 2)
    return LogNormal(mean, log_mean, log_variance)


def born_dead_probability(widths: Sequence[int]) -> float:
    """The chance that a ReLU network passes nothing of one given input on at initialization.

        1 − ∏_l (1 − 2^(−n_l))   (Lu et al. 2020)

    Each of n_l units is silent with probability ½, whatever came before; a layer of silent units ends
    the gradient. For many inputs it is an upper bound on the chance that all of them die. widths: of the
    ReLU layers. Weights symmetric, biases zero. Raises ValueError for a width below 1.
    """
    counts("born_dead_probability", widths=widths)
    return -float(np.expm1(sum(np.log1p(-(2.0**-width)) for width in widths)))


def depth_to_underflow(factor: float, dtype: torch.dtype) -> float:
    """The number of layers after which a gradient that starts at 1 rounds to exactly zero.

        √factor^L = s/2,  s the smallest subnormal number of dtype

    s is 2⁻²⁴ in float16, 2⁻¹³³ in bfloat16, 2⁻¹⁴⁹ in float32 (IEEE 754: half of s rounds to zero). factor:
    χ, of the squared gradient, in (0, 1). This is the depth for an entry of typical size, rounded once:
    entries spread around it, so some die earlier and some later; hardware that flushes subnormals to
    zero loses them log2(significand) bits earlier; and multiplying a single subnormal number by a factor
    above ½ again and again rounds back up and never gets to zero. Returns L, a real number. Raises
    ValueError outside (0, 1) and for a dtype that is not floating point.
    """
    if not 0 < factor < 1:
        raise ValueError(f"gradlib.theory.depth_to_underflow: factor={factor}; expected 0 < factor < 1")
    if not dtype.is_floating_point:
        raise ValueError(f"gradlib.theory.depth_to_underflow: {dtype} is not a floating-point type")
    limits = torch.finfo(dtype)
    log2_zero = log2(limits.smallest_normal) + log2(limits.eps) - 1
    return 2 * log2_zero / log2(factor)
