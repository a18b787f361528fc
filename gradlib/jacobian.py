"""Singular values of Jacobians, layer by layer and of their running product, for any chain of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import lapack
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Blocks = Iterable[nn.Module]
Array = NDArray[np.float64]

EPS = float(np.finfo(float).eps)
LOG_RANGE, HEADROOM = 900.0, 250.0
"""Singular values of one product are held between e⁻⁶⁵⁰ and e²⁵⁰, where float64 has room for them."""


def layer_jacobians(blocks: Blocks, inputs: Tensor) -> list[Tensor]:
    """∂(output)/∂(input) of every block, at the inputs that reach it.

    blocks: modules applied one after another, each to every input by itself. inputs: (batch, *features).
    Returns one float64 tensor a block, (batch, outputs, inputs), features flattened. Raises ValueError for no
    blocks, no inputs, batch normalization by the batch (there an output depends on other inputs), dropout at
    work, and entries that are not finite.
    """
    blocks = list(blocks)
    if not blocks or inputs.ndim < 2 or not len(inputs):
        raise ValueError(
            f"gradlib.jacobian: {len(blocks)} blocks and inputs of shape {tuple(inputs.shape)}; expected at "
            "least one block, and inputs of shape (batch, *features) with a batch of at least one"
        )
    jacobians = []
    for index, block in enumerate(blocks):
        norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
        if any(norm.training or norm.running_mean is None for norm in norms):
            raise ValueError(
                f"gradlib.jacobian: block {index} normalises over the batch, so no input has a Jacobian of "
                "its own; keep running statistics and call .eval() on it first"
            )
        with torch.no_grad():
            outputs = block(inputs.clone())  # a clone, lest an in-place block change the input
        # One backward pass gives all rows: each output has a copy of the inputs to itself.
        count, alike = outputs[0].numel(), sqrt(torch.finfo(outputs.dtype).eps)
        copies = inputs.detach().expand(count, *inputs.shape).clone().requires_grad_()
        with torch.enable_grad():
            of_copies = block(copies.clone().flatten(0, 1)).reshape(count, len(inputs), count)
            own = of_copies.diagonal(dim1=0, dim2=2).sum() + 0 * copies.sum()
        if not torch.allclose(of_copies, outputs.flatten(1).expand_as(of_copies), alike, equal_nan=True):
            raise ValueError(
                f"gradlib.jacobian: block {index} gives other outputs for the same inputs, as dropout does; "
                "call .eval() on it first"
            )
        jacobian = torch.autograd.grad(own, copies)[0].flatten(2).transpose(0, 1).cpu().double()
        if not jacobian.isfinite().all():
            raise ValueError(f"gradlib.jacobian: the Jacobian of block {index} is not finite everywhere")
        jacobians.append(jacobian)
        inputs = outputs
    return jacobians


def layer_spectra(blocks: Blocks, inputs: Tensor) -> list[Tensor]:
    """Singular values of every block's own Jacobian.

    Arguments and errors as in `layer_jacobians`. Returns one tensor a block, (batch, min(outputs,
    inputs)), largest first.
    """
    return [torch.linalg.svdvals(jacobian) for jacobian in layer_jacobians(blocks, inputs)]


def running_product_spectra(blocks: Blocks, inputs: Tensor) -> list[Tensor]:
    """Natural logarithms of the singular values of J_l ⋯ J_1, for every l.

    The last entry belongs to the input-output Jacobian. Small values are as accurate as large ones,
    hundreds of layers deep: the product is kept as orthonormal columns and separate logarithms, and
    each layer's singular values come from LAPACK's Jacobi method, which does not let large columns
    drown small ones (Drmač & Veselić 2008). −inf stands for zero: for what one layer shrinks by more
    than the precision of its entries, 10⁻¹⁶, or all layers together to less than e⁻⁹⁰⁰ of the largest.

    Arguments and errors as in `layer_jacobians`. Returns one tensor a block, (batch, k), largest
    first, with k the least number of features up to there.
    """
    jacobians = [jacobian.numpy(force=True) for jacobian in layer_jacobians(blocks, inputs)]
    spectra = [_log_spectra(chain) for chain in zip(*jacobians, strict=True)]
    return [torch.from_numpy(np.stack(layer)) for layer in zip(*spectra, strict=True)]


def lyapunov_exponents(blocks: Blocks, inputs: Tensor) -> Tensor:
    """Mean growth per layer of the directions of the running product, by QR (Benettin et al. 1980).

        J_l Q_{l−1} = Q_l R_l,   λ_i = mean over l of ln |R_l,ii|

    Cheaper than the singular values of the product, whose logarithms divided by the depth tend to the
    same limits. Arguments and errors as in `layer_jacobians`. Returns (batch, k), largest first, with k the
    least number of features.
    """
    directions: Tensor | None = None
    steps = []
    for jacobian in layer_jacobians(blocks, inputs):
        directions, growth = torch.linalg.qr(jacobian if directions is None else jacobian @ directions)
        steps.append(growth.diagonal(dim1=1, dim2=2).abs().log())
    k = min(step.shape[1] for step in steps)
    return torch.stack([step[:, :k] for step in steps]).mean(0).sort(descending=True).values


def _log_spectra(chain: Iterable[Array]) -> Iterator[Array]:
    """Logarithms of the singular values of every running product of one chain of matrices."""
    first, *rest = chain
    columns, values, _ = np.linalg.svd(first, full_matrices=False)
    alive = values > _noise(first)
    columns, logs, width = columns[:, alive], np.log(values[alive]), len(values)
    yield _padded(logs, width)
    for matrix in rest:
        width = min(width, len(matrix))
        if len(logs):
            columns, logs = _graded_svd(matrix, columns, logs)
        yield _padded(logs, width)


def _padded(logs: Array, width: int) -> Array:
    return np.pad(logs, (0, width - len(logs)), constant_values=-np.inf)


def _noise(matrix: Array) -> float:
    """How far rounding its entries may move the singular values of a matrix."""
    return EPS * sqrt(max(matrix.shape)) * float(np.linalg.norm(matrix))


def _graded_svd(matrix: Array, columns: Array, logs: Array) -> tuple[Array, Array]:
    """Left singular vectors and logarithms of the singular values of matrix · columns · diag(eˡ), but zeros.

    columns: (length, k), orthonormal. logs: (k,), the l, largest first.
    """
    shift = logs[0] - HEADROOM
    graded = matrix @ columns * np.exp(logs - shift)
    length, k = graded.shape
    graded = np.pad(graded, ((0, max(k - length, 0)), (0, 0)))
    # joba=0: accurate for graded columns; jobu=0: the left vectors; jobv=3: not the right ones; jobr=0: keep
    # the smallest columns; jobt=0, jobp=0: neither transpose nor perturb.
    values, vectors, _, scale, _, info = lapack.dgejsv(graded, joba=0, jobu=0, jobv=3, jobr=0, jobt=0, jobp=0)
    if info:
        raise np.linalg.LinAlgError(f"gradlib.jacobian: LAPACK's gejsv did not converge (info={info})")
    with np.errstate(divide="ignore"):
        found = np.log(values) + np.log(scale[0] / scale[1]) + shift
        floor = logs + np.log(_noise(matrix))
    alive = (found > floor) & (found > found[0] - LOG_RANGE)
    return vectors[:length, alive], found[alive]
