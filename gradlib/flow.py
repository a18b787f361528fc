"""One backward pass, and the gradient at every layer of any model."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import astuple, dataclass, fields
from functools import cached_property, partial
from math import inf, isnan, nan
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from gradlib import plot
from gradlib.activations import slope
from gradlib.prose import as_markdown, number

DIES_BELOW = 1e-4
"""Share of the last layer's squared gradient under which a layer counts as starved: a hundredth in norm."""
SATURATED_BELOW = 0.1
"""Share of an activation's largest slope under which an element counts as saturated."""

ELEMENTWISE = {"sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"}
ELEMENTWISE |= {"celu", "hardsigmoid", "hardswish", "hardtanh", "log_sigmoid", "mish", "relu6", "softsign"}
"""Activations recognised, by the name of the PyTorch function that computes them."""


@dataclass(frozen=True)
class Layer:
    """What one pass shows at one layer. Every number is of this batch; every gradient is squared.

    A norm of what is not finite is inf.
    """

    name: str
    scale: float
    """root mean square of the layer's output, before its activation"""
    saturated: float
    """share of entries whose slope is under a tenth of the activation's largest; nan where nothing has one"""
    silent: float
    """share of units with slope zero for the whole batch; nan as above"""
    squared_gradient: float
    """squared norm of ∂loss/∂output, over batch and units; nan where the loss does not depend on it"""
    squared_weight_gradient: float
    """squared norm of ∂loss/∂weight; nan as above, and for a frozen weight"""
    update_ratio: float
    """norm of ∂loss/∂weight over norm of weight: the step of plain SGD at learning rate 1"""


