"""Spectra of Jacobians against automatic differentiation, exact arithmetic and random-matrix theory."""

import itertools
from math import inf, log

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from gradlib import theory
from gradlib.jacobian import layer_jacobians, layer_spectra, lyapunov_exponents, running_product_spectra


def chain(activation, widths, gain=1.4):
    blocks = [nn.Sequential(nn.Linear(a, b), activation()) for a, b in itertools.pairwise(widths)]
    for block in blocks:
        nn.init.normal_(block[0].weight, std=gain / block[0].in_features ** 0.5)
    return blocks


def exact_log_singular_values(matrices):
    """With 250 digits, so that nothing is lost."""
    with mpmath.workdps(250):
        product = mpmath.matrix(matrices[0].tolist())
        for matrix in matrices[1:]:
            product = mpmath.matrix(matrix.tolist()) * product
        tall = product if product.rows >= product.cols else product.T
        values = mpmath.svd_r(tall, compute_uv=False)
        return np.array([float(mpmath.log(v)) if v > mpmath.mpf(10) ** -200 else -inf for v in values])


def test_chain_rule_over_blocks_is_the_jacobian_of_the_whole():
    blocks = chain(nn.GELU, [5, 7, 4, 6])
    inputs = torch.randn(3, 5)
    jacobians = layer_jacobians(blocks, inputs)
    assert [tuple(jacobian.shape) for jacobian in jacobians] == [(3, 7, 5), (3, 4, 7), (3, 6, 4)]
    whole = nn.Sequential(*blocks)
    for x, *factors in zip(inputs, *jacobians, strict=True):
        product = torch.linalg.multi_dot(factors[::-1])
        torch.testing.assert_close(product, torch.autograd.functional.jacobian(whole, x))


def test_layer_spectra_of_known_matrices():
    layer = nn.Linear(3, 2, bias=False)
    layer.weight.data = torch.tensor([[0.0, 3.0, 0.0], [2.0, 0.0, 0.0]])
    (values,) = layer_spectra([layer], torch.randn(4, 3))
    torch.testing.assert_close(values, torch.tensor([3.0, 2.0]).expand(4, 2))


@pytest.mark.parametrize(
    "activation, widths, gain",
    [
        (nn.Tanh, [8] * 61, 1.4),
        (nn.Sigmoid, [5] * 121, 1.0),
        *[(nn.ReLU, [width] * 13, 1.4) for width in (6, 10, 14)],
        (nn.Tanh, [9, 6, 3, 7, 5], 1.0),
        (nn.Tanh, [3, 6, 9], 1.0),
    ],
)
def test_running_products_keep_every_digit_of_small_singular_values(activation, widths, gain):
    blocks, inputs = chain(activation, widths, gain), torch.randn(2, widths[0])
    jacobians = layer_jacobians(blocks, inputs)
    spectra = running_product_spectra(blocks, inputs)
    for depth in {1, len(blocks) // 2, len(blocks)}:
        found = spectra[depth - 1].numpy()
        assert found.shape == (2, min(widths[: depth + 1]))
        for k in range(2):
            exact = exact_log_singular_values([jacobian[k] for jacobian in jacobians[:depth]])
            np.testing.assert_allclose(found[k], exact[: found.shape[1]], atol=1e-10)


def test_hundreds_of_layers_neither_underflow_nor_drown():
    blocks = chain(nn.Sigmoid, [16] * 401, 0.5)
    inputs = torch.randn(1, 16)
    (found,) = running_product_spectra(blocks, inputs)[-1]
    determinant = sum(
        torch.linalg.slogdet(jacobian[0]).logabsdet for jacobian in layer_jacobians(blocks, inputs)
    )
    assert found.sum().item() == pytest.approx(determinant.item(), abs=1e-8)
    assert found[0] < np.log(np.finfo(float).smallest_subnormal)


def test_below_the_range_of_one_product_is_zero():
    blocks = [nn.Linear(2, 2, bias=False) for _ in range(40)]
    for block in blocks:
        block.weight.data = torch.diag(torch.tensor([1.0, 1e-10]))
    spectra = running_product_spectra(blocks, torch.ones(1, 2))
    torch.testing.assert_close(spectra[38][0], torch.tensor([0.0, -390 * log(10)]))
    assert spectra[39][0].tolist() == [0.0, -inf]


def test_dead_network_has_no_direction_left():
    class Dead(nn.Module):
        def forward(self, x):
            return (x - 100).relu()

    blocks = [nn.Linear(4, 4), Dead(), nn.Linear(4, 3)]
    spectra = running_product_spectra(blocks, torch.randn(2, 4))
    assert spectra[0].isfinite().all()
    assert (spectra[1] == -inf).all()
    assert spectra[2].shape == (2, 3)
    assert (spectra[2] == -inf).all()


def test_lyapunov_exponents_are_those_of_gaussian_products():
    width, depth = 5, 300
    found = []
    for _ in range(5):
        blocks = chain(nn.Identity, [width] * (depth + 1), gain=1.1)
        found.append(lyapunov_exponents(blocks, torch.randn(1, width))[0])
    np.testing.assert_allclose(
        torch.stack(found).mean(0), theory.lyapunov_exponents(width, 1.1**2), atol=0.06
    )


def test_lyapunov_exponents_are_the_limit_of_the_singular_values():
    depth = 200
    blocks, inputs = chain(nn.Tanh, [4] * (depth + 1)), torch.randn(2, 4)
    singular = running_product_spectra(blocks, inputs)[-1] / depth
    torch.testing.assert_close(lyapunov_exponents(blocks, inputs), singular, atol=0.05, rtol=0)


def test_any_module_and_nothing_left_behind():
    blocks = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(2).eval(),
        nn.Flatten(),
        nn.Linear(32, 5),
        nn.LayerNorm(5),
    )
    inputs = torch.randn(3, 1, 4, 4)
    before = inputs.clone()
    values = layer_spectra(blocks, inputs)
    assert [tuple(value.shape) for value in values] == [(3, 16), (3, 32), (3, 32), (3, 32), (3, 5), (3, 5)]
    assert torch.equal(inputs, before)
    assert not any(value.requires_grad for value in values)
    assert all(parameter.grad is None for parameter in blocks.parameters())


