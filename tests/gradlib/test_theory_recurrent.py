"""Gate products, chrono retention and powers of one matrix, against PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

from gradlib import theory
from gradlib.initialize import chrono, gate_bias, recurrent_weights
from gradlib.recurrent import LastState
from gradlib.through_time import gradient_through_time

SEEDS = range(5)


def lstm(width=64, features=32, input_scale=0.0, seed=0):
    """An LSTM whose forget gates are driven by inputs alone, as strongly as `input_scale` says."""
    torch.manual_seed(seed)
    model = LastState(nn.LSTM(features, width, batch_first=True), outputs=1)
    for name, parameter in model.layer.named_parameters():
        if name.startswith(("weight_hh", "bias")):
            nn.init.zeros_(parameter)
    nn.init.normal_(model.layer.weight_ih_l0, std=input_scale / features**0.5)
    return model


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
def test_a_steady_forget_gate_leaves_the_power_of_one_number(bias):
    model = lstm()
    gate_bias(model.layer, "forget", bias)
    path = gradient_through_time(model, torch.zeros(2, 21, 32), torch.ones(2, 1)).path
    law = theory.gate_product(bias, steps=20)
    assert path[0] / path[-1] == pytest.approx(law.mean, rel=1e-9)
    assert law.median == pytest.approx(law.mean)
    assert law.log_variance == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_forget_gates_that_vary_leave_a_lognormal_product(bias):
    logs, means = [], []
    law = theory.gate_product(bias, steps=15, variance=1.0)
    for seed in SEEDS:
        model = lstm(features=400, input_scale=1.0, seed=seed)
        gate_bias(model.layer, "forget", bias)
        inputs = torch.randn(64, 16, 400)
        f = (inputs @ model.layer.weight_ih_l0[64:128].T + bias).sigmoid()[:, 1:]
        kept = f.square().log().sum(1)
        logs.append(kept)
        means.append(kept.exp().mean().item())
    logs = torch.stack(logs)
    assert logs.mean().item() == pytest.approx(law.log_mean, rel=0.03)
    assert logs.var().item() == pytest.approx(law.log_variance, rel=0.1)
    assert np.mean(means) == pytest.approx(law.mean, rel=0.2)
    assert law.median < law.mean


def test_chrono_keeps_what_is_predicted_on_average_over_units():
    lags = np.array([0, 5, 20, 50, 80])
    measured = []
    for seed in SEEDS:
        model = lstm(width=256, seed=seed)
        chrono(model.layer, longest=50)
        nn.init.ones_(model.readout.weight)
        path = gradient_through_time(model, torch.zeros(1, 81, 32), torch.ones(1, 1)).path
        measured.append(path[::-1][lags] / path[-1])
    predicted = theory.chrono_retention(lags, longest=50)
    assert np.mean(measured, axis=0) == pytest.approx(predicted, rel=0.1)
    assert predicted[0] == 1
    constant = theory.gate_product(np.log(25), steps=80).mean
    assert predicted[-1] > 2 * constant  # some units remember longer than a middle one


def test_a_wide_gaussian_matrix_has_the_predicted_radius_and_its_powers_the_predicted_norm():
    radii, norms = [], []
    for seed in SEEDS:
        torch.manual_seed(seed)
        layer = nn.RNN(1, 240)
        recurrent_weights(layer, "gaussian", gain=0.9)
        matrix = layer.weight_hh_l0.detach()
        radii.append(torch.linalg.eigvals(matrix).abs().max().item())
        norms.append(torch.linalg.matrix_norm(torch.linalg.matrix_power(matrix, 5), 2).item())
    assert np.mean(radii) == pytest.approx(theory.spectral_radius(0.81), rel=0.08)
    # Powers of one matrix stretch as products of different ones do, while steps are few against the width.
    assert np.mean(norms) == pytest.approx(theory.product_edge(5, 0.81), rel=0.08)


def test_pytorchs_default_has_radius_below_and_norm_above_one():
    for seed in SEEDS:
        torch.manual_seed(seed)
        matrix = nn.RNN(1, 160).weight_hh_l0.detach()
        radius = torch.linalg.eigvals(matrix).abs().max().item()
        assert radius == pytest.approx(theory.spectral_radius(1 / 3), rel=0.12)
        norm = torch.linalg.matrix_norm(matrix, 2).item()
        assert norm == pytest.approx(theory.gaussian_edges(160, 160, 1 / 3)[1], rel=0.05)
        assert radius < 1 < norm


def test_powers_lie_between_their_bounds_and_tend_to_the_radius():
    for seed in SEEDS:
        torch.manual_seed(seed)
        matrix = torch.randn(12, 12) / 12**0.5
        for steps in (1, 4, 16):
            squared = torch.linalg.matrix_norm(torch.linalg.matrix_power(matrix, steps), 2).item() ** 2
            low, high = theory.power_bounds(matrix, steps)
            assert low <= squared * (1 + 1e-9)
            assert squared <= high * (1 + 1e-9)
        low, _ = theory.power_bounds(matrix, 1)
        long_run = torch.linalg.matrix_norm(torch.linalg.matrix_power(matrix, 256), 2).item() ** (2 / 256)
        assert long_run == pytest.approx(low, rel=0.04)


@pytest.mark.parametrize(("weight_variance", "input_variance"), [(0.8, 0.1), (1.5, 0.5), (3.0, 0.2)])
def test_sharing_one_matrix_over_time_does_not_change_the_factor_of_a_wide_tanh_network(
    weight_variance, input_variance
):
    rates = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = LastState(nn.RNN(50, 300, batch_first=True, bias=False), outputs=1)
        recurrent_weights(model.layer, "gaussian", gain=weight_variance**0.5)
        nn.init.normal_(model.layer.weight_ih_l0, std=(input_variance / 50) ** 0.5)
        seen = gradient_through_time(model, torch.randn(4, 25, 50), torch.zeros(4, 1))
        rates.append((seen.hidden[-16] / seen.hidden[-1]) ** (1 / 15))
    q = theory.fixed_point("tanh", weight_variance, input_variance)
    assert np.mean(rates) == pytest.approx(theory.gradient_factor("tanh", weight_variance, q), rel=0.06)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: theory.gate_product(1.0, steps=0), "steps=0"),
        (lambda: theory.gate_product(1.0, 5, variance=-1.0), "variance=-1"),
        (lambda: theory.gate_product(float("nan"), 5), "bias=nan"),
        (lambda: theory.chrono_retention(-1, 50), "lag=-1"),
        (lambda: theory.chrono_retention(1, 2), "longest=2"),
        (lambda: theory.spectral_radius(0.0), "weight_variance=0"),
        (lambda: theory.power_bounds([[1.0, 2.0]], 3), r"shape \(1, 2\)"),
        (lambda: theory.power_bounds(np.eye(2), 0), "steps=0"),
    ],
)
def test_what_is_outside_the_domain_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