class Flow:
    """The gradient at every layer of a model, from one backward pass.

    layers: one `Layer` for each call of a layer, in the order of the forward pass. unwatched: modules
    with matrices of their own that no layer shows.
    """

    def __init__(self, layers: list[Layer], loss: float, unwatched: Sequence[str] = ()) -> None:
        self.layers = layers
        self.loss = loss
        self.unwatched = unwatched

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

        The output layer is left out: its gradient belongs to the loss. 0 if the gradient of the first
        layer is exactly zero, inf if one is not finite, nan with fewer than two hidden layers that have one.
        """
        gradients = self.squared_gradient[~np.isnan(self.squared_gradient)][:-1]
        if len(gradients) < 2:
            return nan
        if not np.isfinite(gradients).all():
            return inf
        if not gradients[0]:
            return 0.0
        alive = np.flatnonzero(gradients)  # a branch that starts at zero has none
        if len(alive) < 2:
            return nan
        return float(np.exp(-np.polyfit(alive, np.log(gradients[alive]), 1)[0]))

    @property
    def verdict(self) -> str:
        """'vanishing', 'healthy' or 'exploding', in a sentence that names the layer where it happens.

        A layer is starved when its squared gradient is below 10⁻⁴ of the output layer's, and flooded
        above 10⁴ times it. The bound is a convention, a hundredfold in norm; `rate` has none. The first
        layer decides: what lies on a branch can have little without keeping it from those before. The
        output layer is the last one called on which the loss depends.
        """
        reached = [layer for layer in self.layers if not isnan(layer.squared_gradient)]
        gradients = np.array([layer.squared_gradient for layer in reached])
        factor = "" if isnan(self.rate) else f"; squared factor {number(self.rate)} per layer"

        def from_the_first(layers: NDArray[np.bool_]) -> str:
            name = reached[int(np.argmin([*layers, False])) - 1].name
            return f"of the output's gradient from {name} backward{factor}"

        share = gradients / (gradients[-1] if 0 < gradients[-1] < inf else 1)
        starved, flooded = share < DIES_BELOW, share > 1 / DIES_BELOW
        lost = [layer.name for layer in reached if layer.squared_gradient == inf]
        if lost:
            said = f"exploding: the gradient is not finite from {lost[-1]} backward"
        elif gradients[-1] == 0:
            said = "vanishing: the gradient is zero already at the output"
        elif starved[0]:
            said = f"vanishing: under 1/100 {from_the_first(starved)}"
        elif flooded[0]:
            said = f"exploding: over 100 times {from_the_first(flooded)}"
        else:
            said = "healthy: within a hundredfold of the output's gradient at "
            apart = [reached[index].name for index in np.flatnonzero(starved | flooded)]
            said += f"the first layer, but not at {some(apart)}" if apart else "every layer watched"
            said += factor
        independent = [layer.name for layer in self.layers if isnan(layer.squared_gradient)]
        said += f"; the loss does not depend on {some(independent)}" if independent else ""
        return said + (f"; not watched: {some(self.unwatched)}" if self.unwatched else "")

    def plot(self) -> None:
        """Draw the squared gradient over depth, and the line that `rate` is the slope of."""
        figure, panel = plot.axes("layer", "squared gradient", log_y=True)
        plot.measured(panel, np.arange(1, len(self.layers) + 1), self.squared_gradient)
        if 0 < self.rate < inf:
            hidden = np.flatnonzero(~np.isnan(self.squared_gradient))[:-1]
            alive = np.flatnonzero(self.squared_gradient[hidden])
            middle = np.log(self.squared_gradient[hidden[alive]]).mean()
            line = np.exp(middle - np.log(self.rate) * (alive - alive.mean()))
            plot.predicted(panel, hidden[alive] + 1, line, label=f"fit: factor {number(self.rate)} per layer")
            panel.legend()
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
        return f"{as_markdown(heads, rows)}\n\n{self.verdict}"


def some(names: Sequence[str]) -> str:
    """At most three names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class _Call:
    """What is kept of one call of a layer until both passes are over."""

    def __init__(self, name: str, layer: nn.Module, weight: Tensor, output: Tensor) -> None:
        self.name, self.weight, self.output = name, weight, output
        self.unit_dimension = 1 - weight.ndim if isinstance(layer, _ConvNd) else -1
        self.passed_on = output.clone()  # what comes next may change it in place
        self.activation: tuple[Callable[[Tensor], Tensor], Tensor] | None = None

    @cached_property
    def has_slopes(self) -> bool:
        """Whether an activation followed, and its inputs are numbers that have a slope."""
        return self.activation is not None and bool(self.activation[1].isfinite().all())

    @cached_property
    def slopes(self) -> tuple[Tensor, Tensor] | None:
        """Size of the slope at every entry, and the largest size there is; None where nothing has a slope."""
        if self.activation is None or not self.has_slopes:
            return None
        function, inputs = self.activation
        everywhere = torch.linspace(-8, 8, 1601).to(inputs)
        sizes = slope(function, torch.cat([everywhere, inputs.flatten()])).abs()  # one call costs half of two
        return sizes[len(everywhere) :].view(inputs.shape), sizes[: len(everywhere)].max()

    @property
    def saturated(self) -> float:
        if self.slopes is None:
            return nan
        sizes, largest = self.slopes
        return (sizes < SATURATED_BELOW * largest).cpu().double().mean().item()

    @cached_property
    def active_units(self) -> Tensor | None:
        """Whether a unit's slope differs from zero anywhere in the batch; None where nothing has a slope."""
        if self.slopes is None:
            return None
        active = torch.atleast_2d(self.slopes[0] != 0)
        flattened = active.ndim < self.output.ndim  # after a convolution: then every entry is a unit
        return active.movedim(-1 if flattened else self.unit_dimension, -1).flatten(0, -2).any(0)

    @property
    def silent(self) -> float:
        return nan if self.active_units is None else 1 - self.active_units.cpu().double().mean().item()

    def seen(self, gradient: Tensor | None, weight_gradient: Tensor | None) -> Layer:
        squared = nan if weight_gradient is None else squared_norm(weight_gradient)
        size = squared_norm(self.weight)
        return Layer(
            name=self.name,
            scale=(squared_norm(self.output) / max(self.output.numel(), 1)) ** 0.5,
            saturated=self.saturated,
            silent=self.silent,
            squared_gradient=nan if gradient is None else squared_norm(gradient),
            squared_weight_gradient=squared,
            update_ratio=(squared / size) ** 0.5 if size else inf,
        )


