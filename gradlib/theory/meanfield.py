"""Mean-field theory: what happens to lengths, correlations and gradients in an infinitely wide layer."""

from __future__ import annotations

from math import exp, inf, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfc, log_ndtr

from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.gaussian import (
    LARGEST_Q,
    SMALLEST_Q,
    Array,
    Numbers,
    activation_named,
    gaussian_mean,
    gaussian_pair_mean,
)


def length_map(activation: str, q: Numbers, weight_variance: Numbers, bias_variance: Numbers = 0.0) -> Array:
    """The length of the next layer: the mean square of its pre-activations (Poole et al. 2016, §2).

        q ↦ σ_w² E[φ(√q z)²] + σ_b²,  z ~ N(0, 1)

    q: length of this layer, ≥ 0. The arguments broadcast. Raises ValueError for an unknown activation
    or a negative argument.
    """
    phi = activation_named(activation, "length_map").value
    non_negative("length_map", q=q, weight_variance=weight_variance, bias_variance=bias_variance)
    return weight_variance * gaussian_mean(lambda x: phi(x) ** 2, q) + bias_variance


def length_profile(
    activation: str, depth: int, weight_variance: float, bias_variance: float, q_first: float
) -> Array:
    """q_1 … q_depth: the length of every layer, from q_1 = q_first by `length_map`.

    Returns shape (depth,). Raises ValueError as `length_map` does, and for a depth below 1.
    """
    counts("length_profile", depth=depth)
    lengths = [np.asarray(q_first, dtype=float)]
    for _ in range(depth - 1):
        lengths.append(length_map(activation, lengths[-1], weight_variance, bias_variance))
    return np.array(lengths)


def gradient_factor(activation: str, weight_variance: Numbers, q: Numbers) -> Array:
    """χ, the factor by which one layer multiplies the squared gradient (Schoenholz et al. 2017).

        χ(q) = σ_w² E[φ′(√q z)²],  z ~ N(0, 1)

    q: length of the layer the gradient arrives at, ≥ 0; 0 stands for the limit q → 0. Below 1 gradients
    vanish, above 1 they explode. The arguments broadcast. Raises ValueError outside their domain.
    """
    slope = activation_named(activation, "gradient_factor").slope
    non_negative("gradient_factor", weight_variance=weight_variance, q=q)
    return weight_variance * gaussian_mean(lambda x: slope(x) ** 2, np.maximum(q, SMALLEST_Q))


def gradient_profile(
    activation: str, depth: int, weight_variance: float, bias_variance: float, q_first: float
) -> Array:
    """The squared gradient of every layer as a share of the last layer's, first layer first.

        g_l = g_{l+1} χ(q_l),  g_depth = 1,  with q_l from `length_profile`

    Far from the fixed point this differs from χ(q*)^(depth − l). Returns shape (depth,). Raises
    ValueError as `length_profile` does.
    """
    lengths = length_profile(activation, depth, weight_variance, bias_variance, q_first)
    factors = gradient_factor(activation, weight_variance, lengths[:-1])
    return np.append(np.cumprod(factors[::-1])[::-1], 1.0)


def depth_scale(chi: Numbers) -> Array:
    """ξ = −1 / ln χ, the number of layers in which the squared gradient shrinks e-fold.

    The same formula turns `correlation_slope` at the fixed point into ξ_c, the number of layers in which
    two inputs become indistinguishable e-fold (Schoenholz et al. 2017). chi: > 0. inf at χ = 1;
    negative where χ > 1, and then |ξ| layers let it grow e-fold. Raises ValueError unless chi > 0.
    """
    positive("depth_scale", chi=chi)
    decay = -np.log(chi)
    return np.divide(1.0, decay, out=np.full_like(decay, inf), where=decay != 0)[()]


