"""One backward pass, and the gradient at every layer of any model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from functools import partial
from math import inf, nan
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gradlib import plot
from gradlib.activations import slope
from gradlib.prose import number

DIES_BELOW = 1e-4
"""Share of the last layer's squared gradient under which a layer counts as starved: a hundredth in norm."""
SATURATED_BELOW = 0.1
"""Share of an activation's largest slope under which an element counts as saturated."""

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
ELEMENTWISE = {"sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"}
"""Activations recognised, by the name of the PyTorch function that computes them."""


@dataclass(frozen=True)
class Layer:
    """What one pass shows at one layer. Every number is of this batch; every gradient is squared."""

    name: str
    scale: float
    """root mean square of the layer's output, before its activation"""
    saturated: float
    """share of entries whose slope is under a tenth of the activation's largest; nan if none was seen"""
    silent: float
    """share of units with slope zero for the whole batch; nan if no activation was seen"""
    squared_gradient: float
    """squared norm of ∂loss/∂output, over batch and units"""
    squared_weight_gradient: float
    """squared norm of ∂loss/∂weight; nan for a frozen weight"""
    update_ratio: float
    """norm of ∂loss/∂weight over norm of weight: the step of plain SGD at learning rate 1"""


class Flow:
    """The gradient at every layer of a model, from one backward pass.

    layers: one `Layer` for each call of a layer, in the order of the forward pass.
    """

    def __init__(self, layers: list[Layer], loss: float) -> None:
        self.layers = layers
        self.loss = loss

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every layer, by its name in `Layer`, first layer first."""
        return np.array([getattr(layer, name) for layer in self.layers])

    @property
    def squared_gradient(self) -> NDArray[np.float64]:
        """Squared norm of ∂loss/∂output at every layer, first layer first."""
        return self.column("squared_gradient")

    @property
    def rate(self) -> float:
        """χ, the factor of the squared gradient per layer going backward, fitted to its logarithm.

        The output layer is left out: its gradient belongs to the loss. 0 if a gradient is exactly
        zero, inf if one is not finite, nan with fewer than two hidden layers.
        """
        gradients = self.squared_gradient[:-1]
        if len(gradients) < 2:
            return nan
        if not np.isfinite(gradients).all():
            return inf
        if not gradients.all():
            return 0.0
        return float(np.exp(-np.polyfit(np.arange(len(gradients)), np.log(gradients), 1)[0]))

    @property
    def verdict(self) -> str:
        """'vanishing', 'healthy' or 'exploding', in a sentence that names the layer where it happens.

        A layer is starved when its squared gradient is below 10⁻⁴ of the output layer's, and flooded
        above 10⁴ times it. The bound is a convention, a hundredfold in norm; `rate` has none.
        """
        gradients = self.squared_gradient

        def last(layers: NDArray[np.bool_]) -> str:
            return self.layers[int(np.flatnonzero(layers)[-1])].name

        if (lost := ~np.isfinite(gradients)).any():
            return f"exploding: the gradient is not finite from {last(lost)} backward"
        if gradients[-1] == 0:
            return "vanishing: the gradient is zero already at the output"
        share = gradients / gradients[-1]
        factor = f"; squared factor {number(self.rate)} per layer" if len(gradients) > 2 else ""
        if (starved := share < DIES_BELOW).any():
            return f"vanishing: under 1/100 of the output's gradient from {last(starved)} backward{factor}"
        if (flooded := share > 1 / DIES_BELOW).any():
            return f"exploding: over 100 times the output's gradient from {last(flooded)} backward{factor}"
        return f"healthy: within a hundredfold of the output's gradient everywhere{factor}"

    def plot(self) -> None:
        """Draw the squared gradient over depth."""
        figure, panel = plot.axes("layer", "squared gradient", log_y=True)
        plot.measured(panel, np.arange(1, len(self.layers) + 1), self.squared_gradient)
        plot.show(
            figure,
            alt=f"Squared gradient at {len(self.layers)} layers; {self.verdict}.",
            caption=f"**{self.verdict.capitalize()}.**",
        )

    def _rows(self) -> list[list[str]]:
        heads = [field.name.replace("_", " ") for field in fields(Layer)]
        rows = [
            [name, *("–" if np.isnan(value) else number(value) for value in values)]
            for name, *values in map(astuple, self.layers)
        ]
        return [heads, *rows]

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(["  ".join(map(str.rjust, row, widths)) for row in rows] + [self.verdict])

    def _repr_markdown_(self) -> str:
        heads, *rows = self._rows()
        lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{self.verdict}"


class _Call:
    """What is kept of one call of a layer until the backward pass is over."""

    def __init__(self, name: str, layer: nn.Module, output: Tensor) -> None:
        self.name, self.layer = name, layer
        self.unit_dimension = 1 if isinstance(layer, Convolution) else -1
        self.mean_square = squared_norm(output) / max(output.numel(), 1)
        self.saturated = nan
        self.active_units: Tensor | None = None
        self.squared_gradient = 0.0
        output.register_hook(self.take_gradient)

    def take_gradient(self, gradient: Tensor) -> None:
        self.squared_gradient = squared_norm(gradient)

    def take_activation(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
        magnitudes = slope(function, inputs).abs()
        largest = slope(function, torch.linspace(-8, 8, 1601).to(inputs)).abs().max()
        self.saturated = (magnitudes < SATURATED_BELOW * largest).double().mean().item()
        self.active_units = magnitudes.transpose(self.unit_dimension, -1).flatten(0, -2).amax(0) > 0

    @property
    def silent(self) -> float:
        return nan if self.active_units is None else 1 - self.active_units.double().mean().item()


class _Activations(TorchFunctionMode):
    """Sees activation functions however they are called, as modules or as functions.

    The slopes go to the layer called last, which made the pre-activation.
    """

    def __init__(self, calls: list[_Call]) -> None:
        super().__init__()
        self.calls = calls

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        if name in ELEMENTWISE and args and self.calls and self.calls[-1].active_units is None:
            apply = partial(func, **kwargs)
            self.calls[-1].take_activation(lambda h: apply(h.clone(), *args[1:]), args[0])
        return func(*args, **kwargs)


def squared_norm(tensor: Tensor) -> float:
    """Sum of squares, in float64 whatever the tensor's type, so that small gradients stay visible."""
    return tensor.detach().double().square().sum().item()


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Leave buffers (running statistics) and the random state as they were found."""
    saved = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(saved[name])


@contextmanager
def recorded(model: nn.Module) -> Iterator[tuple[list[_Call], list[Tensor]]]:
    """Watch every layer of `model` that has a weight matrix, exactly as long as the scope lives.

    Yields the calls, and the outputs that had to be made part of the graph because all before
    them is frozen.
    """
    calls: list[_Call] = []
    starts: list[Tensor] = []
    counts: dict[str, int] = {}

    def see(name: str, layer: nn.Module, _: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        start = not output.requires_grad
        if start:
            output = output.detach().requires_grad_()
            starts.append(output)
        counts[name] = counts.get(name, 0) + 1
        call = f"{name} (call {counts[name]})" if counts[name] > 1 else name
        calls.append(_Call(call, layer, output))
        return output.clone() if start else None  # a leaf must not be changed in place

    watched = [(name, module) for name, module in model.named_modules() if weight_of(module) is not None]
    if not watched:
        raise ValueError("gradlib.gradient_flow: model has no layer with a weight matrix to watch")
    handles = [
        module.register_forward_hook(partial(see, name or type(module).__name__)) for name, module in watched
    ]
    try:
        with _Activations(calls):
            yield calls, starts
    finally:
        for handle in handles:
            handle.remove()


def weight_of(module: nn.Module) -> Tensor | None:
    """The weight matrix (or kernel) of a layer; None where there is none."""
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 else None


def default_objective(targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy for integer targets, mean squared error for real ones."""
    return functional.mse_loss if targets.is_floating_point() else functional.cross_entropy