class _Activations(TorchFunctionMode):
    """Sees activation functions however they are called, as modules or as functions.

    The slopes go to the layer whose output it is, else (after a norm, say) to the layer called last; not
    where the input is no batch, such as a gate that is learned.
    """

    def __init__(self, calls: list[_Call]) -> None:
        super().__init__()
        self.calls = calls

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        if name in ELEMENTWISE and args and self.calls:
            call = next((call for call in self.calls if call.passed_on is args[0]), self.calls[-1])
            if call.activation is None and args[0].shape[:1] == call.output.shape[:1]:
                apply = partial(func, **kwargs)
                # Clones, as the function may work in place.
                call.activation = (lambda h: apply(h.clone(), *args[1:])), args[0].detach().clone()
        return func(*args, **kwargs)


def squared_norm(tensor: Tensor) -> float:
    """Sum of squares, in float64 whatever the tensor's type, so that small gradients stay visible.

    inf if an entry is not finite.
    """
    total = tensor.detach().cpu().double().square().sum().item()  # Apple's processors have no float64
    return inf if isnan(total) else total


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Leave buffers (running statistics) and the random state as they were found."""
    if any(map(is_lazy, model.parameters())):
        raise ValueError("gradlib: model has lazy layers, without weights yet; call it once on a batch first")
    saved = [(module._buffers, {**module._buffers}) for module in model.modules()]
    values = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad(), uncompiled():
            yield
    finally:
        for buffers, found in saved:
            for name, buffer in found.items():  # a scripted module's have no update
                buffers[name] = buffer
        with torch.no_grad():
            for buffer, value in values:
                if not torch.equal(buffer, value):  # some that never change cannot be written to
                    buffer.copy_(value)


def uncompiled() -> AbstractContextManager[None]:
    """Run compiled models as they were written, since hooks see nothing inside a compiled one."""
    compiling = "torch._dynamo" in sys.modules  # loaded by the first torch.compile, and slow to load
    return torch.compiler.set_stance("force_eager") if compiling else nullcontext()


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[_Call]]:
    """Watch every layer of `model` that has a weight matrix, exactly as long as the scope lives.

    Every output becomes a part of the graph, even where all before it is frozen.
    """
    calls: list[_Call] = []
    counts: Counter[str] = Counter()

    def see(name: str, layer: nn.Module, _: Any, output: Any) -> Tensor | None:
        weight = weight_of(layer)
        if weight is None or not isinstance(output, Tensor) or not output.dtype.is_floating_point:
            return None
        if not output.requires_grad:
            output = output.detach().requires_grad_()
        counts[name] += 1
        call = f"{name} (call {counts[name]})" if counts[name] > 1 else name
        calls.append(_Call(call, layer, weight, output))
        return calls[-1].passed_on

    handles = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_hook(partial(see, name or type(module).__name__)))
        with parametrize.cached(), _Activations(calls):
            yield calls
    finally:
        for handle in handles:
            handle.remove()


def weight_of(module: nn.Module) -> Tensor | None:
    """The weight matrix (or kernel) of a layer; None where there is none, or it is a wrapped layer's."""
    weight = getattr(module, "weight", None)
    wrapped = any(getattr(child, "weight", None) is weight for child in module.children())
    return weight if isinstance(weight, Tensor) and weight.ndim >= 2 and not wrapped else None


