"""Residual stacks: theory held to what PyTorch does, over five seeds or more."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from gradlib import theory
from gradlib.paths import gradient_by_path_length
from gradlib.residual import ResidualMLP

WIDTH, SEEDS = 256, range(8)


def unit_inputs(samples):
    x = torch.randn(samples, WIDTH)
    return x / x.square().mean(1, keepdim=True).sqrt()


def measured_profile(depth, samples=4, **options):
    """Mean over seeds of lengths and squared gradients of the stream, x_0 to x_L."""
    lengths, gradients = [], []
    for seed in SEEDS:
        torch.manual_seed(seed)
        stream = [unit_inputs(samples).requires_grad_()]
        for block in ResidualMLP(1, WIDTH, depth, 1, **options).blocks:
            stream.append(block(stream[-1]))
        found = torch.autograd.grad((stream[-1] * torch.randn(samples, WIDTH)).sum(), stream)
        lengths.append([x.square().mean().item() for x in stream])
        gradients.append([(g.square().sum() / found[-1].square().sum()).item() for g in found])
    return np.mean(lengths, axis=0), np.mean(gradients, axis=0)


@pytest.mark.parametrize("normalization", [None, "rms", "layer", "batch"])
@pytest.mark.parametrize(
    "ordering", ["pre_activation", "post_activation", "relu_after_addition", "norm_after_addition"]
)
def test_lengths_and_gradients_of_every_ordering_and_normalization(ordering, normalization):
    lengths, gradients = measured_profile(
        5,
        samples=96 if normalization == "batch" else 4,
        ordering=ordering,
        normalization=normalization,
        scale=0.8,
    )
    predicted = theory.residual_profile(ordering, 5, 0.8, 2.0, normalization)
    np.testing.assert_allclose(lengths, predicted.length, rtol=0.09)
    np.testing.assert_allclose(gradients, predicted.squared_gradient, rtol=0.13)


def test_growth_of_one_block():
    def growth(*setting):
        q, _ = theory.residual_profile(*setting)
        return q[-1] / q[-2]

    assert growth("pre_activation", 30) == pytest.approx(2)
    assert growth("pre_activation", 30, 30**-0.5) == pytest.approx(1 + 1 / 30)
    assert growth("pre_activation", 30, 1.0, 2.0, "layer") == pytest.approx(31 / 30)
    g = growth("post_activation", 60)  # the root of g = 2 + 2 / (π (√g − 1))
    assert g == pytest.approx(2 + 2 / (np.pi * (g**0.5 - 1)), rel=1e-9)
    assert 2.9 < g < 2.91
    assert growth("norm_after_addition", 9, 1.0, 2.0, "rms") == 1


def test_one_over_root_of_depth_bounds_any_depth_by_e():
    for depth in (10, 1000):
        q, g = theory.residual_profile("pre_activation", depth, depth**-0.5)
        assert q[-1] == pytest.approx((1 + 1 / depth) ** depth)
        assert g[0] == pytest.approx(q[-1])
        assert q[-1] < np.e


def test_share_of_the_squared_gradient_by_path_length():
    depth, scale = 12, 0.7
    shares = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        blocks = ResidualMLP(1, WIDTH, depth, 1, scale=scale).blocks
        parts = gradient_by_path_length(
            [block.branch for block in blocks], unit_inputs(4), torch.randn(4, WIDTH)
        )
        squared = parts.square().sum((1, 2)).numpy()
        shares.append(squared / squared.sum())
    predicted = theory.path_length_shares(depth, scale)
    assert predicted.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.mean(shares, axis=0), predicted, atol=0.012)
    assert predicted @ np.arange(depth + 1) == pytest.approx(depth * 0.49 / 1.49)


def measured_correlation(c, depth, skip, normalization, scale, pairs=24, samples=128):
    """Of the gradients of `pairs` pairs of inputs, the rest of the batch unrelated; (seeds,)."""
    found = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        x = torch.randn(samples, WIDTH)
        x[pairs : 2 * pairs] = c * x[:pairs] + (1 - c**2) ** 0.5 * x[pairs : 2 * pairs]
        x /= x.square().mean(1, keepdim=True).sqrt()
        blocks = ResidualMLP(1, WIDTH, depth, 1, normalization=normalization, scale=scale).blocks
        chain = blocks if skip else nn.Sequential(*(block.branch for block in blocks))
        for module in chain.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 1.0
        with torch.no_grad():
            chain(x)
        chain.eval()  # statistics of this batch, held fixed
        x = x[: 2 * pairs].requires_grad_()
        output = chain(x)
        products = np.zeros(3)
        for _ in range(6):
            (g,) = torch.autograd.grad((output * torch.randn(WIDTH)).sum(), x, retain_graph=True)
            first, second = g[:pairs], g[pairs:]
            products += [(a * b).sum().item() for a, b in ((first, second), (first, first), (second, second))]
        found.append(products[0] / (products[1] * products[2]) ** 0.5)
    return np.array(found)


@pytest.mark.parametrize("c", [0.0, 0.9])
@pytest.mark.parametrize(
    ("skip", "normalization", "scale"),
    [
        (False, None, 1.0),
        (False, "batch", 1.0),
        (True, None, 1.0),
        (True, None, 0.3),
        (True, "layer", 1.0),
        (True, "batch", 1.0),
    ],
)
def test_correlation_of_gradients(c, skip, normalization, scale):
    measured = measured_correlation(c, 8, skip, normalization, scale)
    predicted = theory.gradient_correlation(c, 8, skip, scale, normalization)
    assert predicted[0] == 1
    assert measured.mean() == pytest.approx(predicted[-1], abs=0.035)


def test_laws_of_balduzzi_and_others_hold_under_their_assumption():
    plain = theory.gradient_correlation(0.0, 20, normalization="batch")
    np.testing.assert_allclose(plain, 0.5 ** np.arange(21))  # uncorrelated inputs stay so: 2^−L
    skip = theory.gradient_correlation(0.0, 1, skip=True)
    assert skip[1] == pytest.approx(3 / 4)


def test_without_normalization_the_correlation_falls_as_a_power_of_depth():
    correlation = theory.gradient_correlation(0.5, 3200)
    exponents = [np.log(correlation[2 * l] / correlation[l]) / np.log(2) for l in (200, 400, 800, 1600)]  # noqa: E741
    assert all(later < earlier for earlier, later in pairwise(exponents))
    assert exponents[-1] == pytest.approx(-3, abs=0.05)


def test_coactivation_counts_units_that_two_inputs_share():
    x = torch.randn(2, 100_000)
    x[1] = 0.6 * x[0] + 0.8 * x[1]
    on = x > 0
    assert (on[0] & on[1]).sum().item() / on[0].sum().item() == pytest.approx(
        theory.coactivation(0.6), abs=0.01
    )
    np.testing.assert_allclose(theory.coactivation(np.array([-1.0, 0.0, 1.0])), [0, 0.5, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.residual_profile("pre", 3), "ordering 'pre' is unknown; choose from pre_activation"),
        (
            lambda: theory.residual_profile("pre_activation", 3, 1.0, 2.0, "group"),
            "normalization 'group' is unknown; choose from None, batch, layer, rms",
        ),
        (lambda: theory.residual_profile("pre_activation", 0), "depth=0; expected whole"),
        (lambda: theory.residual_profile("pre_activation", 3, -1.0), "scale=-1.0; expected"),
        (lambda: theory.path_length_shares(0), "path_length_shares: depth=0"),
        (lambda: theory.path_length_shares(3, 1.0, -1.0), "weight_variance=-1.0"),
        (lambda: theory.coactivation(1.5), "c=1.5; expected correlations"),
        (lambda: theory.gradient_correlation(1.5, 3), "expected correlations"),
        (lambda: theory.gradient_correlation(0.5, 3, normalization="group"), "'group' is unknown"),
        (lambda: theory.gradient_correlation(0.5, 3, True, 0.0), "scale=0.0; expected"),
    ],
)
def test_outside_the_domain(call, message):
    with pytest.raises(ValueError, match=message):
        call()
