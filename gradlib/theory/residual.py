"""Residual stacks: how lengths and gradients grow from block to block, along which paths, and how alike.

A stack carries x_0, …, x_L. Here the length q_l is the mean square of x_l, and the gradient at l is
∂loss/∂x_l. A branch has one layer of ReLU, Gaussian weights and no bias. Everything is for wide layers at
initialization, q_0 = 1, x_0 Gaussian.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.finite import binomial
from gradlib.theory.gaussian import Array, Numbers
from gradlib.theory.meanfield import relu_correlation_map

ORDERINGS = ("pre_activation", "post_activation", "relu_after_addition", "norm_after_addition")
NORMALIZATIONS = (None, "batch", "layer", "rms")
CENTRED = 1 - 1 / pi
"""Var φ(z) / E[φ(z)²] for ReLU: what is left of a mean square when a batch's mean is taken away."""


class ResidualProfile(NamedTuple):
    """What the stream between the blocks carries, from x_0 to x_L; both of shape (depth + 1,)."""

    length: Array
    """mean square of x_l over units"""
    squared_gradient: Array
    """of ∂loss/∂x_l, as a share of the one at x_L"""


def residual_profile(
    ordering: str,
    depth: int,
    scale: float = 1.0,
    weight_variance: float = 2.0,
    normalization: str | None = None,
) -> ResidualProfile:
    """Lengths and squared gradients of `depth` ReLU blocks of the orderings of `gradlib.residual`.

    Write a for the mean square that the branch adds. Its weights have mean zero, so that the squared
    gradient of skip and branch add up as well (Yang & Schoenholz 2017; Hanin & Rolnick 2018):

        pre_activation        q ← q + a,                   g ← g (1 + a / d),  a = α² σ_w² u / 2
        post_activation       q ← q + 2 m α √(u/2π) + a,   g ← g (1 + a / d),  a = α² u / 2
        norm_after_addition   q ← 1,                       g ← g (1 + a) / (1 + a),  a = α² σ_w² / 2
        relu_after_addition   the law of a unit, x ← max(0, x + α √u z), on a grid

    u is the variance of what φ meets (in the last line, of what is added), 1 after a normalization; d what
    that divides by: q, or the variance over the batch under 'batch'; without normalization a / d does not
    depend on q. m is the mean of x, which φ's positive outputs push upward. So He's weights with α = 1
    double q without normalization, and add one to it with (De & Smith 2020).

    normalization: 'layer' and 'rms' act alike in wide layers. 'batch' is for large batches of unrelated
    inputs: the variance over the batch grows by (1 − 1/π) a, since a mean is shared. Without normalization
    post_activation and relu_after_addition need a width far above (q_L / g_0 growth): by Euler's theorem
    the component of the gradient along x_l grows backward as 1/√q_l, whatever g does. scale: α ≥ 0. Raises
    ValueError outside the domain.
    """
    counts("residual_profile", depth=depth)
    non_negative("residual_profile", scale=scale, weight_variance=weight_variance)
    for name, value, choices in (
        ("ordering", ordering, ORDERINGS),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if value not in choices:
            raise ValueError(
                f"gradlib.theory.residual_profile: {name} {value!r} is unknown; "
                f"choose from {', '.join(map(str, choices))}"
            )
    if ordering == "relu_after_addition":
        return _rectified_walk(depth, scale, weight_variance, normalization)

    lengths, factors = [1.0], []
    q, mean, variance = 1.0, 0.0, 1.0  # over units; over the batch
    for _ in range(depth):
        d = variance if normalization == "batch" else q
        if ordering == "post_activation":
            u = weight_variance * q if normalization is None else 1.0
            added, shift = scale**2 * u / 2, scale * sqrt(u / (2 * pi))
        else:
            u = q if normalization is None or ordering == "norm_after_addition" else 1.0
            added, shift = scale**2 * weight_variance * u / 2, 0.0
        factor = 1 + added / d
        q += 2 * mean * shift + added
        mean += shift
        variance += CENTRED * added
        if ordering == "norm_after_addition" and normalization is not None:
            factor /= variance if normalization == "batch" else q
            q, variance = 1.0, 1.0
        lengths.append(q)
        factors.append(factor)
    gradients = np.append(np.cumprod(factors[::-1])[::-1], 1.0)
    return ResidualProfile(np.array(lengths), gradients)


def _rectified_walk(
    depth: int, scale: float, weight_variance: float, normalization: str | None
) -> ResidualProfile:
    """x ← max(0, x + α √u z), z fresh at every block, for a unit; and backward for its squared gradient.

    A unit that is large stays on, and lets its gradient through: g depends on x. So a thousand equally
    likely values of x stand for its law; each has 32 successors, and neighbours among those are merged.
    """
    z = ndtri((np.arange(32) + 0.5) / 32)
    x = ndtri((np.arange(1024) + 0.5) / 1024)
    z, x = z / z.std(), x / x.std()
    lengths, blocks = [1.0], []
    for _ in range(depth):
        q = lengths[-1]
        u = weight_variance * q if normalization is None else 1.0
        d = float(x.var()) if normalization == "batch" else q
        successors = np.maximum(0, x[:, None] + scale * sqrt(u) * z)
        order = successors.argsort(axis=None)
        merged = np.empty(successors.size, dtype=int)
        merged[order] = np.arange(successors.size) // z.size
        x = successors.ravel()[order].reshape(successors.shape).mean(1)
        lengths.append(float((x**2).mean()))
        blocks.append((successors > 0, merged.reshape(successors.shape), scale**2 * u / d))
    g = np.ones_like(x)
    gradients = [1.0]
    for on, successor, gain in reversed(blocks):
        through = on * g[successor]
        g = through.mean(1) + gain * through.mean()
        gradients.append(float(g.mean()))
    return ResidualProfile(np.array(lengths), np.array(gradients[::-1]))


def path_length_shares(depth: int, scale: float = 1.0, weight_variance: float = 2.0) -> Array:
    """The share of the squared gradient that arrives by paths through k of `depth` branches, k = 0 … depth.

        C(L, k) a^k / (1 + a)^L,   a = α² σ_w² / 2

    There are C(L, k) such paths (Veit, Wilber & Belongie 2016), each carries a^k, and gradients of different
    paths are uncorrelated, for they met different weights of mean zero. A binomial law: the mean length
    is L a / (1 + a). For branches without normalization, pre_activation or post_activation. Returns shape
    (depth + 1,); raises ValueError outside the domain.
    """
    counts("path_length_shares", depth=depth)
    non_negative("path_length_shares", scale=scale, weight_variance=weight_variance)
    a = scale**2 * weight_variance / 2
    return binomial(depth, a / (1 + a))


def coactivation(c: Numbers) -> Array:
    """Of the ReLU units active for one input, the share active for another: 1 − arccos(c) / π.

    From the arc-cosine kernel of order 0 (Cho & Saul 2009). 1 for equal inputs, ½ for pre-activations of
    correlation c = 0. c: in [−1, 1], of any shape; raises ValueError outside.
    """
    if not np.all(np.abs(c) <= 1):
        raise ValueError(f"gradlib.theory.coactivation: c={c}; expected correlations between -1 and 1")
    return 1 - np.arccos(c) / pi


def gradient_correlation(
    c: Numbers, depth: int, skip: bool = False, scale: float = 1.0, normalization: str | None = None
) -> Array:
    """The correlation between the gradients ∂output/∂x_0 of two inputs, behind `depth` blocks of He weights.

        without skip  x ← W φ(N(x)):        ∏ s(c_l),                       s = `coactivation`
        with skip     x ← x + α W φ(N(x)):  ∏ (1 + a s(c_l)) / (1 + a),     a = α² u / d

    u and d as in `residual_profile`, l = 0 … L − 1; c_l is the correlation of the two x_l, which follows
    `relu_correlation_map` κ by adding covariances: q c ← q c + α² u κ(c). Under 'batch', for unrelated
    inputs but these two and with its statistics held fixed, the mean that all share, 1/π, is taken away
    from κ. A scalar readout with independent weights; the mean over units.

    Balduzzi et al. 2017 assume c_l = 0 in every layer, and q growing by one per normalised block: then it
    is 2^(−L) without skips, (3/4)^L with skips at α = 1, about 1/√L if their branches are normalised.
    Batch normalization brings c_l to 0; without it inputs become alike, 1 − c_l ~ 9π² / 2l², and the
    product falls as a power of depth, not exponentially.

    c: correlation of the two x_0, of any shape, in [−1, 1]. Returns that shape and (depth + 1,), for 0 …
    depth blocks. Raises ValueError outside the domain.
    """
    counts("gradient_correlation", depth=depth)
    positive("gradient_correlation", scale=scale)
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"gradlib.theory.gradient_correlation: normalization {normalization!r} is unknown; "
            f"choose from {', '.join(map(str, NORMALIZATIONS))}"
        )
    c = np.asarray(c, dtype=float)
    around = float(skip)
    shared = 1 / pi if normalization == "batch" else 0.0
    d, correlations = 1.0, [np.ones_like(c)]
    for _ in range(depth):
        added = scale**2 * (d if normalization is None else 1.0)
        a = added / d
        correlations.append(correlations[-1] * (around + a * coactivation(c)) / (around + a))
        covariance = around * d * c + added * (relu_correlation_map(c) - shared)
        d = around * d + added * (1 - shared)
        c = np.clip(covariance / d, -1, 1)
    return np.stack(correlations, axis=-1)
