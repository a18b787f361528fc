"""Networks compute their equations."""

import pytest
import torch
from torch import nn

from gradlib import MLP
from gradlib.activations import ACTIVATIONS, activation, slope
from gradlib.residual import ResidualMLP, fixup


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


def linear_of(block):
    return next(layer for layer in block.branch if isinstance(layer, nn.Linear))


EQUATIONS = {
    "pre_activation": lambda x, linear, norm: x + 0.3 * linear(norm(x).relu()),
    "post_activation": lambda x, linear, norm: x + 0.3 * norm(linear(x)).relu(),
    "relu_after_addition": lambda x, linear, norm: (x + 0.3 * norm(linear(x))).relu(),
    "norm_after_addition": lambda x, linear, norm: norm(x + 0.3 * linear(x.relu())),
}
NORMS = {
    None: lambda x: x,
    "layer": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, False, keepdim=True) + 1e-5).sqrt(),
    "rms": lambda x: x / (x.square().mean(1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt(),
    "batch": lambda x: (x - x.mean(0)) / (x.var(0, False) + 1e-5).sqrt(),
}


@pytest.mark.parametrize("normalization", NORMS)
@pytest.mark.parametrize("ordering", EQUATIONS)
def test_a_residual_block_is_its_equation(ordering, normalization):
    net = ResidualMLP(3, 5, 2, 1, ordering=ordering, normalization=normalization, scale=0.3)
    x = torch.randn(7, 5)
    for block in net.blocks:
        expected = EQUATIONS[ordering](x, linear_of(block), NORMS[normalization])
        torch.testing.assert_close(block(x), expected)
        x = expected
    assert net(torch.randn(7, 3)).shape == (7, 1)


def test_a_branch_can_have_several_layers():
    net = ResidualMLP(3, 5, 1, 1, "tanh", "relu_after_addition", branch_layers=2)
    (first, second), x = (
        (layer for layer in net.blocks[0].branch if isinstance(layer, nn.Linear)),
        torch.randn(7, 5),
    )
    torch.testing.assert_close(net.blocks(x), (x + second(first(x).tanh())).tanh())


def test_only_branches_make_up_for_what_relu_removes():
    net = ResidualMLP(400, 400, 1, 400)
    for layer, weight_variance in [(net.stem, 1), (linear_of(net.blocks[0]), 2), (net.readout, 1)]:
        assert 400 * layer.weight.var().item() == pytest.approx(weight_variance, rel=0.03)
        assert not layer.bias.any()


def test_a_learned_scale_starts_at_zero_and_moves():
    net = ResidualMLP(3, 5, 4, 1, scale=0.0, learned_scale=True)
    x = torch.randn(7, 3)
    torch.testing.assert_close(net.blocks(x[:, :1].expand(7, 5)), x[:, :1].expand(7, 5))
    net(x).square().mean().backward()
    scales = [block.branch[-1].value for block in net.blocks]
    assert all(scale.grad != 0 for scale in scales)
    assert not list(ResidualMLP(3, 5, 4, 1, scale=0.5).blocks[0].branch[-1].parameters())


def test_fixup_scales_inner_layers_by_depth_and_empties_the_last():
    torch.manual_seed(1)
    plain = ResidualMLP(3, 5, 16, 2, branch_layers=3)
    torch.manual_seed(1)
    net = fixup(ResidualMLP(3, 5, 16, 2, branch_layers=3))
    for block, before in zip(net.blocks, plain.blocks, strict=True):
        *inner, last = [layer for layer in block.branch if isinstance(layer, nn.Linear)]
        drawn = [layer for layer in before.branch if isinstance(layer, nn.Linear)]
        for layer, old in zip(inner, drawn, strict=False):
            torch.testing.assert_close(layer.weight, old.weight * 16**-0.25)
        assert not last.weight.any()
    assert not net.readout.weight.any()


def test_fixup_needs_two_layers_in_a_branch():
    with pytest.raises(ValueError, match="branch_layers=1; expected at least 2"):
        fixup(ResidualMLP(3, 5, 2, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ordering": "pre"}, "ResidualMLP: ordering 'pre' is unknown; choose from pre_activation, post"),
        ({"normalization": "group"}, "ResidualMLP: normalization 'group' is unknown; choose from batch"),
        ({"activation": "rleu"}, "activation 'rleu' is unknown"),
        ({"depth": 0}, "ResidualMLP: depth=0; expected"),
        ({"branch_layers": 0}, "ResidualMLP: branch_layers=0; expected"),
    ],
)
def test_bad_input_to_a_residual_net_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualMLP(**{"inputs": 2, "width": 4, "depth": 3, "outputs": 1, **arguments})
