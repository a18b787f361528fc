"""Attention and the residual stream: predictions against PyTorch."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from gradlib import assert_agrees, gradient_flow, theory
from gradlib.transformer import Attention, Transformer, deepnorm

SEEDS = range(5)


def mean_squared_jacobian(tokens, variance, seed, samples=10000):
    torch.manual_seed(seed)
    logits = variance**0.5 * torch.randn(samples, tokens)
    jacobians = vmap(jacrev(lambda v: v.softmax(-1)))(logits)
    return jacobians.square().sum((1, 2)).mean().item()


@pytest.mark.parametrize("tokens", [2, 16])
def test_softmax_jacobian_is_that_of_pytorch_at_every_variance(tokens):
    variances = [0.0, 0.25, 1.0, 16.0, 256.0]
    measured = [[mean_squared_jacobian(tokens, v, seed) for v in variances] for seed in SEEDS]
    assert_agrees(measured, [theory.softmax_jacobian(tokens, v) for v in variances], within=0.06)


def test_softmax_jacobian_is_exact_for_equal_logits_and_falls_as_one_over_s():
    assert theory.softmax_jacobian(4, 0.0) == pytest.approx(3 / 16)
    wide, wider = theory.softmax_jacobian(8, 400.0), theory.softmax_jacobian(8, 1600.0)
    assert wide / wider == pytest.approx(2, rel=0.04)


def test_softmax_probabilities_sum_to_one():
    for variance in (0.1, 1.0, 100.0):
        assert 6 * theory.softmax_moment(6, variance, 1) == pytest.approx(1, abs=1e-8)


def attended(similarity, tokens, seed, width=256):
    """Cosine between tokens before and after one attention layer."""
    torch.manual_seed(seed)
    shared, own = torch.randn(width), torch.randn(tokens, width)
    x = similarity**0.5 * shared + (1 - similarity) ** 0.5 * own
    attention = Attention(width, heads=1, scaled=True)
    for layer in attention.children():
        torch.nn.init.normal_(layer.weight, std=width**-0.5)
        torch.nn.init.zeros_(layer.bias)

    def cosine(x):
        x = torch.nn.functional.normalize(x, dim=-1)
        return ((x @ x.T).sum() - tokens).item() / (tokens * (tokens - 1))

    return cosine(x), cosine(attention(x))


@pytest.mark.parametrize("tokens", [8, 24])
def test_attention_cubes_the_distance_from_rank_one(tokens):
    pairs = np.array([[attended(c, tokens, seed) for c in (0.5, 0.8, 0.95)] for seed in range(10)])
    before, after = pairs[..., 0], pairs[..., 1]
    predicted = 1 - theory.attention_similarity(before.mean(axis=0), tokens)
    assert_agrees(1 - after, predicted, within=0.3)
    # and the power: from 1 − c = 0.2 to 0.05 a square would fall 16-fold, a cube 64-fold
    fall = (1 - after).mean(axis=0)[1] / (1 - after).mean(axis=0)[2]
    assert 40 < fall < 120


def test_attention_cubes_in_the_limit():
    distance, tokens = 1e-2, 10
    after = 1 - theory.attention_similarity(1 - distance, tokens)
    assert after == pytest.approx(distance**3 * (tokens - 1) / tokens**2, rel=0.03)


def streams(placement, depth, tokens, pool, width=96, seeds=12, uniform=False):
    """Squared gradients at every sum, length and similarity at the end; one row for each seed."""
    gradients, lengths, cosines = [], [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        net = Transformer(width, width, depth, 8, placement=placement, pool=pool)
        if uniform:
            for block in net.blocks:
                torch.nn.init.zeros_(block[0].branch.query.weight)
        x, at_output = torch.randn(2, tokens, width), torch.randn((2, 8) if pool else (2, tokens, 8))
        flow = gradient_flow(net, x, at_output, objective=lambda y, given: (y * given).sum())
        sums = [
            layer.squared_gradient
            for layer in flow.layers
            if layer.name.endswith(("branch.output", "branch.contract"))
        ]
        gradients.append(np.array(sums) / sums[-1])
        with torch.no_grad():
            stream = net.blocks(net.embedding(x))
        lengths.append(stream.square().mean().item())
        unit = torch.nn.functional.normalize(stream, dim=-1)
        cosines.append(((unit @ unit.mT).sum((1, 2)) - tokens).mean().item() / (tokens * (tokens - 1)))
    return np.array(gradients), lengths, cosines


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("uniform", [False, True])
def test_residual_stream_is_that_of_a_transformer(placement, pool, uniform):
    depth, tokens = 4, 8
    gradients, lengths, cosines = streams(placement, depth, tokens, pool, uniform=uniform)
    law = theory.residual_stream(
        placement, depth, tokens, float(pool), logit_variance=0.0 if uniform else 1.0
    )
    assert_agrees(np.exp(np.log(gradients).mean(axis=0))[None], law.squared_gradient, within=0.3)
    assert_agrees(cosines, law.similarity[-1], within=0.06)
    if placement == "pre":
        assert_agrees(lengths, law.length[-1], within=0.15)


def test_post_ln_keeps_only_what_the_tokens_gradients_share():
    few, many = (theory.residual_stream("post", 30, tokens, logit_variance=0.0) for tokens in (8, 64))
    assert few.squared_gradient.min() / many.squared_gradient.min() == pytest.approx(8, rel=0.25)
    assert few.gradient_similarity[0] > 0.7
    pooled = theory.residual_stream("post", 30, 64, 1.0, logit_variance=0.0)
    assert pooled.squared_gradient.min() > 0.5


def test_pre_ln_lengths_grow_by_a_constant_and_gradients_as_a_power_of_depth():
    ends = [theory.residual_stream("pre", depth, 16) for depth in (48, 96)]
    assert ends[1].length[-1] / ends[0].length[-1] == pytest.approx(2, rel=0.1)
    for end in ends:
        assert end.length[-1] < 1 + 1.32 * len(end.length) / 2
    assert 1.7 < ends[1].squared_gradient[0] / ends[0].squared_gradient[0] < 2.1


def test_deepnorm_keeps_every_gradient():
    depth = 24
    alpha, beta = deepnorm(depth)
    gradients, *_ = streams("deepnorm", depth, 8, pool=False, width=64, seeds=5)
    law = theory.residual_stream(
        "post", depth, 8, skip=alpha, attention_gain=beta**4, feed_forward_gain=0.32 * beta**4
    )
    assert_agrees(gradients, law.squared_gradient, within=0.15)
    assert np.abs(law.squared_gradient - 1).max() < 0.05


def test_without_skips_tokens_become_one():
    law = theory.residual_stream("post", 4, 8, skip=0.0)
    assert 1 - law.similarity[-1] < 1e-6
    assert law.length[0] < 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.softmax_moment(2, 1.0, 1, 1, 1), "3 powers, but only tokens=2"),
        (lambda: theory.softmax_jacobian(1, 1.0), "softmax_jacobian: others=0; expected whole numbers"),
        (lambda: theory.softmax_jacobian(4, -1.0), "logit_variance=-1.0; expected a finite number ≥ 0"),
        (lambda: theory.attention_similarity(1.5, 4), "similarity=1.5; expected cosines between 0 and 1"),
        (lambda: theory.attention_similarity(-0.5, 4), "overlaps: similarity=-0.5"),
        (lambda: theory.residual_stream("mid", 4, 4), "placement 'mid' is unknown; choose from pre, post"),
        (lambda: theory.residual_stream("pre", 4, 1), "residual_stream: others=0"),
    ],
)
def test_outside_the_domain_theory_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
