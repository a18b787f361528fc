"""Attention at initialization: when its softmax saturates, and how fast it makes all tokens alike."""

from __future__ import annotations

from math import ceil, factorial, sqrt

import numpy as np

from gradlib.theory.domain import counts, non_negative
from gradlib.theory.gaussian import Array, Numbers

_REACH = 7.0
"""Standard deviations that count; what lies beyond has a probability of 10⁻¹²."""


def softmax_moment(tokens: int, logit_variance: float, *powers: int) -> float:
    """E[p_1^k_1 p_2^k_2 …] of a softmax over independent Gaussian logits, for any number of them.

        1/(K−1)! ∫ Π_i E[ψ_{k_i}(u + s z)] · E[ψ_0(u + s z)]^(T−m) du,   ψ_k(y) = exp(k y − eʸ)

    K = Σ k_i, m powers, T = tokens, s² = logit_variance, z ~ N(0, 1). Exact: write the softmax's denominator
    as 1/S^K = ∫ t^(K−1) e^(−tS) dt / (K−1)!, under which the logits are independent, and put t = eᵘ.
    powers: whole and ≥ 1, at most as many as tokens. Raises ValueError outside the domain.
    """
    counts("softmax_moment", tokens=tokens, powers=powers)
    non_negative("softmax_moment", logit_variance=logit_variance)
    if len(powers) > tokens:
        raise ValueError(f"gradlib.theory.softmax_moment: {len(powers)} powers, but only tokens={tokens}")
    s, step = sqrt(logit_variance), 1 / 3
    z = np.linspace(-_REACH, _REACH, 1 + 2 * ceil(_REACH * max(s, 1) / step))
    density = np.exp(-(z**2) / 2)
    u = np.arange(-_REACH * s - 40, _REACH * s + 5, step)
    y = np.minimum(np.add.outer(u, s * z), 10)  # ψ is zero there, and eʸ still a number

    def mean(power: int) -> Array:
        return np.exp(power * y - np.exp(y)) @ density / density.sum()

    integrand = mean(0) ** (tokens - len(powers)) * np.prod([mean(power) for power in powers], axis=0)
    return float(integrand.sum() * step / factorial(sum(powers) - 1))


def softmax_jacobian(tokens: int, logit_variance: float) -> float:
    """E‖diag(p) − p pᵀ‖²: the mean squared (Frobenius) norm of the softmax's Jacobian.

        E[Σ p_i² − 2 Σ p_i³ + (Σ p_i²)²]   over T Gaussian logits of variance s²

    Queries and keys with independent components of variance one have logits of variance d_k; divided by
    √d_k, of variance 1 (Vaswani et al. 2017, footnote to §3.2.1). (1 − 1/T)/T at variance 0; for s ≫ 1
    it falls only as 1/s, since sometimes two logits nearly tie. Raises ValueError outside the domain.
    """
    counts("softmax_jacobian", tokens=tokens, others=tokens - 1)

    def moment(*powers: int) -> float:
        return softmax_moment(tokens, logit_variance, *powers)

    same = moment(2) - 2 * moment(3) + moment(4)
    return tokens * (same + (tokens - 1) * moment(2, 2))


def overlaps(similarity: Numbers, tokens: int, logit_variance: float) -> tuple[Array, Array]:
    """(Σ_j A_ij², Σ_j A_ij A_kj): how far one token's attention overlaps with itself and with another's.

        P = r(β(1 − c)),   S = r(β(1 − c) c),   r(v) = eᵛ / (eᵛ + T − 1)

    c: `similarity`, the cosine between any two tokens, in [0, 1]. β: `logit_variance`, of x_iᵀ W_Qᵀ W_K x_j /
    √d_k for random weights and tokens of unit length per feature: 1 for Xavier's, 0 for queries at zero,
    which makes attention uniform. Over keys logits vary by β(1 − c); between two queries they have the
    correlation c. The ratio of means stands for the mean of ratios: good for β up to about 1 (see
    `softmax_moment` for more). Raises ValueError outside the domain.
    """
    counts("overlaps", tokens=tokens)
    non_negative("overlaps", similarity=similarity, logit_variance=logit_variance)
    c = np.asarray(similarity, dtype=float)
    if np.any(c > 1):
        raise ValueError(f"gradlib.theory.overlaps: similarity={c}; expected cosines between 0 and 1")

    def share(variance: Array) -> Array:
        return np.exp(variance) / (np.exp(variance) + tokens - 1)

    return share(logit_variance * (1 - c)), share(logit_variance * (1 - c) * c)


def attention_similarity(similarity: Numbers, tokens: int, logit_variance: float = 1.0) -> Array:
    """The cosine between two tokens after attention alone: no skip connection, no feed-forward.

        c ↦ (c + (1 − c) S) / (c + (1 − c) P),   P, S from `overlaps`

    Near c = 1 it reads 1 − c ↦ β (1 − c)³ (T − 1)/T²: the distance from rank one is cubed at every layer,
    the doubly exponential rate that Dong, Cordonnier & Loukas (2021) prove as a bound; the constant is a
    mean-field one, for wide random weights and a norm after every layer. Arguments and errors as there.
    """
    own, shared = overlaps(similarity, tokens, logit_variance)
    c = np.asarray(similarity, dtype=float)
    return (c + (1 - c) * shared) / (c + (1 - c) * own)
