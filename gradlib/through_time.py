"""One backward pass, and the gradient at every time step of a recurrent network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gradlib.flow import default_objective, squared_norm, undisturbed
from gradlib.recurrent import Step, gathered, unroll

Column = NDArray[np.float64]


@dataclass(frozen=True)
class ThroughTime:
    """What one backward pass shows at each time step, first step first: every column is (time,).

    Gradients are squared norms, summed over batch and units.
    """

    hidden: Column
    """of ∂loss/∂h, what the layer puts out"""
    carried: Column
    """of ∂loss/∂c, what it carries: the cell of an LSTM, h itself for the others"""
    path: Column
    """of the share of ∂loss/∂c that arrives from the last step along the carried state alone: the
    gradient at the last step, times the product of the forget gates (GRU: update gates) after this one"""
    gates: dict[str, Column]
    """mean value of each gate over batch and units"""
    gate_gradients: dict[str, Column]
    """of ∂loss/∂gate"""
    loss: float


def gradient_through_time(
    model: nn.Module,
    inputs: Any,
    targets: Tensor,
    objective: Callable[[Any, Tensor], Tensor] | None = None,
) -> ThroughTime:
    """How far back in time does the loss of this model reach? One backward pass, nothing left behind.

    model: any module with one `nn.RNN`, `nn.LSTM` or `nn.GRU` of one layer inside, called
    once; for the pass it is unrolled with its own weights. inputs, targets, objective: as in
    `gradlib.gradient_flow`. Raises ValueError for another number of recurrent layers, and as `unroll` does.
    """
    with undisturbed(model), unrolled(model) as steps:
        loss = (objective or default_objective(targets))(model(inputs), targets)
        names = list(steps[0].gates)
        wanted = [[step.h for step in steps], [step.c for step in steps]]
        wanted += [[step.gates[name] for step in steps] for name in names]
        flat = iter(
            torch.autograd.grad(
                loss, [t for row in wanted for t in row], allow_unused=True, materialize_grads=True
            )
        )
        hidden, carried, *at_gates = ([next(flat) for _ in row] for row in wanted)

    arriving, along = carried[-1], []
    for step in reversed(steps):
        along.append(arriving)
        arriving = arriving * step.keep
    return ThroughTime(
        hidden=column(squared_norm, hidden),
        carried=column(squared_norm, carried),
        path=column(squared_norm, along[::-1]),
        gates={name: column(mean, [step.gates[name] for step in steps]) for name in names},
        gate_gradients={name: column(squared_norm, at) for name, at in zip(names, at_gates, strict=True)},
        loss=loss.item(),
    )


def mean(tensor: Tensor) -> float:
    return tensor.mean().item()


def column(number: Callable[[Tensor], float], tensors: list[Tensor]) -> Column:
    return np.array([number(tensor) for tensor in tensors])


@contextmanager
def unrolled(model: nn.Module) -> Iterator[list[Step]]:
    """Let the recurrent layer of `model` run step by step, and keep the steps, while the scope lives."""
    layers = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    if len(layers) != 1:
        raise ValueError(
            f"gradlib.gradient_through_time: model has {len(layers)} recurrent layers; expected exactly one"
        )
    (layer,) = layers
    steps: list[Step] = []

    def forward(input: Tensor, hx: Any = None) -> Any:
        if steps:
            raise ValueError("gradlib.gradient_through_time: the recurrent layer is called more than once")
        if isinstance(input, Tensor) and not input.requires_grad:
            input = input.detach().requires_grad_()  # so that a frozen layer is part of the graph
        steps[:] = unroll(layer, input, hx)
        return gathered(layer, steps)

    layer.forward = forward
    try:
        yield steps
    finally:
        del layer.forward
