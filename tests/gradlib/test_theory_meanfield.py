"""Mean-field theory against random layers and networks of PyTorch, and against published numbers."""

from itertools import pairwise
from math import exp, inf, log, pi, sqrt

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import erf
from torch import nn
from torch.nn import functional as F

from gradlib import theory
from gradlib.theory.gaussian import gaussian_mean, gaussian_pair_mean

TORCH = {
    "identity": lambda h: h,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
}
SEEDS = range(5)


def linear(n_in, n_out, weight_variance, bias_variance=0.0):
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, std=sqrt(weight_variance / n_in))
    nn.init.normal_(layer.bias, std=sqrt(bias_variance))
    return layer


def crossing(name, layer, q, c, pairs=32):
    """Length, correlation and factor of the squared gradient of many pairs across φ and one layer."""
    u, v = torch.randn(2, pairs, layer.in_features) * sqrt(q)
    h = torch.stack([u, c * u + sqrt(1 - c**2) * v]).requires_grad_()
    outputs = layer(TORCH[name](h))
    upstream = torch.randn_like(outputs)
    (gradient,) = torch.autograd.grad(outputs, h, upstream)
    with torch.no_grad():
        length = outputs.square().mean()
        correlation = outputs.prod(0).mean() / length
        factor = gradient.square().sum() / upstream.square().sum()
    return np.array([length.item(), correlation.item(), factor.item()])


def network(name, depth, width, weight_variance, bias_variance=0.0, q_first=1.0, c_first=0.5):
    """Lengths, correlations and squared gradients (as shares of the last) of h_1 … h_depth of two inputs."""
    u, v = torch.linalg.qr(torch.randn(width, 2)).Q.T * sqrt(q_first * width)
    outputs = [torch.stack([u, c_first * u + sqrt(1 - c_first**2) * v]).requires_grad_()]
    for _ in range(depth - 1):
        outputs.append(linear(width, width, weight_variance, bias_variance)(TORCH[name](outputs[-1])))
    gradients = torch.autograd.grad(outputs[-1], outputs, torch.randn(2, width))
    lengths = [h.square().mean().item() for h in outputs]
    correlations = [F.cosine_similarity(h[0], h[1], dim=0).item() for h in outputs]
    squared = np.array([g.square().sum().item() for g in gradients])
    return np.array(lengths), np.array(correlations), squared / squared[-1]


# Averages


