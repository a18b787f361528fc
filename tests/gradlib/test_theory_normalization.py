"""Normalization's laws, held to PyTorch's own layers and to published constants."""

from math import acos, inf, pi, sqrt

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import jacrev

from gradlib import MLP, assert_agrees, gradient_flow, theory
from gradlib.data import gaussian_inputs, spirals

SEEDS = range(6)


def measured_factor(activation, normalization, batch, width=128, depth=20):
    """Squared gradient per layer between layers 3 and 19, for each seed: far from input and readout."""
    factors = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        net = MLP(width, width, depth, 1, activation, "lecun", normalization)
        flow = gradient_flow(net, gaussian_inputs(batch, width, seed), torch.zeros(batch, 1))
        first, last = flow.squared_gradient[[2, depth - 2]]
        factors.append((first / last) ** (1 / (depth - 4)))
    return factors


@pytest.mark.parametrize(
    ("activation", "batch", "within"),
    [("relu", 8, 0.03), ("relu", 64, 0.02), ("tanh", 16, 0.02), ("sigmoid", 8, 0.04), ("identity", 6, 0.05)],
)
def test_batch_normalization_explodes_at_the_predicted_rate(activation, batch, within):
    measured = measured_factor(activation, "batch", batch)
    assert_agrees(measured, theory.batch_norm_factor(activation, batch), within)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("normalization", ["layer", "rms"])
def test_layer_normalization_and_rmsnorm_have_the_predicted_factor(activation, normalization):
    assert_agrees(
        measured_factor(activation, normalization, batch=8), theory.layer_norm_factor(activation), within=0.03
    )


def test_batch_norm_factor_knows_the_published_constants():
    assert theory.batch_norm_factor("relu") == pytest.approx(pi / (pi - 1), rel=1e-12)  # Yang et al. 2019
    for batch in [4, 5, 16, 1000]:  # a linear network, the same paper
        assert theory.batch_norm_factor("identity", batch) == pytest.approx(
            (batch - 2) / (batch - 3), rel=1e-7
        )


@pytest.mark.parametrize("batch", [4, 5, 16, 1000])
def test_relu_in_finite_batches_has_a_closed_form(batch):
    c = -1 / (batch - 1)  # arc-cosine kernels of orders 0 and 1 (Cho & Saul 2009)
    k0, k1 = 1 - acos(c) / pi, (sqrt(1 - c * c) + c * (pi - acos(c))) / pi
    exact = (batch - 2 + k0 + k1) / ((batch - 3) * (1 - k1))
    assert theory.batch_norm_factor("relu", batch) == pytest.approx(exact, rel=1e-6)


def test_one_layer_by_sampling():
    """E tr[P D G D] and a − b from draws, for an activation without a closed form and a small batch."""
    batch, draws = 10, 100_000
    centre = torch.eye(batch) - 1 / batch
    estimates = []
    for seed in SEEDS:
        x = torch.randn(draws, batch, generator=torch.Generator().manual_seed(seed)) @ centre
        x = x / x.square().mean(1, keepdim=True).sqrt()
        phi, slope = torch.sigmoid(x), torch.sigmoid(x) * torch.sigmoid(-x)
        centred_phi = phi @ centre
        difference = centred_phi.square().sum(1).mean() / (batch - 1)  # a − b, with σ_w = 1
        noise = torch.randn(draws, batch, generator=torch.Generator().manual_seed(100 + seed)) @ centre
        arrived = (slope * noise) @ centre
        arrived = arrived - x * (arrived * x).mean(1, keepdim=True)
        kept = arrived.square().sum(1).mean() / (batch - 1)
        estimates.append((batch / (batch - 3) * kept / difference).item())
    assert_agrees(estimates, theory.batch_norm_factor("sigmoid", batch), within=0.005)


def test_batch_normalization_never_makes_a_wide_layer_vanish():
    for name in theory.ACTIVATIONS:
        factors = [theory.batch_norm_factor(name, batch) for batch in [4, 8, 64, inf]]
        assert factors[-1] >= 1 - 1e-12
        assert (np.diff(factors) < 0).all()


def test_odd_activations_do_not_see_the_difference():
    assert theory.batch_norm_factor("tanh") == pytest.approx(theory.layer_norm_factor("tanh"), rel=1e-12)


@pytest.mark.parametrize(
    ("layer", "centred", "over_batch"),
    [(nn.BatchNorm1d, True, True), (nn.LayerNorm, True, False), (nn.RMSNorm, False, False)],
)
def test_the_jacobian_is_what_pytorch_differentiates(layer, centred, over_batch):
    for seed in SEEDS:
        torch.manual_seed(seed)
        numbers, eps = 7, 0.3
        h = torch.randn(numbers) + 0.5
        if over_batch:
            unit = layer(1, eps=eps, track_running_stats=False)
            found = jacrev(lambda h, unit=unit: unit(h[:, None])[:, 0])(h)
        else:
            found = jacrev(layer(numbers, eps=eps))(h[None])[0, :, 0]
        expected = theory.normalization_jacobian(h.numpy(), centred, eps)
        np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


def squared_norm(tensors):
    """Of weights and biases together: layer normalization divides both by the same number."""
    return sum(tensor.square().sum().item() for tensor in tensors)


@pytest.mark.parametrize("normalization", ["batch", "layer", "rms"])
def test_squared_norms_grow_by_the_squared_steps(normalization):
    inputs, labels = spirals(60)
    for seed in SEEDS:
        torch.manual_seed(seed)
        net = MLP(2, 16, 2, 3, "tanh", "xavier", normalization)
        for block in net.blocks:
            block.norm.eps = 1e-30  # ε breaks the invariance, and batch normalization refuses 0
        layer, optimizer = net.blocks[1].linear, torch.optim.SGD(net.parameters(), lr=0.5)
        norms, gradients = [squared_norm(layer.parameters())], []
        for _ in range(10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(inputs), labels).backward()
            gradients.append(squared_norm(p.grad for p in layer.parameters()))
            optimizer.step()
            norms.append(squared_norm(layer.parameters()))
        expected = theory.squared_norm_growth(norms[0], 0.5, gradients)
        np.testing.assert_allclose(norms, expected, rtol=1e-9)
        assert norms[-1] > norms[0] * (1 + 1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.batch_norm_factor("rleu"), "batch_norm_factor: activation 'rleu' is unknown"),
        (lambda: theory.batch_norm_factor("relu", 3), "batch=3; expected at least 4, or inf"),
        (lambda: theory.batch_norm_factor("relu", 4.5), "batch=4.5; expected whole numbers"),
        (lambda: theory.layer_norm_factor("rleu"), "layer_norm_factor: activation 'rleu' is unknown"),
        (lambda: theory.normalization_jacobian(np.ones((2, 2))), "expected a vector of finite numbers"),
        (lambda: theory.normalization_jacobian([1.0, np.nan]), r"h=\[ 1. nan\]; expected a vector"),
        (lambda: theory.normalization_jacobian(np.ones(3)), "variance_plus_eps=0.0; expected"),
        (lambda: theory.normalization_jacobian(np.arange(3), eps=-1), "eps=-1; expected"),
        (lambda: theory.squared_norm_growth(0.0, 0.1, [1.0]), "squared_norm=0.0; expected"),
        (lambda: theory.squared_norm_growth(1.0, -0.1, [1.0]), "lr=-0.1; expected"),
    ],
)
def test_outside_the_domain_the_argument_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
