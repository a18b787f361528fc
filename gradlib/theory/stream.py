"""The residual stream of a transformer: lengths and similarities going forward, gradients going back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradlib.theory.attention import overlaps
from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.gaussian import Array
from gradlib.theory.meanfield import relu_correlation_map


class Stream(NamedTuple):
    """At the sum αx + f(x) of every sub-layer, first one first: attention, feed-forward, attention, …"""

    length: Array
    """mean square of a feature"""
    similarity: Array
    """cosine between two tokens"""
    squared_gradient: Array
    """over all tokens, as a share of the last sub-layer's"""
    gradient_similarity: Array
    """cosine between the gradients of two tokens"""


def residual_stream(
    placement: str,
    depth: int,
    tokens: int,
    gradient_similarity: float = 0.0,
    skip: float = 1.0,
    attention_gain: float = 1.0,
    feed_forward_gain: float = 0.32,
    logit_variance: float = 1.0,
) -> Stream:
    """What `depth` blocks of attention and feed-forward do to tokens and to gradients, infinitely wide.

    A branch f with random weights adds to its skip connection independently, forward and backward:

        Pre-LN    x ← αx + f(x / √q)      q ← α²q + v,      g ← (α² + b/q) g
        Post-LN   x ← (αx + f(x)) / √q    q = α² + v,       g ← (α² + b) g / q

    v is the branch's variance for inputs of length one, b its factor of the squared gradient. ReLU
    feed-forward has v = b = n Var(W_1) m Var(W_2)/2, `feed_forward_gain`. Attention averages, so both
    depend on how alike tokens (c) and their gradients (r) are: under uniform attention v is (1 + (T−1)c)/T
    and b is (1 + (T−1)r)/T, times n Var(W_V) n Var(W_O), `attention_gain`. Hence v ≠ b, and the norm,
    which divides by what v added, need not undo what b added. Lengths as in Xiong et al. (2020), who take
    uniform attention; similarities as in Noci et al. (2022); the gradients of token pairs are derived here.

    placement: 'pre' or 'post'; DeepNorm is 'post' with its α as `skip` and its β⁴ in both gains; without
    skips α = 0. gradient_similarity: r at the output, 1 if the mean over tokens is read out. The gains
    default to Xavier weights, four times wider inside; logit_variance as in `overlaps`. Tokens start
    independent, of length one. For widths well above depth and tokens: fluctuations, and the norm's
    projections, both of relative size 1/width, are left out. Raises ValueError outside the domain.
    """
    if placement not in ("pre", "post"):
        raise ValueError(
            f"gradlib.theory.residual_stream: placement {placement!r} is unknown; choose from pre, post"
        )
    counts("residual_stream", depth=depth, tokens=tokens, others=tokens - 1)
    positive("residual_stream", attention_gain=attention_gain, feed_forward_gain=feed_forward_gain)
    non_negative("residual_stream", skip=skip, gradient_similarity=gradient_similarity)
    pre = placement == "pre"
    gains = [attention_gain, feed_forward_gain] * depth

    entering = []  # length and similarity of what each branch and its skip connection read
    sums = np.empty((2 * depth, 2))
    q, c = 1.0, 0.0
    for layer, gain in enumerate(gains):
        entering.append((q, c))
        branch = _forward(layer, c, tokens, logit_variance)
        q, product = skip**2 * q * np.array([1, c]) + gain * branch
        c = min(product / q, 1.0)
        sums[layer] = q, c
        q = q if pre else 1.0

    gradients = np.empty((2 * depth, 2))  # per token: squared, and the product of two tokens'
    gradients[-1] = g = np.array([1.0, gradient_similarity])
    for layer in range(2 * depth - 1, 0, -1):
        q, c = entering[layer]
        below = skip**2 * g + gains[layer] / q * _backward(layer, c, tokens, logit_variance) @ g
        gradients[layer - 1] = g = below if pre else below / sums[layer - 1, 0]
    return Stream(sums[:, 0], sums[:, 1], gradients[:, 0], gradients[:, 1] / gradients[:, 0])


def _forward(layer: int, c: float, tokens: int, logit_variance: float) -> Array:
    """(mean square, product of two tokens) after a branch of gain one, for tokens of length one."""
    if layer % 2:
        return np.array([1.0, relu_correlation_map(c)])
    own, shared = overlaps(c, tokens, logit_variance)
    return c + (1 - c) * np.array([own, shared])


def _backward(layer: int, c: float, tokens: int, logit_variance: float) -> Array:
    """The same two of the gradient, before the branch from after it, as a matrix.

    Through attention gradients go by the values, by the queries and by the keys; what keys receive sums
    to zero over tokens.
    """
    if layer % 2:
        return np.diag([1.0, 1 - np.arccos(c) / np.pi])
    own, shared = overlaps(c, tokens, logit_variance)
    others, spread = tokens - 1, logit_variance * (1 - c)
    values = [[own, others * shared], [(1 - own) / others, 1 - shared]]
    queries = spread * (1 - c) * np.diag([own, shared])
    keys = spread * np.array([[own, others * c * shared], [-own / others, -c * shared]])
    return np.array(values) + queries + keys
