"""Finite width and finite precision against many small networks of PyTorch."""

from itertools import pairwise
from math import ceil, sqrt

import pytest
import torch
from torch import nn

from gradlib import theory


def backward_through(activation, widths, weight_variance, networks):
    """‖g_1‖² / ‖g_L‖² of many independent networks with layers of these widths, and their last outputs."""
    h = torch.randn(networks, widths[0], 1).requires_grad_()
    first, gradient_starts = h, torch.randn(networks, widths[-1], 1)
    for n_in, n_out in pairwise(widths):
        h = torch.randn(networks, n_out, n_in) * sqrt(weight_variance / n_in) @ activation(h)
    (gradient,) = torch.autograd.grad(h, first, gradient_starts)
    return gradient.square().sum((1, 2)) / gradient_starts.square().sum((1, 2)), h.detach()


@pytest.mark.parametrize(
    "name, activation, weight_variance, widths",
    [
        ("relu", torch.relu, 2.0, [32] * 21),
        ("relu", torch.relu, 1.5, [24, 64, 16, 48] * 3),
        ("identity", lambda h: h, 1.0, [32] * 21),
    ],
)
def test_logarithm_of_the_gradient_has_the_predicted_mean_spread_and_quantiles(
    name, activation, weight_variance, widths
):
    shares, _ = backward_through(activation, widths, weight_variance, networks=2000)
    logs = shares.log()
    law = theory.lognormal_gradient(widths[:-1], weight_variance, name)
    assert logs.mean().item() == pytest.approx(law.log_mean, abs=4 * sqrt(law.log_variance / 2000))
    assert logs.var().item() == pytest.approx(law.log_variance, rel=0.13)
    assert shares.median().item() == pytest.approx(law.median, rel=0.2)
    for probability in (0.1, 0.9):
        below = (shares < law.quantile(probability)).double().mean().item()
        assert below == pytest.approx(probability, abs=0.03)


def test_mean_over_networks_hides_what_the_median_shows():
    widths = [64] * 11
    shares, _ = backward_through(torch.relu, widths, 2.0, networks=1000)
    law = theory.lognormal_gradient(widths[:-1])
    assert law.mean == 1.0
    assert shares.mean().item() == pytest.approx(law.mean, rel=0.15)
    assert law.median < 0.7
    beta = 5 * 10 / 64  # Hanin & Nica 2020: the leading order
    assert law.log_variance == pytest.approx(beta, rel=0.08)
    assert law.log_mean == pytest.approx(-beta / 2, rel=0.05)


def test_share_of_networks_born_dead():
    widths = [4] * 10
    _, outputs = backward_through(torch.relu, [*widths, 4], 2.0, networks=5000)
    dead = (outputs == 0).all(1).double().mean().item()
    assert dead == pytest.approx(theory.born_dead_probability(widths), abs=0.03)
    assert theory.born_dead_probability([1]) == pytest.approx(0.5)
    assert theory.born_dead_probability([60] * 10) == pytest.approx(10 * 2.0**-60)


@pytest.mark.parametrize("factor", [1 / 16, 0.0557, 1 / 6, 0.9])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_underflow_is_the_first_depth_that_rounds_to_zero(factor, dtype):
    depth = ceil(theory.depth_to_underflow(factor, dtype) - 1e-9)
    before, there = torch.tensor([factor ** ((depth - 1) / 2), factor ** (depth / 2)]).to(dtype)
    assert there == 0 < before


def test_half_precision_sigmoid_network_dies_where_predicted():
    width, chi = 256, float(theory.gradient_factor("sigmoid", 1.0, theory.fixed_point("sigmoid", 1.0)))
    predicted = round(theory.depth_to_underflow(chi, torch.float16))
    for _ in range(5):
        layers = [nn.Linear(width, width) for _ in range(predicted + 4)]
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            layer.half()
        outputs = [torch.randn(1, width).half().requires_grad_()]
        for layer in layers:
            outputs.append(layer(torch.sigmoid(outputs[-1])))
        gradients = torch.autograd.grad(outputs[-1], outputs, torch.randn(1, width).sign().half())
        mostly_zero = [(g == 0).double().mean().item() > 0.5 for g in reversed(gradients)]
        assert abs(mostly_zero.index(True) - predicted) <= 2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: theory.lognormal_gradient([8], activation="tanh"), "activation 'tanh' has no such law"),
        (
            lambda: theory.lognormal_gradient([8, 0]),
            "lognormal_gradient: widths=[8 0]; expected whole numbers",
        ),
        (lambda: theory.lognormal_gradient([8], 0.0), "lognormal_gradient: weight_variance=0.0; expected"),
        (lambda: theory.lognormal_gradient([8]).quantile(1.0), "probability=1.0; expected 0 < p < 1"),
        (
            lambda: theory.born_dead_probability([]),
            "born_dead_probability: widths=[]; expected whole numbers",
        ),
        (lambda: theory.depth_to_underflow(1.0, torch.float32), "factor=1.0; expected 0 < factor < 1"),
        (lambda: theory.depth_to_underflow(0.5, torch.int8), "torch.int8 is not a floating-point type"),
    ],
)
def test_arguments_outside_the_domain_say_so(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert str(error.value).startswith("gradlib.theory.")
