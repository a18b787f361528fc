"""What a normalization layer does to a gradient: its Jacobian, its factor at depth, its effect on weights.

Normalization here is x̂ = (h − mean) / √(variance + ε) without learned scale and shift, as at initialization:
batch normalization over the examples of one unit, layer normalization over the units of one example, RMSNorm
as the latter with mean 0 and the mean square for variance.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import ArrayLike

from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.gaussian import _ANGLE, _ANGLE_WEIGHTS, Array, Function, activation_named, gaussian_mean


def normalization_jacobian(h: ArrayLike, centred: bool = True, eps: float = 0.0) -> Array:
    """∂x̂/∂h of the n numbers that are normalised together, exactly.

        J = (I − 11ᵀ/n − x̂x̂ᵀ/n) / √(σ² + ε),   without 11ᵀ/n unless centred

    (Ioffe & Szegedy 2015, §3, as one matrix; Zhang & Sennrich 2019.) h: shape (n,): a unit's value for
    every example (batch normalization) or an example's for every unit (layer normalization, and RMSNorm with
    centred=False). At ε = 0 it sends x̂ (and 1, if centred) to zero and divides what is orthogonal by σ.
    Returns (n, n), symmetric. Raises ValueError unless h is a vector of finite numbers with σ² + ε > 0.
    """
    h = np.asarray(h, dtype=float)
    if h.ndim != 1 or not np.isfinite(h).all():
        raise ValueError(f"gradlib.theory.normalization_jacobian: h={h}; expected a vector of finite numbers")
    non_negative("normalization_jacobian", eps=eps)
    h = h - h.mean() if centred else h
    variance = np.mean(h**2) + eps
    positive("normalization_jacobian", variance_plus_eps=variance)
    x_hat = h / np.sqrt(variance)
    shared = np.full((len(h), len(h)), float(centred))
    return (np.eye(len(h)) - (shared + np.outer(x_hat, x_hat)) / len(h)) / np.sqrt(variance)


def layer_norm_factor(activation: str) -> float:
    """χ of a wide layer under layer normalization or RMSNorm: of the squared gradient, per layer.

        χ = E[φ′(z)²] / E[φ(z)²],  z ~ N(0, 1)

    The next length is q = σ_w² E[φ(z)²], and 1/√q is what the normalization multiplies by, so σ_w² cancels in
    `gradient_factor`. The directions 1 and x̂ are two of n, and the mean over units of W x is near 0, so both
    normalizations agree up to O(1/n). For h_l = W_l φ(x̂_{l−1}) without biases, ε small against q. Raises
    ValueError for an unknown activation.
    """
    phi, slope = activation_named(activation, "layer_norm_factor")
    return float(gaussian_mean(lambda z: slope(z) ** 2, 1.0) / gaussian_mean(lambda z: phi(z) ** 2, 1.0))


def batch_norm_factor(activation: str, batch: float = inf) -> float:
    """χ of a wide layer under batch normalization: of the squared gradient, per layer (Yang et al. 2019).

        large batch   χ = E[φ′(z)²] / Var[φ(z)],  z ~ N(0, 1)

    That is π/(π − 1) for ReLU and 1 for a linear network; never below 1, since in Hermite polynomials
    φ = Σ a_k He_k/√k! has Var[φ] = Σ a_k² and E[φ′²] = Σ k a_k², k ≥ 1. For a batch of B, with G = I − 11ᵀ/B,
    P = G − x̂x̂ᵀ/B and D = diag φ′(x̂), x̂ is uniform on the sphere of radius √B orthogonal to 1, and

        finite batch  χ = B/(B − 3) · E tr[P D G D] / ((B − 1) (E[φ(x̂_1)²] − E[φ(x̂_1) φ(x̂_2)]))

    from E[1/σ²] = B / ((B − 3) (a − b)), where a and b are variance and covariance of two examples' h.
    That is (B − 2)/(B − 3) for a linear network. For h_l = W_l φ(x̂_{l−1}) with independent Gaussian weights,
    far enough from the input that all pairs of examples are alike; ε small against σ². It is a mean over
    networks; a unit's factor has a finite variance only for B > 5.

    batch: B ≥ 4 (at 3 the mean is infinite), or inf. Raises ValueError outside, or for an unknown activation.
    """
    phi, slope = activation_named(activation, "batch_norm_factor")
    if batch == inf:
        mean = gaussian_mean(phi, 1.0)
        squared_slope = gaussian_mean(lambda z: slope(z) ** 2, 1.0)
        return float(squared_slope / gaussian_mean(lambda z: (phi(z) - mean) ** 2, 1.0))
    counts("batch_norm_factor", batch=batch)
    if batch < 4:
        raise ValueError(f"gradlib.theory.batch_norm_factor: batch={batch}; expected at least 4, or inf")

    def spread(function: Function) -> tuple[float, float]:
        """E[f(x̂_1)²], and that minus E[f(x̂_1) f(x̂_2)]."""
        alone = _sphere_pair_mean(function, batch, 1.0)
        return alone, alone - _sphere_pair_mean(function, batch, -1 / (batch - 1))

    _, variance = spread(phi)
    slopes, slope_variance = spread(slope)
    _, tilt_variance = spread(lambda x: x * slope(x))
    kept = slopes - (slope_variance + tilt_variance) / batch  # E tr[P D G D] / (B − 1)
    return batch / (batch - 3) * kept / variance


def _sphere_pair_mean(function: Function, batch: float, c: float) -> float:
    """E[f(x_1) f(x_2)], x uniform on the sphere of radius √B in the B − 1 dimensions orthogonal to 1.

    c: correlation of x_1 and x_2, −1/(B − 1) for two examples and 1 for the same. As `gaussian_pair_mean`,
    in polar coordinates; only the distance r from the axis, in units of √(B − 1), is distributed otherwise:
    as r (1 − r²)^((B − 5)/2).
    """
    radius, radius_weights = _ANGLE, _ANGLE_WEIGHTS * _ANGLE
    radius_weights = radius_weights * (_ANGLE[::-1] * (1 + radius)) ** ((batch - 5) / 2)
    radius_weights = radius_weights / radius_weights.sum()
    total = 0.0
    apart = np.arccos(c)
    for width, sign in ((np.pi - apart, 1), (apart, -1)):
        x = np.sqrt(batch - 1) * np.sin(width * _ANGLE)[:, None] * np.concatenate([-radius, radius])
        product = function(x) * function(sign * x[::-1])
        total += width * _ANGLE_WEIGHTS @ product @ np.tile(radius_weights, 2)
    return float(total / (2 * np.pi))


def squared_norm_growth(squared_norm: float, lr: float, squared_gradients: ArrayLike) -> Array:
    """‖w_t‖² of scale-invariant weights under gradient descent without weight decay (Arora et al. 2019).

        ‖w_{t+1}‖² = ‖w_t‖² + η² ‖g_t‖²

    exactly, since L(αw) = L(w) makes the gradient orthogonal to w; it also makes ∇L(αw) = ∇L(w)/α, so a
    direction turns as if at learning rate η/‖w‖² (van Laarhoven 2017). w holds all that is scaled together:
    before layer normalization and RMSNorm, weights and biases. squared_norm: ‖w_0‖² > 0. lr: η ≥ 0.
    squared_gradients: ‖g_0‖², …, shape (steps,). Returns (steps + 1,). Raises ValueError outside the domain.
    """
    positive("squared_norm_growth", squared_norm=squared_norm)
    non_negative("squared_norm_growth", lr=lr, squared_gradients=squared_gradients)
    steps = lr**2 * np.asarray(squared_gradients, dtype=float)
    return squared_norm + np.concatenate([[0.0], np.cumsum(steps)])
