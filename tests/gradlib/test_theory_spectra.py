"""Predicted spectra against singular values of random matrices and networks."""

from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn

from gradlib import theory

SEEDS = range(5)


def gaussian(n_out, n_in, weight_variance=1.0):
    return torch.randn(n_out, n_in) * sqrt(weight_variance / n_in)


@pytest.mark.parametrize("n_in, n_out, weight_variance", [(600, 300, 1.0), (300, 600, 1.0), (500, 500, 2.0)])
def test_edges_and_density_of_one_gaussian_matrix(n_in, n_out, weight_variance):
    low, high = theory.gaussian_edges(n_in, n_out, weight_variance)
    measured = torch.stack(
        [torch.linalg.svdvals(gaussian(n_out, n_in, weight_variance)) for _ in SEEDS]
    ).numpy()
    assert measured.max(1).mean() == pytest.approx(high, rel=0.02)
    assert measured.min(1).mean() == pytest.approx(low, abs=0.02 * high)
    grid = np.linspace(max(low, 1e-9), high, 4001)
    density = theory.gaussian_density(grid, n_in, n_out, weight_variance)
    cumulative = np.cumsum((density[1:] + density[:-1]) / 2) * (grid[1] - grid[0])
    assert cumulative[-1] == pytest.approx(1.0, abs=2e-3)
    share_below = (measured[..., None] < grid[1:]).mean((0, 1))
    np.testing.assert_allclose(share_below, cumulative, atol=0.01)


def test_density_is_zero_outside_the_edges():
    np.testing.assert_array_equal(theory.gaussian_density(np.array([0.1, 3.0]), 400, 100), [0.0, 0.0])


def test_lyapunov_exponents_of_long_gaussian_products():
    width, layers = 6, 1500
    measured = []
    for _ in SEEDS:
        directions, growth = torch.eye(width), torch.zeros(width)
        for _ in range(layers):
            directions, step = torch.linalg.qr(gaussian(width, width, 1.3) @ directions)
            growth += step.diagonal().abs().log()
        measured.append(growth / layers)
    predicted = theory.lyapunov_exponents(width, 1.3)
    np.testing.assert_allclose(torch.stack(measured).mean(0), predicted, atol=0.03)
    assert (np.diff(predicted) < 0).all()


def test_largest_exponent_is_the_rate_of_a_typical_gradient():
    width = 32
    law = theory.lognormal_gradient([width], 1.0, "identity")
    assert theory.lyapunov_exponents(width)[0] == pytest.approx(law.log_mean / 2)


def test_edge_of_a_product_of_wide_matrices():
    depth, width = 6, 400
    largest = [
        torch.linalg.matrix_norm(
            torch.linalg.multi_dot([gaussian(width, width, 1.2) for _ in range(depth)]), 2
        )
        for _ in SEEDS
    ]
    assert np.mean(largest) == pytest.approx(theory.product_edge(depth, 1.2), rel=0.06)
    assert theory.product_edge(1) == pytest.approx(theory.gaussian_edges(9, 9)[1])


@pytest.mark.parametrize(
    "name, activation, weight_variance, orthogonal",
    [
        ("tanh", torch.tanh, 1.5, False),
        ("tanh", torch.tanh, 1.5, True),
        ("relu", torch.relu, 2.0, False),
        ("relu", torch.relu, 2.0, True),
        ("identity", lambda h: h, 1.0, False),
    ],
)
def test_moments_of_the_input_output_jacobian(name, activation, weight_variance, orthogonal):
    depth, width = 8, 400
    q = float(theory.fixed_point(name, weight_variance))
    squared = []
    for _ in SEEDS:
        h, product = torch.randn(width) * sqrt(q), torch.eye(width)
        for _ in range(depth):
            h = (h * sqrt(q / h.square().mean())).requires_grad_()  # held at q: theory's premise
            x = activation(h)
            (slope,) = torch.autograd.grad(x.sum(), h)
            W = gaussian(width, width)
            W = (nn.init.orthogonal_(W) if orthogonal else W) * sqrt(weight_variance)
            h, product = (W @ x).detach(), W @ (slope[:, None] * product)
        squared.append(torch.linalg.svdvals(product).square())
    mean, variance = theory.jacobian_moments(name, q, depth, weight_variance, orthogonal)
    values = torch.stack(squared)
    assert values.mean().item() ** (1 / depth) == pytest.approx(mean ** (1 / depth), rel=0.025)
    assert (values.var() / values.mean() ** 2).item() == pytest.approx(variance / mean**2, rel=0.1)


def test_dynamical_isometry_needs_orthogonal_weights_and_one_slope():
    assert theory.jacobian_moments("identity", 1.0, 50, 1.0, orthogonal=True) == pytest.approx((1, 0))
    assert theory.jacobian_moments("tanh", 0.0, 50, 1.0, orthogonal=True) == pytest.approx((1, 0))
    assert theory.jacobian_moments("relu", 1.0, 50, 2.0, orthogonal=True) == pytest.approx((1, 50))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: theory.gaussian_edges(0, 3), "gaussian_edges: n_in=0; expected whole numbers ≥ 1"),
        (lambda: theory.gaussian_edges(3, 3, -1.0), "gaussian_edges: weight_variance=-1.0; expected"),
        (lambda: theory.gaussian_density(0.0, 3, 3), "gaussian_density: s=0.0; expected a finite number > 0"),
        (lambda: theory.lyapunov_exponents(0), "lyapunov_exponents: width=0; expected whole numbers ≥ 1"),
        (lambda: theory.lyapunov_exponents(3, 0.0), "lyapunov_exponents: weight_variance=0.0; expected"),
        (lambda: theory.product_edge(0), "product_edge: depth=0; expected whole numbers ≥ 1"),
        (lambda: theory.product_edge(2, 0.0), "product_edge: weight_variance=0.0; expected"),
        (
            lambda: theory.jacobian_moments("rleu", 1.0, 2, 1.0),
            "jacobian_moments: activation 'rleu' is unknown",
        ),
        (lambda: theory.jacobian_moments("relu", -1.0, 2, 1.0), "jacobian_moments: q=-1.0; expected"),
        (lambda: theory.jacobian_moments("relu", 1.0, 0, 1.0), "jacobian_moments: depth=0; expected"),
        (lambda: theory.jacobian_moments("relu", 1.0, 2, 0.0), "jacobian_moments: weight_variance=0.0"),
    ],
)
def test_arguments_outside_the_domain_say_so(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert str(error.value).startswith("gradlib.theory.")
