"""How many units a whole batch leaves silent: theory against closed forms and against ReLU networks."""

import numpy as np
import pytest
import torch

from gradlib import MLP, theory
from gradlib.data import gaussian_inputs


@pytest.mark.parametrize("examples", [1, 2, 7, 128])
def test_closed_forms(examples):
    independent, half, same = theory.silent_probability([0.0, 0.5, 1.0], examples)
    assert independent == pytest.approx(0.5**examples)
    assert half == pytest.approx(1 / (examples + 1))
    # At c = 1 − 10⁻⁸, the closest that counts as less than one, N examples still differ a little.
    assert same == pytest.approx(0.5, abs=3e-4)


def test_two_examples_follow_sheppards_formula():
    c = np.linspace(0, 0.99, 12)
    expected = 0.25 + np.arcsin(c) / (2 * np.pi)
    np.testing.assert_allclose(theory.silent_probability(c, 2), expected, rtol=1e-8)


def test_a_very_large_batch_still_silences_a_few():
    # Powers of a Φ that was rounded to one would all be the same.
    shares = theory.silent_probability(0.99, np.array([10**12, 10**16, 10**18]))
    assert (np.diff(shares) < 0).all() and shares[-1] > 0


def test_arguments_broadcast():
    shares = theory.silent_probability(np.array([[0.2], [0.8]]), np.array([1, 4, 16]))
    assert shares.shape == (2, 3)
    assert (np.diff(shares, axis=1) < 0).all() and (np.diff(shares[:, 1:], axis=0) > 0).all()


@pytest.mark.parametrize("bias_variance", [0.0, 1.0])
def test_relu_networks(bias_variance):
    depth, examples = 30, 64
    scheme = ("mean_field", {"weight_variance": 2.0, "bias_variance": bias_variance})
    shares = []
    for seed in range(5):
        torch.manual_seed(seed)
        x, share = gaussian_inputs(examples, 256, seed=seed), []
        for block in MLP(256, 256, depth, 1, "relu", scheme).blocks:
            h = block.linear(x)
            share.append((h <= 0).all(dim=0).double().mean().item())
            x = block.activation(h)
        shares.append(share)
    q_first = 2.0 + bias_variance
    c = theory.correlation_profile("relu", depth, 2.0, bias_variance, q_first, bias_variance / q_first)
    predicted = theory.silent_probability(c, examples)
    np.testing.assert_allclose(np.mean(shares, axis=0), predicted, atol=0.06)


@pytest.mark.parametrize(
    ("c", "examples", "message"),
    [
        (-0.1, 4, "c=-0.1; expected a finite number ≥ 0"),
        (1.1, 4, "expected correlations between -1 and 1"),
        (0.5, 0, "examples=0; expected whole numbers ≥ 1"),
        (0.5, 2.5, "examples=2.5; expected whole numbers ≥ 1"),
    ],
)
def test_errors(c, examples, message):
    with pytest.raises(ValueError, match=message):
        theory.silent_probability(c, examples)