@pytest.mark.parametrize("measure", [layer_spectra, running_product_spectra, lyapunov_exponents])
def test_half_precision_models_are_measured_in_float64(measure):
    blocks, inputs = nn.Sequential(*chain(nn.Tanh, [4] * 4)), torch.randn(2, 4)
    full = measure(blocks, inputs)[-1]
    half = measure(blocks.bfloat16(), inputs.bfloat16())[-1]
    assert half.dtype == torch.float64
    torch.testing.assert_close(half, full, atol=0.1, rtol=0.1)


def test_recurrent_constant_and_unrecorded_blocks_have_jacobians():
    class LastOutput(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.RNN(3, 4, batch_first=True)

        def forward(self, x):
            return self.layer(x)[0][:, -1]

    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 2)

    blocks, inputs = [LastOutput(), Constant()], torch.randn(2, 5, 3)
    with torch.no_grad():
        through_time, of_constant = layer_jacobians(blocks, inputs)
    expected = torch.autograd.functional.jacobian(blocks[0], inputs)
    for k in range(2):
        torch.testing.assert_close(through_time[k], expected[k, :, k].flatten(1))
    assert torch.equal(of_constant, torch.zeros(2, 2, 4))


class Infinite(nn.Module):
    def forward(self, x):
        return x * inf


@pytest.mark.parametrize("measure", [layer_spectra, running_product_spectra, lyapunov_exponents])
@pytest.mark.parametrize(
    "blocks, inputs, message",
    [
        ([], torch.zeros(2, 3), "0 blocks and inputs of shape (2, 3); expected at least one block"),
        ([nn.Tanh()], torch.zeros(3), "1 blocks and inputs of shape (3,); expected at least one block"),
        ([nn.Tanh()], torch.zeros(0, 3), "inputs of shape (0, 3)"),
        ([nn.Tanh(), nn.BatchNorm1d(3)], torch.zeros(2, 3), "block 1 normalises over the batch"),
        (
            [nn.BatchNorm1d(3, track_running_stats=False).eval()],
            torch.zeros(2, 3),
            "block 0 normalises over the batch",
        ),
        ([nn.Tanh(), nn.Dropout(0.5)], torch.ones(2, 30), "block 1 gives other outputs for the same inputs"),
        ([nn.Tanh(), Infinite()], torch.ones(2, 3), "the Jacobian of block 1 is not finite everywhere"),
    ],
)
def test_what_has_no_jacobian_says_so(measure, blocks, inputs, message):
    with pytest.raises(ValueError) as error:
        measure(blocks, inputs)
    assert message in str(error.value)
    assert str(error.value).startswith("gradlib.jacobian: ")
