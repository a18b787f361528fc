"""Singular values of random matrices and of their products: how directions, not only sizes, survive."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import digamma

from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.gaussian import SMALLEST_Q, Array, Numbers, activation_named, gaussian_mean


def gaussian_edges(n_in: int, n_out: int, weight_variance: float = 1.0) -> tuple[float, float]:
    """Smallest and largest singular value of one Gaussian matrix (Marchenko & Pastur 1967).

        s∓ = σ_w |1 ∓ √(n_out / n_in)|

    W has shape (n_out, n_in) and Var(W) = σ_w² / n_in, both sizes large; the smallest is of the
    min(n_in, n_out) values that are not zero by shape. A square Gaussian matrix reaches down to 0 and up
    to 2σ_w, where every singular value of an orthogonal one is σ_w. Raises ValueError outside the domain.
    """
    counts("gaussian_edges", n_in=n_in, n_out=n_out)
    positive("gaussian_edges", weight_variance=weight_variance)
    ratio, sigma = sqrt(n_out / n_in), sqrt(weight_variance)
    return sigma * abs(1 - ratio), sigma * (1 + ratio)


def gaussian_density(s: Numbers, n_in: int, n_out: int, weight_variance: float = 1.0) -> Array:
    """Density of those singular values (Marchenko & Pastur 1967).

        p(s) = √((s₊² − s²)(s² − s₋²)) / (π σ_w² min(1, n_out/n_in) s)   between the edges, else 0

    s: > 0, of any shape. Raises ValueError outside the domain.
    """
    positive("gaussian_density", s=s)
    low, high = gaussian_edges(n_in, n_out, weight_variance)
    s = np.asarray(s, dtype=float)
    inside = np.maximum((high**2 - s**2) * (s**2 - low**2), 0)
    return np.sqrt(inside) / (np.pi * weight_variance * min(1, n_out / n_in) * s)


def lyapunov_exponents(width: int, weight_variance: float = 1.0) -> Array:
    """Rates at which the directions of a long product of square Gaussian matrices shrink or grow.

        λ_i = ½ [ln(2σ_w² / n) + ψ((n − i + 1)/2)],  i = 1 … n   (Newman 1986)

    ψ: digamma. Per layer, the i-th singular value of the product (not squared) tends to exp(λ_i); its
    condition number grows as exp(L (λ_1 − λ_n)). A single vector keeps exp(λ_1), the rate of the typical
    gradient. Every exponent of an orthogonal product is ln σ_w. Returns shape (n,), largest first. Raises
    ValueError outside the domain.
    """
    counts("lyapunov_exponents", width=width)
    positive("lyapunov_exponents", weight_variance=weight_variance)
    degrees = np.arange(width, 0, -1)
    return (np.log(2 * weight_variance / width) + digamma(degrees / 2)) / 2


def product_edge(depth: int, weight_variance: float = 1.0) -> float:
    """Largest singular value of a product of L square Gaussian matrices, infinitely wide.

        s₊ = σ_w^L √((L + 1)^(L+1) / L^L)   (Pennington, Schoenholz & Ganguli 2017)

    It grows as √(eL), although the mean square of all singular values stays at σ_w^(2L). For L ≪ width;
    for L ≫ width see `lyapunov_exponents`. Raises ValueError outside the domain.
    """
    counts("product_edge", depth=depth)
    positive("product_edge", weight_variance=weight_variance)
    logarithm = (depth + 1) * np.log(depth + 1) - depth * np.log(depth) + depth * np.log(weight_variance)
    return float(np.exp(logarithm / 2))


def jacobian_moments(
    activation: str, q: float, depth: int, weight_variance: float, orthogonal: bool = False
) -> tuple[float, float]:
    """Mean and variance of the squared singular values of an input-output Jacobian, infinitely wide.

        mean = χ^L,   variance = χ^(2L) L (μ_2/μ_1² − 1 − s),   μ_k = E[φ′(√q* z)^(2k)],  χ = σ_w² μ_1

    s = −1 for Gaussian weights, 0 for orthogonal (Pennington, Schoenholz & Ganguli 2018). The
    variance stays 0 only for orthogonal weights and a slope that is the same everywhere: dynamical
    isometry, which ReLU cannot have. q: the length of every layer, ≥ 0, 0 standing for the limit. Square
    layers. Raises ValueError outside the domain.
    """
    slope = activation_named(activation, "jacobian_moments").slope
    counts("jacobian_moments", depth=depth)
    positive("jacobian_moments", weight_variance=weight_variance)
    non_negative("jacobian_moments", q=q)
    second = float(gaussian_mean(lambda x: slope(x) ** 2, max(q, SMALLEST_Q)))
    fourth = float(gaussian_mean(lambda x: slope(x) ** 4, max(q, SMALLEST_Q)))
    mean = (weight_variance * second) ** depth
    spread = max(fourth / second**2 - (1 if orthogonal else 0), 0.0)
    return mean, mean**2 * depth * spread