def gradient_flow(
    model: nn.Module,
    inputs: Any,
    targets: Tensor,
    objective: Callable[[Any, Tensor], Tensor] | None = None,
) -> Flow:
    """Where does the gradient of this model go? One forward and one backward pass, nothing left behind.

    model: any module; every submodule with a weight matrix or kernel is watched, at each of its
    calls. inputs: what the model takes. targets: integer classes or real values; the objective is
    cross-entropy or mean squared error accordingly, unless given (it must return a scalar).

    Parameters' `.grad`, buffers, hooks, the random state and the model's mode stay as they were.
    Frozen parameters still let the gradient through. Numbers that are not finite are reported, not
    raised. Raises ValueError for a model without weights or an objective that is not a scalar.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with undisturbed(model), recorded(model) as (calls, starts):
        loss = (objective or default_objective(targets))(model(inputs), targets)
        if loss.numel() != 1:
            raise ValueError(
                f"gradlib.gradient_flow: objective returned shape {tuple(loss.shape)}; expected a scalar"
            )
        gradients = torch.autograd.grad(loss, parameters + starts, allow_unused=True)
    by_parameter = dict(zip(map(id, parameters), gradients, strict=False))
    return Flow([_finish(call, by_parameter) for call in calls], loss.item())


def _finish(call: _Call, gradients: Mapping[int, Tensor | None]) -> Layer:
    weight = weight_of(call.layer)
    assert weight is not None
    gradient = gradients.get(id(weight))
    squared = nan if gradient is None else squared_norm(gradient)
    size = squared_norm(weight)
    return Layer(
        name=call.name,
        scale=call.mean_square**0.5,
        saturated=call.saturated,
        silent=call.silent,
        squared_gradient=call.squared_gradient,
        squared_weight_gradient=squared,
        update_ratio=(squared / size) ** 0.5 if size else inf,
    )


@torch.no_grad()
def dead_units(model: nn.Module, batches: Iterable[Any]) -> NDArray[np.float64]:
    """Share of units in each layer whose slope is zero for every input of every batch.

    batches: inputs of the model, one batch after another. A unit silent for one batch may speak in
    the next; call it dead only over a window. Returns one number for each layer that an activation
    follows. Raises ValueError for no batches, or when no activation is seen.
    """
    active: list[Tensor] = []
    for batch in batches:
        with undisturbed(model), recorded(model) as (calls, _):
            model(batch)
        seen = [call.active_units for call in calls if call.active_units is not None]
        active = [old | new for old, new in zip(active, seen, strict=True)] if active else seen
    if not active:
        raise ValueError("gradlib.dead_units: no batch or no activation was seen; nothing to count")
    return np.array([1 - units.double().mean().item() for units in active])