def unwatched(model: nn.Module, calls: list[_Call]) -> list[str]:
    """Modules with a matrix of their own that none of `calls` shows."""
    weights = {id(call.weight) for call in calls}
    covered, found = [f"{call.name}." for call in calls], []
    for name, module in model.named_modules():
        kind = type(module).__name__
        owned = [own for own in module.parameters(recurse=False) if own.ndim >= 2 and id(own) not in weights]
        if owned and not f"{name or kind}.".startswith(tuple(covered)):
            covered.append(f"{name or kind}.")
            found.append(f"{name} ({kind})" if name else kind)
    return found


def default_objective(targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy for integer targets, mean squared error for real ones; TypeError for no tensor."""
    if not isinstance(targets, Tensor):
        kind = type(targets).__name__
        raise TypeError(f"gradlib: targets is a {kind}; expected a tensor, or an objective of your own")
    return functional.mse_loss if targets.is_floating_point() else functional.cross_entropy


def gradient_flow(
    model: nn.Module,
    inputs: Any,
    targets: Tensor,
    objective: Callable[[Any, Tensor], Tensor] | None = None,
) -> Flow:
    """Where does the gradient of this model go? One forward and one backward pass, nothing left behind.

    model: any module; every submodule whose `weight` is a matrix or kernel is watched, at each of its
    calls. (PyTorch's LSTM, GRU and MultiheadAttention keep theirs inside; the layers around them are
    seen, and the verdict says what is not.) inputs: what the model takes, one object; a model that takes
    several needs a module around it that takes one. targets: integer classes or real values; the
    objective is cross-entropy or mean squared error accordingly, unless given: objective(outputs,
    targets) must return a scalar tensor.

    Parameters' `.grad`, buffers, hooks, the random state and the model's mode stay as they were.
    Frozen parameters still let the gradient through. Numbers that are not finite are reported, not
    raised. Raises ValueError for a model without such layers or an objective that does not lead from
    them to a scalar; TypeError for outputs or targets that are not a tensor where no objective is given.
    """
    with undisturbed(model):
        with recorded(model) as calls:
            outputs = model(inputs)
            if not calls:
                raise ValueError("gradlib.gradient_flow: model has no layer with a weight matrix to watch")
            if objective is None and not isinstance(outputs, Tensor):
                raise TypeError(
                    f"gradlib.gradient_flow: model returned a {type(outputs).__name__}, not a tensor; "
                    "give an objective(outputs, targets) that makes a scalar of it"
                )
            loss = (objective or default_objective(targets))(outputs, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            returned = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ValueError(
                f"gradlib.gradient_flow: objective returned {returned}; expected a scalar tensor computed "
                "from the model's outputs"
            )
        free = [call.weight for call in calls if call.weight.requires_grad]
        wanted = [call.output for call in calls] + free
        gradients = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
        at_outputs = [next(gradients) for _ in calls]
        at_weights = [next(gradients) if call.weight.requires_grad else None for call in calls]
        if all(gradient is None for gradient in at_outputs):
            raise ValueError("gradlib.gradient_flow: the objective depends on no layer of the model")
        return Flow([*map(_Call.seen, calls, at_outputs, at_weights)], loss.item(), unwatched(model, calls))


def dead_units(model: nn.Module, batches: Iterable[Any]) -> NDArray[np.float64]:
    """Share of units in each layer whose slope is zero for every input of every batch.

    batches: inputs of the model, one batch after another. A unit silent for one batch may speak in
    the next; call it dead only over a window. Returns one number for each layer that an activation
    follows. Raises ValueError for no batches, when no activation is seen, and for inf or nan.
    """
    active: list[Tensor] = []
    for batch in batches:
        with undisturbed(model), recorded(model) as calls:
            model(batch)
        if not all(call.has_slopes for call in calls if call.activation):
            raise ValueError("gradlib.dead_units: a batch leads to inf or nan, which is neither on nor off")
        seen = [call.active_units for call in calls if call.active_units is not None]
        active = [old | new for old, new in zip(active, seen, strict=True)] if active else seen
    if not active:
        raise ValueError("gradlib.dead_units: no batch or no activation was seen; nothing to count")
    return np.array([1 - units.double().mean().item() for units in active])
