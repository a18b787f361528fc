"""The MLP computes its equation."""

import pytest
import torch
from torch import nn

from gradlib import MLP
from gradlib.activations import ACTIVATIONS, activation, slope


def test_forward_is_the_equation_in_its_docstring():
    net = MLP(inputs=3, width=5, depth=2, outputs=2, activation="tanh", initialization="default")
    x = torch.randn(7, 3)
    expected = x
    for block in net.blocks:
        expected = torch.tanh(expected @ block.linear.weight.T + block.linear.bias)
    expected = expected @ net.readout.weight.T + net.readout.bias
    torch.testing.assert_close(net(x), expected)


def test_residual_blocks_add_their_input_where_sizes_agree():
    net = MLP(3, 5, 2, 1, residual=True)
    x = torch.randn(7, 5)
    block = net.blocks[1]
    torch.testing.assert_close(block(x), x + torch.relu(block.linear(x)))
    assert net.blocks[0](torch.randn(7, 3)).shape == (7, 5)


@pytest.mark.parametrize("normalization", ["batch", "layer", "rms"])
def test_normalization_gives_pre_activations_unit_scale(normalization):
    net = MLP(16, 256, 3, 1, "identity", ("lecun", {"gain": 9.0}), normalization=normalization)
    assert net.blocks(torch.randn(64, 16)).square().mean().item() == pytest.approx(1, rel=0.01)


def test_widths_can_differ_from_layer_to_layer():
    net = MLP(4, [8, 16, 2], 3, 1)
    assert [tuple(block.linear.weight.shape) for block in net.blocks] == [(8, 4), (16, 8), (2, 16)]


def test_initialization_takes_options():
    net = MLP(4, 4, 2, 4, initialization=("orthogonal", {"gain": 3.0}))
    torch.testing.assert_close(net.readout.weight @ net.readout.weight.T, 9 * torch.eye(4))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_slope_agrees_with_a_finite_difference(name):
    function = activation(name)
    h = torch.linspace(-3, 3, 20)  # an even number of points: none on the kink at 0
    difference = (function(h + 1e-6) - function(h - 1e-6)) / 2e-6
    torch.testing.assert_close(slope(function, h), difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "rleu"}, "activation 'rleu' is unknown; choose from elu, gelu, identity"),
        ({"initialization": "kaiming"}, "scheme 'kaiming' is unknown"),
        (
            {"normalization": "group"},
            "normalization 'group' is unknown; choose from batch, layer, rms or None",
        ),
        ({"depth": 0}, "depth=0; expected an integer of at least 1"),
        ({"width": [4, 4]}, r"width=\[4, 4\] gives 2 layers, but depth=3"),
        ({"outputs": -1}, "outputs=-1; expected"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**{"inputs": 2, "width": 4, "depth": 3, "outputs": 1, **arguments})


def test_net_is_an_ordinary_module():
    net = MLP(2, 4, 3, 1)
    clone = MLP(2, 4, 3, 1)
    clone.load_state_dict(net.state_dict())
    x = torch.randn(5, 2)
    torch.testing.assert_close(clone(x), net(x))
    assert isinstance(net.blocks, nn.Sequential)