@pytest.mark.parametrize("name", theory.ACTIVATIONS)
def test_values_and_slopes_are_those_of_torch(name):
    x = torch.linspace(-9.05, 9.05, 182).requires_grad_()
    value = TORCH[name](x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    ours = theory.ACTIVATIONS[name]
    grid = x.detach().numpy()
    np.testing.assert_allclose(ours.value(grid), value.detach(), atol=1e-14)
    np.testing.assert_allclose(ours.slope(grid), slope, atol=1e-14)


@pytest.mark.parametrize("q", [1e-4, 1.0, 1e3])
@pytest.mark.parametrize("name", theory.ACTIVATIONS)
def test_gaussian_mean_agrees_with_adaptive_quadrature(name, q):
    slope = theory.ACTIVATIONS[name].slope

    def integrand(z):
        return float(slope(np.float64(sqrt(q) * z))) ** 2 * exp(-(z**2) / 2) / sqrt(2 * pi)

    edges = [-10, -5 / sqrt(q), 0, 5 / sqrt(q), 10] if q > 1 else [-10, 0, 10]
    reference = sum(quad(integrand, a, b, epsabs=1e-13)[0] for a, b in pairwise(edges))
    assert gaussian_mean(lambda x: slope(x) ** 2, q) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize("q", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("c", [-1.0, -0.7, 0.0, 0.3, 0.999, 1.0])
def test_gaussian_pair_mean_agrees_with_closed_forms(q, c):
    both_positive = (pi - np.arccos(c)) / (2 * pi)  # Sheppard 1899
    assert gaussian_pair_mean(lambda x: 1.0 * (x > 0), q, c) == pytest.approx(both_positive, abs=1e-13)
    error_functions = 2 / pi * np.arcsin(2 * q * c / (1 + 2 * q))  # Williams 1997
    assert gaussian_pair_mean(erf, q, c) == pytest.approx(error_functions, abs=1e-11)


# One layer


@pytest.mark.parametrize("q", [0.3, 4.0])
@pytest.mark.parametrize("name", theory.ACTIVATIONS)
def test_one_layer_does_to_lengths_correlations_and_gradients_what_theory_says(name, q):
    weight_variance, bias_variance, c = 1.7, 0.2, 0.4
    measured = np.mean(
        [crossing(name, linear(1024, 1024, weight_variance, bias_variance), q, c) for _ in SEEDS], axis=0
    )
    predicted = [
        theory.length_map(name, q, weight_variance, bias_variance),
        theory.correlation_map(name, c, q, weight_variance, bias_variance),
        theory.gradient_factor(name, weight_variance, q),
    ]
    np.testing.assert_allclose(measured, predicted, rtol=0.06)


@pytest.mark.parametrize("fan", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("n_in, n_out", [(1200, 400), (400, 1200)])
def test_fan_in_keeps_the_total_gradient_and_fan_out_that_of_a_unit(n_in, n_out, fan):
    predicted = theory.width_factors("relu", 1.0, n_in, n_out, 2.0, fan)
    size = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[fan]
    measured = []
    for _ in SEEDS:
        layer = linear(n_in, n_out, 2.0 * n_in / size)
        length, _, factor = crossing("relu", layer, 1.0, 0.0)
        measured.append([length, factor, factor * n_out / n_in])
    np.testing.assert_allclose(np.mean(measured, axis=0), predicted, rtol=0.04)
    kept = {"fan_in": predicted.squared_gradient, "fan_out": predicted.unit_squared_gradient}
    assert kept.get(fan, 1.0) == pytest.approx(1.0)


def test_pytorch_default_under_relu_keeps_a_sixth():
    measured = []
    for _ in SEEDS:
        layer = nn.Linear(1024, 1024)
        variances = [layer.weight.var().item() * 1024, layer.bias.var().item()]
        measured.append([*variances, crossing("relu", layer, 1.0, 0.0)[2]])
    weight_variance, bias_variance = theory.default_variances(1024)
    factor = theory.gradient_factor("relu", weight_variance, 1.0)
    np.testing.assert_allclose(np.mean(measured, 0), [weight_variance, bias_variance, factor], rtol=0.03)
    assert factor == pytest.approx(1 / 6)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("q", [1.0, 30.0])
def test_saturated_share_is_that_of_slopes_under_a_tenth(name, q):
    shares = []
    for _ in SEEDS:
        h = (torch.randn(100_000) * sqrt(q)).requires_grad_()
        (slope,) = torch.autograd.grad(TORCH[name](h).sum(), h)
        shares.append((slope < 0.1 * {"sigmoid": 0.25, "tanh": 1.0}[name]).double().mean().item())
    assert np.mean(shares) == pytest.approx(theory.saturation_probability(name, q), rel=0.02, abs=2e-4)


# Deep networks


@pytest.mark.parametrize(
    "name, weight_variance, bias_variance, q_first",
    [
        ("sigmoid", 1.0, 0.0, 4.0),
        ("tanh", 1.0, 0.0, 2.0),
        ("tanh", 3.0, 0.1, 0.1),
        ("relu", 1 / 3, 0.05, 1.0),
        ("gelu", 1.2, 0.2, 3.0),
    ],
)
def test_profiles_follow_every_layer_of_a_network_away_from_its_fixed_point(
    name, weight_variance, bias_variance, q_first
):
    depth = 12
    runs = [network(name, depth, 768, weight_variance, bias_variance, q_first) for _ in range(6)]
    lengths = np.mean([run[0] for run in runs], axis=0)
    rates = np.mean([np.log(run[2]) for run in runs], axis=0) / np.arange(depth - 1, -1, -1).clip(1)
    setting = (name, depth, weight_variance, bias_variance, q_first)
    np.testing.assert_allclose(lengths, theory.length_profile(*setting), rtol=0.1)
    predicted = np.log(theory.gradient_profile(*setting)) / np.arange(depth - 1, -1, -1).clip(1)
    np.testing.assert_allclose(rates[:-3], predicted[:-3], atol=0.04)


def test_sigmoid_at_xavier_keeps_0_236_in_norm_not_a_quarter():
    ratios = []
    for _ in SEEDS:
        layers = [nn.Linear(512, 512) for _ in range(20)]
        h = [torch.randn(64, 512)]
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            h.append(layer(torch.sigmoid(h[-1])))
        squared = [g.square().sum().item() for g in torch.autograd.grad(h[-1], h[1:], torch.randn(64, 512))]
        ratios.append((squared[0] / squared[-1]) ** (1 / 19))
    chi = theory.gradient_factor("sigmoid", 1.0, theory.fixed_point("sigmoid", 1.0))
    assert np.mean(ratios) == pytest.approx(chi, rel=0.01)
    assert sqrt(chi) == pytest.approx(0.2361, abs=1e-4)
    assert theory.depth_scale(chi) == pytest.approx(-1 / log(0.2361**2), rel=1e-3)


@pytest.mark.parametrize(
    "name, weight_variance, bias_variance",
    [("sigmoid", 1.0, 0.0), ("tanh", 2.5, 0.1), ("gelu", 1.5, 0.1), ("relu", 1.0, 0.1), ("elu", 1.2, 0.1)],
)
def test_deep_networks_settle_at_the_fixed_point(name, weight_variance, bias_variance):
    lengths = [
        network(name, 20, 400, weight_variance, bias_variance, q_first)[0][-5:].mean()
        for q_first in (0.2, 3.0)
        for _ in SEEDS
    ]
    predicted = theory.fixed_point(name, weight_variance, bias_variance)
    assert np.mean(lengths) == pytest.approx(predicted, rel=0.08)
    assert theory.fixed_point(name, weight_variance, bias_variance, q_first=3.0) == pytest.approx(predicted)


def test_lengths_that_do_not_settle_are_told_apart():
    assert theory.fixed_point("relu", 1.9) == 0.0
    assert theory.fixed_point("relu", 2.1) == inf
    assert theory.fixed_point("relu", 2.0, 0.1) == inf
    assert theory.fixed_point("relu", 2.0, q_first=0.7) == 0.7
    assert theory.fixed_point("tanh", 1.0) == 0.0
    assert theory.fixed_point("selu", 1.0) == pytest.approx(1.0)  # Klambauer et al. 2017
    assert theory.fixed_point("gelu", 2.5, q_first=0.1) == 0.0  # from below and from above an unstable q*
    assert theory.fixed_point("gelu", 2.5, q_first=10.0) == inf
    np.testing.assert_allclose(theory.fixed_point("relu", np.array([1.0, 3.0]), np.array([0.1])), [0.2, inf])


def test_critical_line_at_published_points():
    assert theory.critical_line("tanh", 0.0) == pytest.approx(1.0, abs=1e-12)
    assert theory.critical_line("tanh", 0.05) == pytest.approx(1.76, abs=0.005)  # Schoenholz et al. 2017
    assert theory.critical_line("tanh", 2.01e-5) == pytest.approx(1.05, abs=1e-4)  # Xiao et al. 2018
    assert theory.critical_line("relu", 0.0) == pytest.approx(2.0)  # He et al. 2015
    assert theory.critical_line("relu", 0.3) == pytest.approx(2.0)
    assert theory.critical_line("elu", 0.0) == pytest.approx(1.0)
    assert np.isnan(theory.critical_line("gelu", np.array([0.0, 0.1]))).all()


@pytest.mark.parametrize(
    "name, bias_variance", [("tanh", 0.1), ("selu", 0.2), ("gelu", 0.3), ("silu", 1.0), ("sigmoid", 0.1)]
)
def test_on_the_critical_line_the_factor_is_one_and_beside_it_not(name, bias_variance):
    critical = float(theory.critical_line(name, bias_variance))
    for shift, sign in ((0.8, -1), (1.0, 0), (1.25, 1)):
        if name in ("gelu", "silu", "selu") and sign > 0:
            continue  # lengths grow without limit there
        q = theory.fixed_point(name, shift * critical, bias_variance, q_first=4.0)
        excess = theory.gradient_factor(name, shift * critical, q) - 1
        assert abs(excess) < 1e-9 if sign == 0 else excess * sign > 0.01
    rates = [
        np.log(
            network(
                name, 20, 512, critical, bias_variance, theory.fixed_point(name, critical, bias_variance, 4.0)
            )[2][0]
        )
        / 19
        for _ in SEEDS
    ]
    assert np.mean(rates) == pytest.approx(0.0, abs=0.03)


# Correlations


def test_relu_closed_form_is_the_general_map_and_what_layers_do():
    c = np.array([-1.0, -0.5, 0.0, 0.3, 0.9, 1.0])
    closed = theory.relu_correlation_map(c)
    np.testing.assert_allclose(closed, theory.correlation_map("relu", c, 1.0, 2.0), atol=1e-12)
    np.testing.assert_allclose(closed[[2, 5]], [1 / pi, 1.0], atol=1e-12)
    measured = [[crossing("relu", linear(1024, 1024, 2.0), 1.0, x)[1] for x in c] for _ in SEEDS]
    np.testing.assert_allclose(np.mean(measured, 0), closed, atol=0.02)


@pytest.mark.parametrize("name", theory.ACTIVATIONS)
def test_correlation_slope_is_the_derivative_and_chi_at_one(name):
    setting = (2.0, 1.3, 0.1)
    step = 1e-5
    for c in (-0.4, 0.6):
        above, below = (theory.correlation_map(name, c + s, *setting) for s in (step, -step))
        assert theory.correlation_slope(name, c, *setting) == pytest.approx((above - below) / (2 * step))
    q, weight_variance, bias_variance = setting
    stretch = q / theory.length_map(name, q, weight_variance, bias_variance)
    chi = theory.gradient_factor(name, weight_variance, q)
    assert theory.correlation_slope(name, 1.0, *setting) == pytest.approx(stretch * chi)


def test_deep_networks_forget_or_part_their_inputs_as_predicted():
    for weight_variance, bias_variance in ((1.3, 0.1), (3.0, 0.3)):
        q = float(theory.fixed_point("tanh", weight_variance, bias_variance))
        predicted = theory.correlation_fixed_point("tanh", q, weight_variance, bias_variance)
        measured = [
            network("tanh", 30, 400, weight_variance, bias_variance, q)[1][-10:].mean() for _ in SEEDS
        ]
        assert np.mean(measured) == pytest.approx(predicted, abs=0.04)
    assert predicted < 0.9
    assert theory.correlation_fixed_point("tanh", theory.fixed_point("tanh", 3.0), 3.0) == 0.0
    assert theory.correlation_fixed_point("relu", 1.0, 2.0) == 1.0


@pytest.mark.parametrize("name, weight_variance, bias_variance", [("tanh", 1.0, 0.05), ("relu", 2.0, 0.1)])
def test_correlation_profile_follows_every_layer_away_from_the_fixed_point(
    name, weight_variance, bias_variance
):
    setting = (name, 10, weight_variance, bias_variance, 0.5, 0.2)
    runs = [network(name, 10, 768, *setting[2:])[1] for _ in range(6)]
    np.testing.assert_allclose(np.mean(runs, axis=0), theory.correlation_profile(*setting), atol=0.03)
    assert theory.correlation_profile(name, 10, 1.0, 0.0, 1.0, c_first=1.0)[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("weight_variance, bias_variance", [(1.0, 0.3), (0.7, 0.1)])
def test_depth_scale_is_how_far_a_difference_of_inputs_travels(weight_variance, bias_variance):
    q = float(theory.fixed_point("tanh", weight_variance, bias_variance))
    runs = [network("tanh", 12, 512, weight_variance, bias_variance, q)[1] for _ in range(6)]
    lost_per_layer = np.mean([np.log((1 - run[4]) / (1 - run[10])) / 6 for run in runs])
    predicted = theory.depth_scale(theory.gradient_factor("tanh", weight_variance, q))
    assert 1 / lost_per_layer == pytest.approx(predicted, rel=0.05)


def test_depth_scale_is_the_number_of_layers_of_one_e_fold():
    assert exp(-1) == pytest.approx(0.4 ** theory.depth_scale(0.4))
    np.testing.assert_allclose(theory.depth_scale(np.array([exp(-0.1), 1.0, exp(0.5)])), [10, inf, -2])


# Errors


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: theory.length_map("rleu", 1.0, 1.0),
            "length_map: activation 'rleu' is unknown; choose from elu",
        ),
        (lambda: theory.gradient_factor("rleu", 1.0, 1.0), "gradient_factor: activation 'rleu' is unknown"),
        (lambda: theory.fixed_point("rleu", 1.0), "activation 'rleu' is unknown"),
        (lambda: theory.critical_line("rleu", 0.0), "critical_line: activation 'rleu' is unknown"),
        (lambda: theory.correlation_map("rleu", 0.0, 1.0, 1.0), "correlation_map: activation 'rleu'"),
        (lambda: theory.correlation_slope("rleu", 0.0, 1.0, 1.0), "correlation_slope: activation 'rleu'"),
        (lambda: theory.length_map("relu", -1.0, 1.0), "length_map: q=-1.0; expected a finite number ≥ 0"),
        (lambda: theory.length_map("relu", 1.0, -1.0), "length_map: weight_variance=-1.0; expected"),
        (lambda: theory.length_map("relu", 1.0, 1.0, -1.0), "length_map: bias_variance=-1.0; expected"),
        (lambda: theory.length_profile("relu", 0, 1.0, 0.0, 1.0), "length_profile: depth=0; expected whole"),
        (lambda: theory.gradient_profile("relu", 3, 1.0, 0.0, -1.0), "q=-1.0; expected a finite number ≥ 0"),
        (
            lambda: theory.gradient_factor("relu", 1.0, inf),
            "gradient_factor: q=inf; expected a finite number",
        ),
        (lambda: theory.depth_scale(0.0), "depth_scale: chi=0.0; expected a finite number > 0"),
        (lambda: theory.fixed_point("relu", 1.0, q_first=0.0), "fixed_point: q_first=0.0; expected"),
        (lambda: theory.fixed_point("relu", -1.0), "fixed_point: weight_variance=-1.0; expected"),
        (lambda: theory.critical_line("tanh", -0.1), "critical_line: bias_variances=-0.1; expected"),
        (
            lambda: theory.correlation_map("relu", 1.1, 1.0, 1.0),
            "correlation_map: c=1.1; expected correlations",
        ),
        (lambda: theory.correlation_map("relu", 0.5, 0.0, 1.0), "correlation_map: q=0.0; expected a finite"),
        (lambda: theory.correlation_slope("relu", 0.5, 1.0, 0.0), "correlation_slope: weight_variance=0.0"),
        (
            lambda: theory.correlation_fixed_point("relu", 0.0, 1.0),
            "correlation_fixed_point: q=0.0; expected",
        ),
        (lambda: theory.relu_correlation_map(-2.0), "relu_correlation_map: c=-2.0; expected correlations"),
        (
            lambda: theory.width_factors("relu", 1.0, 0, 4, 2.0),
            "width_factors: n_in=0; expected whole numbers",
        ),
        (
            lambda: theory.width_factors("relu", 1.0, 4, 4, 2.0, "fan"),
            "fan 'fan' is unknown; choose from fan_in",
        ),
        (lambda: theory.default_variances(2.5), "default_variances: fan_in=2.5; expected whole numbers ≥ 1"),
        (lambda: theory.saturation_probability("relu", 1.0), "'relu' does not saturate at both ends"),
        (lambda: theory.saturation_probability("tanh", 0.0), "saturation_probability: q=0.0; expected"),
    ],
)
def test_arguments_outside_the_domain_say_so(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
    assert str(error.value).startswith("gradlib.theory.")