def fixed_point(
    activation: str, weight_variance: Numbers, bias_variance: Numbers = 0.0, q_first: float = 1.0
) -> Array:
    """q*, the length that deep layers settle at: the limit of `length_map`, started at q_first.

        q* = σ_w² E[φ(√q* z)²] + σ_b²   (Poole et al. 2016, §2)

    0.0 where lengths die out (below 10⁻¹²), inf where they grow without limit. Where every length is a
    fixed point (He weights under ReLU), q_first itself. The variances broadcast. Raises ValueError for a
    negative variance or q_first ≤ 0.
    """
    positive("fixed_point", q_first=q_first)
    non_negative("fixed_point", weight_variance=weight_variance, bias_variance=bias_variance)

    def settle(weight_variance: float, bias_variance: float) -> float:
        def growth(log_q: float) -> float:
            q = exp(log_q)
            return float(length_map(activation, q, weight_variance, bias_variance)) / q - 1

        # The map rises with q, so its iterates move one way until they meet the first fixed point.
        here, step = log(q_first), growth(log(q_first))
        if abs(step) < 1e-12:
            return q_first
        while growth(here) * step > 0:
            last, here = here, here + (0.5 if step > 0 else -0.5)
            if exp(here) > LARGEST_Q:
                return inf
            if exp(here) < 1e-12:
                return 0.0
        return exp(brentq(growth, last, here, xtol=1e-13))

    return np.vectorize(settle, otypes=[float])(weight_variance, bias_variance)[()]


def critical_line(activation: str, bias_variances: Numbers) -> Array:
    """The σ_w² at which χ(q*) = 1, for each σ_b²: the edge of chaos (Poole et al. 2016, §2).

        σ_w² = 1 / E[φ′(√q z)²],   σ_b² = q − σ_w² E[φ(√q z)²]

    The second equation gives q = q*, the first then σ_w². nan where no stable q* has χ(q*) = 1: GELU and
    SiLU, whose lengths jump from vanishing to exploding, need σ_b² above about 0.17 and 0.53. For
    identity, ReLU and leaky ReLU χ is the same at every length; their line is a constant, on which lengths
    keep only if σ_b² = 0 and otherwise grow by σ_b² a layer. Returns the shape of bias_variances; raises
    ValueError where one is negative.
    """
    phi, slope = activation_named(activation, "critical_line")
    non_negative("critical_line", bias_variances=bias_variances)

    def weight_variance(log_q: float) -> float:
        return 1 / float(gaussian_mean(lambda x: slope(x) ** 2, exp(log_q)))

    def bias_variance(log_q: float) -> float:
        q = exp(log_q)
        return q - weight_variance(log_q) * float(gaussian_mean(lambda x: phi(x) ** 2, q))

    def length_slope(log_q: float) -> float:
        mean = float(gaussian_mean(lambda x: phi(x) * slope(x) * x, exp(log_q)))
        return weight_variance(log_q) * mean / exp(log_q)

    lowest, highest = log(SMALLEST_Q), log(LARGEST_Q)
    homogeneous = abs(bias_variance(0.0)) < 1e-12

    def solve(target: float) -> float:
        if homogeneous or (target == 0 and abs(bias_variance(lowest)) < SMALLEST_Q):
            log_q = lowest
        else:
            log_q = brentq(lambda log_q: bias_variance(log_q) - target, lowest, highest, xtol=1e-13)
        stable = homogeneous or length_slope(max(log_q, log(1e-4))) < 1
        return weight_variance(log_q) if stable else nan

    return np.vectorize(solve, otypes=[float])(bias_variances)[()]


def correlation_map(
    activation: str, c: Numbers, q: float, weight_variance: float, bias_variance: float = 0.0
) -> Array:
    """The correlation of two inputs at the next layer (Poole et al. 2016, §2).

        c ↦ (σ_w² E[φ(u) φ(v)] + σ_b²) / q′,   q′ = `length_map`(q)

    u, v: Gaussian with variance q and correlation c. c: in [−1, 1], of any shape. q: length of both
    inputs at this layer, > 0. Raises ValueError outside the domain.
    """
    phi = activation_named(activation, "correlation_map").value
    _check_pair("correlation_map", c, q, weight_variance, bias_variance)
    q_next = length_map(activation, q, weight_variance, bias_variance)
    covariance = np.vectorize(lambda c: gaussian_pair_mean(phi, q, c), otypes=[float])(c)
    return ((weight_variance * covariance + bias_variance) / q_next)[()]


