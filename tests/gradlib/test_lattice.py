"""The lattice against networks built one by one, and against mean-field theory."""

from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradlib import theory
from gradlib.lattice import measure_lattice


def one_by_one(activation, weight_variance, bias_variance, depth, width):
    """Length and correlation of the last layer, and factor per layer, of a network of `nn.Linear`."""
    layers = [nn.Linear(width, width) for _ in range(depth - 1)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=sqrt(weight_variance / width))
        nn.init.normal_(layer.bias, std=sqrt(bias_variance))
    shared, own = torch.randn(width), torch.randn(2, width)
    first = h = (sqrt(0.5) * shared + sqrt(0.5) * own).requires_grad_()
    for layer in layers:
        h = layer(activation(h))
    start = torch.randn(2, width)
    (gradient,) = torch.autograd.grad(h, first, start)
    ratio = (gradient.square().sum() / start.square().sum()).item()
    return h.square().mean().item(), F.cosine_similarity(h[0], h[1], dim=0).item(), ratio ** (1 / (depth - 1))


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_lattice_measures_what_single_networks_do(name):
    depth, width = 8, 256
    activation = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu}[name]
    lattice = measure_lattice(name, [1.0, 1.5], [0.05, 0.2], depth, width, range(8))
    for i, weight_variance in enumerate((1.0, 1.5)):
        for j, bias_variance in enumerate((0.05, 0.2)):
            single = [one_by_one(activation, weight_variance, bias_variance, depth, width) for _ in range(8)]
            length, correlation, factor = np.mean(single, axis=0)
            assert lattice.length[i, j, :, -1].mean() == pytest.approx(length, rel=0.25)
            assert lattice.correlation[i, j, :, -1].mean() == pytest.approx(correlation, abs=0.08)
            assert lattice.gradient_factor[i, j].mean() == pytest.approx(factor, rel=0.07)


@pytest.mark.parametrize("name", theory.ACTIVATIONS)
def test_lattice_agrees_with_theory_layer_by_layer(name):
    depth = 8
    lattice = measure_lattice(name, [0.8, 1.4], [0.05], depth, 512, range(6), q_first=2.0, c_first=0.3)
    for i, weight_variance in enumerate((0.8, 1.4)):
        setting = (name, depth, weight_variance, 0.05, 2.0)
        np.testing.assert_allclose(lattice.length[i, 0].mean(0), theory.length_profile(*setting), rtol=0.15)
        np.testing.assert_allclose(
            np.log(lattice.squared_gradient[i, 0]).mean(0),
            np.log(theory.gradient_profile(*setting)),
            atol=0.2,
        )
        c, q = 0.3, 2.0
        for layer in range(1, depth):
            c = float(theory.correlation_map(name, c, q, weight_variance, 0.05))
            q = float(theory.length_map(name, q, weight_variance, 0.05))
            assert lattice.correlation[i, 0, :, layer].mean() == pytest.approx(c, abs=0.08)


def test_first_layer_and_last_gradient_are_exact():
    lattice = measure_lattice("tanh", [1.0, 2.0], [0.0], 4, 32, [3], q_first=1.7, c_first=-0.4)
    assert lattice.length.shape == (2, 1, 1, 4)
    np.testing.assert_allclose(lattice.length[..., 0], 1.7)
    np.testing.assert_allclose(lattice.correlation[..., 0], -0.4)
    np.testing.assert_allclose(lattice.squared_gradient[..., -1], 1.0)
    expected = lattice.squared_gradient[..., 0] ** (1 / 3)
    np.testing.assert_allclose(lattice.gradient_factor, expected)


def test_a_setting_and_a_seed_do_not_depend_on_their_company():
    whole = measure_lattice("gelu", [0.5, 1.0, 2.0], [0.0, 0.2], 6, 24, [0, 1, 2])
    alone = measure_lattice(F.gelu, 2.0, 0.2, 6, 24, [1])
    for name in ("length", "correlation", "squared_gradient"):
        np.testing.assert_allclose(getattr(whole, name)[2, 1, 1], getattr(alone, name)[0, 0, 0], rtol=1e-12)
    assert not np.allclose(whole.length[:, :, 0, -1], whole.length[:, :, 1, -1])


def test_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    measure_lattice("relu", [2.0], [0.0], 3, 8, [0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"activation": "rleu"}, "activation 'rleu' is unknown; choose from"),
        ({"weight_variances": [1.0, 0.0]}, "measure_lattice: weight_variances=[1. 0.]; expected numbers > 0"),
        ({"bias_variances": -0.1}, "measure_lattice: bias_variances=[-0.1]; expected numbers ≥ 0"),
        ({"depth": 1}, "measure_lattice: depth=1; expected at least 2 layers"),
        ({"width": 1}, "measure_lattice: width=1; expected at least 2 units"),
        ({"seeds": []}, "measure_lattice: seeds=[]; expected at least one"),
        ({"q_first": 0.0}, "measure_lattice: q_first=0.0; expected a number > 0"),
        ({"c_first": 1.5}, "measure_lattice: c_first=1.5; expected a correlation between -1 and 1"),
    ],
)
def test_arguments_outside_the_domain_say_so(change, message):
    arguments = {
        "activation": "tanh",
        "weight_variances": [1.0],
        "bias_variances": [0.0],
        "depth": 3,
        "width": 4,
        "seeds": [0],
    }
    with pytest.raises(ValueError) as error:
        measure_lattice(**{**arguments, **change})
    assert message in str(error.value)
    assert str(error.value).startswith("gradlib")
