"""Training several seeds together is training each alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gradlib import MLP
from gradlib.data import gaussian_inputs, spirals
from gradlib.training import train


def alone(seed, optimizer, inputs, labels, steps, lr, normalization=None):
    torch.manual_seed(seed)
    net = MLP(2, 8, 3, 3, "tanh", "xavier", normalization)
    step, losses = optimizer(net.parameters(), lr=lr), []
    for _ in range(steps):
        step.zero_grad()
        loss = F.cross_entropy(net(inputs), labels)
        loss.backward()
        step.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("optimizer", "lr"), [(torch.optim.SGD, 0.5), (torch.optim.Adam, 0.01)])
def test_each_seed_runs_as_it_would_alone(optimizer, lr):
    inputs, labels = spirals(60)
    together = train(lambda: MLP(2, 8, 3, 3, "tanh", "xavier"), inputs, labels, 30, lr, range(3), optimizer)
    expected = [alone(seed, optimizer, inputs, labels, 30, lr) for seed in range(3)]
    np.testing.assert_allclose(together, expected, rtol=1e-9)


@pytest.mark.parametrize("normalization", ["batch", "layer", "rms"])
def test_each_seed_runs_as_it_would_alone_under_normalization(normalization):
    inputs, labels = spirals(60)
    together = train(
        lambda: MLP(2, 8, 3, 3, "tanh", "xavier", normalization),
        inputs,
        labels,
        20,
        0.1,
        range(3),
        torch.optim.SGD,
    )
    expected = [alone(seed, torch.optim.SGD, inputs, labels, 20, 0.1, normalization) for seed in range(3)]
    np.testing.assert_allclose(together, expected, rtol=1e-9)
    assert together[0, -1] < together[0, 0]


def test_what_is_frozen_stays_so():
    inputs, labels = spirals(60)

    def frozen():
        net = MLP(2, 8, 3, 3, "tanh", "xavier")
        net.blocks[0].requires_grad_(False)
        return net

    torch.manual_seed(0)
    net = frozen()
    step = torch.optim.SGD([weight for weight in net.parameters() if weight.requires_grad], lr=0.5)
    expected = []
    for _ in range(20):
        step.zero_grad()
        loss = F.cross_entropy(net(inputs), labels)
        loss.backward()
        step.step()
        expected.append(loss.item())
    losses = train(frozen, inputs, labels, 20, 0.5, range(1), torch.optim.SGD)
    np.testing.assert_allclose(losses[0], expected, rtol=1e-9)


def test_real_targets_are_fitted_by_squared_error():
    inputs = gaussian_inputs(64, 4)
    losses = train(lambda: MLP(4, 16, 1, 1, "identity"), inputs, inputs[:, :1], steps=200, lr=0.02)
    assert losses.shape == (5, 200)
    assert (losses[:, -1] < 1e-2 * losses[:, 0]).all()


@pytest.mark.parametrize(("steps", "lr"), [(0, 0.1), (10, 0.0)])
def test_bad_input_is_named(steps, lr):
    with pytest.raises(ValueError, match=f"steps={steps}, lr={lr}"):
        train(lambda: MLP(2, 4, 1, 1), torch.zeros(1, 2), torch.zeros(1, 1), steps, lr)


def test_spirals_are_balanced_scaled_and_repeatable():
    inputs, labels = spirals(300)
    assert torch.bincount(labels).tolist() == [100, 100, 100]
    assert inputs.square().mean().item() == pytest.approx(1)
    assert torch.equal(inputs, spirals(300)[0])
    assert not torch.equal(inputs, spirals(300, seed=1)[0])
    with pytest.raises(ValueError, match="samples=100 must be a multiple of classes=3"):
        spirals(100)


def test_no_linear_model_separates_the_spirals():
    inputs, labels = spirals(150)
    linear = train(lambda: MLP(2, 8, 1, 3, "identity"), inputs, labels, steps=300, lr=0.05)
    assert (linear[:, -1] > 0.9).all()


def test_a_network_that_cannot_learn_is_refused():
    inputs, labels = spirals(60)
    with pytest.raises(ValueError, match="build returned a network without a parameter"):
        train(lambda: MLP(2, 8, 3, 3, "tanh", "xavier").requires_grad_(False), inputs, labels, 1, 0.1)


def test_several_builds_train_side_by_side_as_each_does_alone():
    inputs, labels = spirals(60)
    builds = [lambda scheme=scheme: MLP(2, 8, 3, 3, "tanh", scheme) for scheme in ["xavier", "default"]]
    together = train(builds, inputs, labels, 20, 0.01, range(3))
    alone = [train(build, inputs, labels, 20, 0.01, range(3)) for build in builds]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_builds_that_compute_something_else_are_refused():
    inputs, labels = spirals(60)
    builds = [lambda name=name: MLP(2, 8, 3, 3, name) for name in ["tanh", "relu"]]
    with pytest.raises(ValueError, match=r"(?s)returned MLP.*ReLU.* after .*Tanh.*expected the same"):
        train(builds, inputs, labels, 1, 0.1)
