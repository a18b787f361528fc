"""Every scheme draws the variance that its paper asks for."""

import pytest
import torch
from torch import nn

from gradlib import initialize

FAN_IN, FAN_OUT = 400, 1600


def drawn(scheme, **options):
    return initialize(nn.Linear(FAN_IN, FAN_OUT), scheme, **options)


@pytest.mark.parametrize(
    ("scheme", "options", "variance"),
    [
        ("lecun", {}, 1 / FAN_IN),
        ("lecun", {"gain": 3.0}, 9 / FAN_IN),
        ("xavier", {}, 2 / (FAN_IN + FAN_OUT)),
        ("xavier", {"gain": 5 / 3}, 2 * (5 / 3) ** 2 / (FAN_IN + FAN_OUT)),
        ("he", {}, 2 / FAN_IN),
        ("he", {"mode": "fan_out"}, 2 / FAN_OUT),
        ("he", {"slope": 0.5}, 2 / (1.25 * FAN_IN)),
        ("mean_field", {"weight_variance": 1.7}, 1.7 / FAN_IN),
        ("default", {}, 1 / (3 * FAN_IN)),
    ],
)
def test_weight_variance(scheme, options, variance):
    weight = drawn(scheme, **options).weight
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean().item()) < 4 * (variance / weight.numel()) ** 0.5


def test_orthogonal_stretches_every_direction_alike():
    singular_values = torch.linalg.svdvals(drawn("orthogonal", gain=1.5).weight)
    torch.testing.assert_close(singular_values, torch.full((FAN_IN,), 1.5))


def test_convolutions_count_their_receptive_field():
    layer = initialize(nn.Conv2d(64, 128, 3), "he")
    assert layer.weight.var().item() == pytest.approx(2 / (64 * 9), rel=0.02)


@pytest.mark.parametrize(
    ("scheme", "options", "variance"),
    [("he", {"mode": "fan_out"}, 2 / 9), ("xavier", {}, 2 / 18), ("lecun", {}, 1 / 9)],
)
def test_a_group_of_a_convolution_feeds_only_its_own_units(scheme, options, variance):
    layer = nn.Conv2d(2048, 2048, 3, groups=2048)
    initialize(layer, scheme, **options)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    initialize(layer, "orthogonal")
    torch.testing.assert_close(layer.weight.detach().square().sum((1, 2, 3)), torch.ones(2048))


def test_biases_are_zero_unless_the_scheme_draws_them():
    assert drawn("he").bias.abs().max() == 0
    assert drawn("default").bias.var().item() == pytest.approx(1 / (3 * FAN_IN), rel=0.1)
    assert drawn("mean_field", bias_variance=0.4).bias.var().item() == pytest.approx(0.4, rel=0.1)


def test_every_layer_of_a_module_is_drawn_and_the_module_returned():
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)))
    assert initialize(net, "orthogonal") is net
    for layer in (net[0], net[1][1]):
        torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: drawn("kaiming"), ValueError, "scheme 'kaiming' is unknown; choose from default, he,"),
        (lambda: drawn("mean_field", weight_variance=-1), ValueError, "weight_variance=-1 is negative"),
        (lambda: initialize(nn.ReLU()), ValueError, "no linear or convolutional layer"),
        (
            lambda: initialize(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
            ValueError,
            "a weight is computed from other parameters",
        ),
        (
            lambda: drawn("he", gain=2.0),
            TypeError,
            "gradlib.initialize: 'he' has no option 'gain'; it takes mode, slope",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_drawn_when_an_option_is_wrong():
    layer = nn.Linear(3, 3)
    before = layer.weight.clone(), layer.bias.clone()
    with pytest.raises(TypeError):
        initialize(layer, "he", gain=2.0)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])