def correlation_profile(
    activation: str,
    depth: int,
    weight_variance: float,
    bias_variance: float,
    q_first: float,
    c_first: float,
) -> Array:
    """c_1 … c_depth: the correlation of two inputs at every layer, from c_1 = c_first by `correlation_map`.

    q_first: length of both inputs at the first layer, which follows `length_map`. Returns shape (depth,).
    Raises ValueError as `length_profile` and `correlation_map` do.
    """
    correlations = [float(c_first)]
    for q in length_profile(activation, depth, weight_variance, bias_variance, q_first)[:-1]:
        c = correlation_map(activation, correlations[-1], float(q), weight_variance, bias_variance)
        correlations.append(min(float(c), 1.0))  # quadrature may end a rounding error above
    return np.array(correlations)


def correlation_slope(
    activation: str, c: Numbers, q: float, weight_variance: float, bias_variance: float = 0.0
) -> Array:
    """The derivative of `correlation_map` at c (Poole et al. 2016, §2; Schoenholz et al. 2017).

        (q / q′) σ_w² E[φ′(u) φ′(v)]

    At c = 1 and q = q* it is χ; above 1, nearby inputs part (chaos). Arguments and errors as there.
    """
    slope = activation_named(activation, "correlation_slope").slope
    _check_pair("correlation_slope", c, q, weight_variance, bias_variance)
    q_next = length_map(activation, q, weight_variance, bias_variance)
    covariance = np.vectorize(lambda c: gaussian_pair_mean(slope, q, c), otypes=[float])(c)
    return (q / q_next * weight_variance * covariance)[()]


def correlation_fixed_point(
    activation: str, q: float, weight_variance: float, bias_variance: float = 0.0
) -> float:
    """c*, the correlation that any two inputs settle at in deep layers (Poole et al. 2016, §2).

    The map is convex on [0, 1] and 1 is a fixed point: c* is the smaller one if there are two (chaos), else
    1 (order: the network forgets which input it saw). q: the length deep layers settle at. Two inputs
    count as the same within 10⁻⁶. Raises ValueError outside the domain.
    """
    _check_pair("correlation_fixed_point", 0.0, q, weight_variance, bias_variance)

    def gain(c: float) -> float:
        return float(correlation_map(activation, c, q, weight_variance, bias_variance)) - c

    if gain(1 - 1e-6) >= 0:
        return 1.0
    return float(brentq(gain, 0.0, 1 - 1e-6, xtol=1e-12)) if gain(0.0) > 1e-12 else 0.0


def _check_pair(where: str, c: Numbers, q: float, weight_variance: float, bias_variance: float) -> None:
    positive(where, q=q, weight_variance=weight_variance)
    non_negative(where, bias_variance=bias_variance)
    if not np.all(np.abs(c) <= 1):
        raise ValueError(f"gradlib.theory.{where}: c={c}; expected correlations between -1 and 1")


def relu_correlation_map(c: Numbers) -> Array:
    """`correlation_map` for ReLU without biases, in closed form (Cho & Saul 2009, arc-cosine kernel, n = 1).

        c ↦ (√(1 − c²) + c (π − arccos c)) / π

    It holds for every length and weight variance. c: in [−1, 1]; raises ValueError outside.
    """
    _check_pair("relu_correlation_map", c, 1.0, 1.0, 0.0)
    c = np.asarray(c, dtype=float)
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi


