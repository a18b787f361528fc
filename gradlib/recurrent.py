"""Recurrent layers, written out step by step so that every gate can be seen.

`RNN`, `LSTM` and `GRU` are PyTorch's own modules, with their parameters, arguments and results; only the
computation is spelled out. It is a little slower than PyTorch's, and works under `torch.func.vmap`, which
that does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Step(NamedTuple):
    """What a recurrent layer computes at one time step; every tensor is (batch, width)."""

    h: Tensor
    """what the layer puts out"""
    c: Tensor
    """what it carries to the next step: the cell of an LSTM; for the others h itself"""
    gates: dict[str, Tensor]
    """values in (0, 1); 'forget' of the LSTM and 'update' of the GRU multiply the old c"""

    @property
    def keep(self) -> Tensor:
        """The factor of the old c in the new one; 0 for a layer without gates."""
        return self.gates.get("forget", self.gates.get("update", torch.zeros_like(self.c)))


def tanh_step(from_input: Tensor, from_state: Tensor, old: Step) -> Step:
    """h ← tanh(W x + b + U h + b′) (after Elman 1990)."""
    h = torch.tanh(from_input + from_state)
    return Step(h, h, {})


def relu_step(from_input: Tensor, from_state: Tensor, old: Step) -> Step:
    """h ← max(0, W x + b + U h + b′) (Le, Jaitly & Hinton 2015)."""
    h = torch.relu(from_input + from_state)
    return Step(h, h, {})


def lstm_step(from_input: Tensor, from_state: Tensor, old: Step) -> Step:
    """c ← f c + i g,  h ← o tanh c (Hochreiter & Schmidhuber 1997; f: Gers, Schmidhuber & Cummins 2000)."""
    a_i, a_f, a_g, a_o = (from_input + from_state).chunk(4, dim=-1)
    i, f, o = a_i.sigmoid(), a_f.sigmoid(), a_o.sigmoid()
    c = f * old.c + i * a_g.tanh()
    return Step(o * c.tanh(), c, {"input": i, "forget": f, "output": o})


def gru_step(from_input: Tensor, from_state: Tensor, old: Step) -> Step:
    """h ← (1 − z) n + z h, as PyTorch has it (after Cho et al. 2014)."""
    r_x, z_x, n_x = from_input.chunk(3, dim=-1)
    r_h, z_h, n_h = from_state.chunk(3, dim=-1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    h = (1 - z) * (n_x + r * n_h).tanh() + z * old.h
    return Step(h, h, {"reset": r, "update": z})


STEPS: dict[str, Callable[[Tensor, Tensor, Step], Step]] = {
    "RNN_TANH": tanh_step,
    "RNN_RELU": relu_step,
    "LSTM": lstm_step,
    "GRU": gru_step,
}


def unroll(
    layer: nn.RNNBase, inputs: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None
) -> list[Step]:
    """Run an `nn.RNN`, `nn.LSTM` or `nn.GRU` one time step after another, with its own weights.

    inputs: (batch, time, features), or (time, batch, features) without `batch_first`. state: as the layer
    takes it; zeros by default. Returns one `Step` for each time step. Raises ValueError for a layer that
    is stacked, bidirectional or projected (take a stack apart into layers), and for inputs
    without a batch.
    """
    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size:
        raise ValueError(
            f"gradlib.unroll: layer {layer} is more than one chain of steps; expected num_layers=1, "
            "bidirectional=False and proj_size=0"
        )
    if not isinstance(inputs, Tensor) or inputs.ndim != 3:
        raise ValueError("gradlib.unroll: inputs must be a tensor of three dimensions: batch, time, features")
    if not inputs.shape[1 if layer.batch_first else 0]:
        raise ValueError(f"gradlib.unroll: inputs of shape {tuple(inputs.shape)} have no time step")
    inputs = inputs if layer.batch_first else inputs.transpose(0, 1)
    h, c = state if isinstance(state, tuple | list) else (state, state)
    zeros = inputs.new_zeros(len(inputs), layer.hidden_size)
    now = Step(zeros if h is None else h[0], zeros if c is None else c[0], {})
    # Attributes, since a weight may be computed from others (weight normalization, pruning).
    into, back = (getattr(layer, f"weight_{name}_l0") for name in ("ih", "hh"))
    bias_into, bias_back = (getattr(layer, f"bias_{name}_l0", None) for name in ("ih", "hh"))
    from_inputs = functional.linear(inputs, into, bias_into)
    steps = []
    for from_input in from_inputs.unbind(1):
        from_state = functional.linear(now.h, back, bias_back)
        now = STEPS[layer.mode](from_input, from_state, now)
        steps.append(now)
    return steps


def gathered(layer: nn.RNNBase, steps: list[Step]) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """What PyTorch's layer returns: h at all steps, and the last state."""
    h, c = steps[-1].h[None], steps[-1].c[None]
    outputs = torch.stack([step.h for step in steps], dim=1 if layer.batch_first else 0)
    return outputs, (h, c) if layer.mode == "LSTM" else h


class _Unrolled(nn.RNNBase):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return gathered(self, unroll(self, input, hx))


class RNN(_Unrolled, nn.RNN):  # type: ignore[misc]
    """`torch.nn.RNN`, step by step."""


class LSTM(_Unrolled, nn.LSTM):  # type: ignore[misc]
    """`torch.nn.LSTM`, step by step."""


class GRU(_Unrolled, nn.GRU):  # type: ignore[misc]
    """`torch.nn.GRU`, step by step."""


class LastState(nn.Module):
    """A recurrent layer, and a linear readout of its last h.

    layer: any `nn.RNN`, `nn.LSTM` or `nn.GRU` with `batch_first`, or one of this module.
    """

    def __init__(self, layer: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        if not layer.batch_first:
            raise ValueError(f"gradlib.LastState: layer {layer}; expected one made with batch_first=True")
        self.layer = layer
        self.readout = nn.Linear(layer.hidden_size, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs: (batch, time, features). Returns (batch, outputs)."""
        states, _ = self.layer(inputs)
        return self.readout(states[:, -1])
