"""Skip and branch apart, and the gradient path by path."""

from itertools import product

import pytest
import torch
from torch import nn

from gradlib.paths import fork_gradients, gradient_by_path_length
from gradlib.residual import ResidualMLP


def jacobians(net, x):
    """∂f_l/∂x_{l−1} of the branch of every block, for one input."""
    found = []
    for block in net.blocks:
        found.append(torch.autograd.functional.jacobian(block.branch, x[None])[0, :, 0])
        x = block(x)
    return found


def test_skip_and_branch_are_the_two_terms_of_the_chain_rule():
    net = ResidualMLP(3, 4, 3, 1, "tanh")
    x, target = torch.randn(1, 3), torch.zeros(1, 1)
    stream = net.stem(x)[0].detach()
    delta = 2 * net(x)[0].detach() @ net.readout.weight  # of the squared error
    forks = fork_gradients(net, [block.branch for block in net.blocks], x, target)
    for jacobian, fork in reversed(list(zip(jacobians(net, stream), forks, strict=True))):
        around, through = delta, delta @ jacobian
        delta = around + through
        assert fork.squared_skip == pytest.approx(around.square().sum().item())
        assert fork.squared_branch == pytest.approx(through.square().sum().item())
        assert fork.squared_gradient == pytest.approx(delta.square().sum().item())
        assert fork.alignment == pytest.approx(torch.cosine_similarity(around, through, dim=0).item())


class InPlace(nn.Module):
    """x += f(x), as some write it."""

    def __init__(self):
        super().__init__()
        self.stem, self.branch = nn.Linear(3, 3), nn.Tanh()

    def forward(self, x):
        x = self.stem(x)
        x += self.branch(x)
        return x.sum(1, keepdim=True)


def test_a_sum_in_place_is_measured_as_well():
    net, x = InPlace(), torch.randn(5, 3)
    slope = 1 - net.stem(x).tanh() ** 2
    delta = 2 * net(x) / 5
    (fork,) = fork_gradients(net, [net.branch], x, torch.zeros(5, 1))
    assert fork.squared_branch == pytest.approx((delta * slope).square().sum().item())
    assert fork.squared_gradient == pytest.approx((delta * (1 + slope)).square().sum().item())


@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_blocks_can_be_measured_from_where_their_branches_begin(norm_first):
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first)
    begins = [block.norm1, block.norm2] if norm_first else [block.linear1]
    forks = fork_gradients(
        block, begins, torch.randn(2, 5, 8), torch.zeros(()), lambda out, _: out.pow(3).sum()
    )
    assert all(fork.squared_skip > 0 and fork.squared_branch > 0 for fork in forks)


def test_nothing_is_left_behind():
    net = ResidualMLP(3, 4, 2, 2, normalization="batch")
    x = torch.randn(8, 3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    fork_gradients(net, [block.branch for block in net.blocks], x, torch.zeros(8, dtype=torch.long))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert not x.requires_grad


def test_a_branch_that_passes_nothing_has_no_angle():
    net = ResidualMLP(3, 4, 1, 1, scale=0.0)
    (fork,) = fork_gradients(net, [net.blocks[0].branch], torch.randn(5, 3), torch.zeros(5, 1))
    assert fork.squared_branch == 0
    assert fork.alignment != fork.alignment
    assert fork.squared_gradient == fork.squared_skip


def test_branches_are_called_once():
    net, x = ResidualMLP(3, 4, 2, 1), torch.randn(5, 3)
    for branches in ([], [nn.Tanh()]):
        with pytest.raises(ValueError, match=r"called \[0?\] times; expected at least one"):
            fork_gradients(net, branches, x, torch.zeros(5, 1))


def test_paths_of_each_length_are_the_terms_of_the_product_multiplied_out():
    net = ResidualMLP(3, 4, 3, 1, "tanh")
    x, gradient = torch.randn(4), torch.randn(4)
    expected = torch.zeros(4, 4)
    identity = torch.eye(4)
    for taken in product([0, 1], repeat=3):
        path = gradient
        for through, jacobian in reversed(list(zip(taken, jacobians(net, x), strict=True))):
            path = path @ (jacobian if through else identity)
        expected[sum(taken)] += path
    branches = [block.branch for block in net.blocks]
    found = gradient_by_path_length(branches, x[None], gradient[None])
    torch.testing.assert_close(found[:, 0], expected)
    with pytest.raises(ValueError, match="no branches"):
        gradient_by_path_length([], x[None], gradient[None])