def silent_probability(c: Numbers, examples: Numbers) -> Array:
    """The chance that a unit is off for every one of N examples: that all N pre-activations are negative.

        E[Φ(√(c / (1 − c)) z)^N],  z ~ N(0, 1)

    Φ is the normal distribution function. For N Gaussians of mean zero with the same correlation c between
    any two (Dunnett & Sobel 1955): each is √c z + √(1 − c) ε_i, and given the shared z they are
    independent. 1/(N + 1) at c = ½, ½ at c = 1. For ReLU it is the share of silent units of a layer, c from
    `correlation_profile`. c: in [0, 1]; examples: N, whole and ≥ 1; the quadrature is right within a percent
    up to N = 10⁴, and within a factor two beyond. The arguments broadcast. Raises ValueError outside.
    """
    _check_pair("silent_probability", c, 1.0, 1.0, 0.0)
    non_negative("silent_probability", c=c)
    counts("silent_probability", examples=examples)
    c, examples = np.broadcast_arrays(np.asarray(c, dtype=float), examples)
    shared = c / np.maximum(1 - c, 1 / LARGEST_Q)
    return gaussian_mean(lambda x: np.exp(examples[..., None] * log_ndtr(x)), shared)


class WidthFactors(NamedTuple):
    """What a layer does where the width changes; see `width_factors`."""

    length: float
    """q_out / q_in"""
    squared_gradient: float
    """of the sum over units, going backward: the book's χ"""
    unit_squared_gradient: float
    """of the mean over units, going backward"""


def width_factors(
    activation: str, q: float, n_in: int, n_out: int, weight_variance: float, fan: str = "fan_in"
) -> WidthFactors:
    """Forward and backward factors of W with Var(W) = weight_variance / fan (He et al. 2015, §2.2).

        length              n_in  Var(W) E[φ(√q z)²] / q
        squared gradient    n_in  Var(W) E[φ′(√q z)²]
        the same, per unit  n_out Var(W) E[φ′(√q z)²]

    The sum over units counts n_in of them where the gradient arrives and n_out where it came from. So
    'fan_in' keeps the length and the *total* gradient, 'fan_out' the gradient of a *unit*.

    q: length of the layer with n_in units, > 0, biases zero. fan: 'fan_in', 'fan_out' or 'fan_avg' (their
    mean: Glorot & Bengio 2010, eq. 12). Raises ValueError outside the domain.
    """
    positive("width_factors", q=q, weight_variance=weight_variance)
    counts("width_factors", n_in=n_in, n_out=n_out)
    fans = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}
    if fan not in fans:
        raise ValueError(
            f"gradlib.theory.width_factors: fan {fan!r} is unknown; choose from {', '.join(fans)}"
        )
    variance = weight_variance / fans[fan]
    return WidthFactors(
        length=float(length_map(activation, q, n_in * variance)) / q,
        squared_gradient=float(gradient_factor(activation, n_in * variance, q)),
        unit_squared_gradient=float(gradient_factor(activation, n_out * variance, q)),
    )


def default_variances(fan_in: int) -> tuple[float, float]:
    """(σ_w², σ_b²) = (1/3, 1/(3 fan_in)): PyTorch's `nn.Linear.reset_parameters`.

    It draws W and b uniformly in ±1/√fan_in, and a uniform variable in ±a has the variance a²/3. Under
    ReLU χ is therefore 1/6. Raises ValueError unless fan_in is a whole number ≥ 1.
    """
    counts("default_variances", fan_in=fan_in)
    return 1 / 3, 1 / (3 * fan_in)


def saturation_probability(activation: str, q: Numbers) -> Array:
    """The share of units whose slope is under a tenth of the activation's largest: P(φ′(√q z) < φ′(0)/10).

    Sigmoid's slope is sech²(h/2)/4 and tanh's sech²(h), so |h| must exceed 2 arcosh √10 or arcosh √10.
    activation: 'sigmoid' or 'tanh', the two that saturate at both ends. q: length, > 0, of any shape.
    Raises ValueError outside the domain.
    """
    edges = {"sigmoid": 2 * np.arccosh(sqrt(10)), "tanh": np.arccosh(sqrt(10))}
    if activation not in edges:
        raise ValueError(
            f"gradlib.theory.saturation_probability: activation {activation!r} does not saturate at both "
            f"ends; choose from {', '.join(edges)}"
        )
    positive("saturation_probability", q=q)
    return erfc(edges[activation] / np.sqrt(2 * np.asarray(q)))
