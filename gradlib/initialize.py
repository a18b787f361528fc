"""Initial weights by the names the field uses, for any module made of linear and convolutional layers.

Every scheme draws weights with Var(W) = gain² / fan; they differ in the gain and in the fan.
`fan_in` is the number of inputs that one unit sums, `fan_out` the number of units that one input feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from math import sqrt

import torch
from torch import Tensor, nn

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def matrices(layer: Layer) -> tuple[Tensor, ...]:
    """The weight; of a convolution in groups, the weight of each, as they share no unit."""
    return layer.weight.chunk(getattr(layer, "groups", 1))


def lecun(layer: Layer, gain: float = 1.0) -> None:
    """Var(W) = gain² / fan_in: keeps the length of a linear layer's output (LeCun et al. 1998, §4.6)."""
    nn.init.normal_(layer.weight, std=gain / sqrt(layer.weight[0].numel()))


def xavier(layer: Layer, gain: float = 1.0) -> None:
    """Var(W) = 2 gain² / (fan_in + fan_out): a compromise between forward and backward
    (Glorot & Bengio 2010, eq. 16; the normal form)."""
    for weight in matrices(layer):
        nn.init.xavier_normal_(weight, gain)


def he(layer: Layer, mode: str = "fan_in", slope: float = 0.0) -> None:
    """Var(W) = 2 / ((1 + slope²) fan): keeps the length under a (leaky) ReLU (He et al. 2015, eq. 10, 14).

    mode: 'fan_in' keeps the forward signal, 'fan_out' the gradient. slope: of the negative side.
    """
    for weight in matrices(layer):
        nn.init.kaiming_normal_(weight, a=slope, mode=mode)  # type: ignore[arg-type]


def orthogonal(layer: Layer, gain: float = 1.0) -> None:
    """All singular values of W equal `gain` (Saxe, McClelland & Ganguli 2014)."""
    for weight in matrices(layer):
        nn.init.orthogonal_(weight, gain)


def mean_field(layer: Layer, weight_variance: float = 1.0, bias_variance: float = 0.0) -> None:
    """Var(W) = σ_w² / fan_in and Var(b) = σ_b² (Poole et al. 2016, §2)."""
    lecun(layer, sqrt(weight_variance))
    if layer.bias is not None:
        nn.init.normal_(layer.bias, std=sqrt(bias_variance))


def default(layer: Layer) -> None:
    """What PyTorch does if you do nothing: W and b uniform in ±1/√fan_in, so Var(W) = 1 / (3 fan_in)."""
    layer.reset_parameters()


SCHEMES: dict[str, Callable[..., None]] = {
    scheme.__name__: scheme for scheme in (default, lecun, xavier, he, orthogonal, mean_field)
}
DRAWS_BIASES = {"default", "mean_field"}


def layers(module: nn.Module) -> Iterator[Layer]:
    """Every linear and convolutional layer inside `module`, in order of definition."""
    yield from (layer for layer in module.modules() if isinstance(layer, Layer))


@torch.no_grad()
def initialize(module: nn.Module, scheme: str = "he", **options: float | str) -> nn.Module:
    """Draw new weights for every linear and convolutional layer of `module`, in place, and return it.

    scheme: default, lecun, xavier, he, orthogonal or mean_field; `options` are the scheme's own
    (`gain`, `mode`, `slope`, `weight_variance`, `bias_variance`). Biases become zero except under
    'default' and 'mean_field'. Transposed convolutions, embeddings, recurrent layers and attention's
    packed weights are left alone. Raises ValueError for an unknown scheme, a negative variance, a
    module without such layers, or a weight that is computed from others (weight normalization, pruning);
    TypeError for an option that the scheme does not have.
    """
    if scheme not in SCHEMES:
        raise ValueError(
            f"gradlib.initialize: scheme {scheme!r} is unknown; choose from {', '.join(sorted(SCHEMES))}"
        )
    known = list(signature(SCHEMES[scheme]).parameters)[1:]
    for name, value in options.items():
        if name not in known:
            takes = ", ".join(known) or "none"
            raise TypeError(f"gradlib.initialize: {scheme!r} has no option {name!r}; it takes {takes}")
        if name.endswith("variance") and float(value) < 0:
            raise ValueError(f"gradlib.initialize: {name}={value} is negative; a variance is ≥ 0")
    targets = list(layers(module))
    if not targets:
        raise ValueError("gradlib.initialize: module has no linear or convolutional layer to draw")
    if any("weight" not in dict(layer.named_parameters(recurse=False)) for layer in targets):
        raise ValueError(
            "gradlib.initialize: a weight is computed from other parameters, which would undo the draw; "
            "initialize before you parametrize or prune"
        )
    for layer in targets:
        if layer.bias is not None and scheme not in DRAWS_BIASES:
            nn.init.zeros_(layer.bias)
        SCHEMES[scheme](layer, **options)
    return module


GATES: dict[str, tuple[str, ...]] = {
    "LSTM": ("input", "forget", "new", "output"),
    "GRU": ("reset", "update", "new"),
}
"""The blocks of a recurrent layer's weights, in PyTorch's order; 'new' is the candidate, not a gate."""


@torch.no_grad()
def gate_bias(layer: nn.RNNBase, gate: str, bias: float | Tensor) -> None:
    """Set the bias of a gate, in place and in every layer of a stack: `bias` in all, since PyTorch adds two.

    gate: 'input', 'forget' or 'output' of an `nn.LSTM`; 'reset' or 'update' of an `nn.GRU`. bias: a number,
    or one for each unit. b_ih takes it and b_hh becomes zero. A forget bias of 1 or 2 is the usual choice
    (Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015). Raises ValueError for another
    gate, or a layer without biases.
    """
    blocks = GATES.get(layer.mode, ())
    gates = [block for block in blocks if block != "new"] if layer.bias else []
    if gate not in gates:
        raise ValueError(
            f"gradlib.gate_bias: {layer} has no bias for gate {gate!r}; it has {', '.join(gates) or 'none'}"
        )
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            value = bias if name.startswith("bias_ih") else 0.0
            parameter.chunk(len(blocks))[blocks.index(gate)].copy_(torch.as_tensor(value))


def chrono(layer: nn.RNNBase, longest: int) -> None:
    """Gate biases that spread memory over all lags up to `longest` (Tallec & Ollivier 2018).

    b_f = ln u, b_i = −ln u for an LSTM and b_z = ln u for PyTorch's GRU, with u ~ U[1, longest − 1] for
    each unit. Raises ValueError for longest ≤ 2, and as `gate_bias` does.
    """
    if longest <= 2:
        raise ValueError(f"gradlib.chrono: longest={longest}; expected a number of steps above 2")
    bias = torch.empty(layer.hidden_size).uniform_(1, longest - 1).log()
    if layer.mode == "LSTM":
        gate_bias(layer, "input", -bias)
    gate_bias(layer, "update" if layer.mode == "GRU" else "forget", bias)


RECURRENT: dict[str, Callable[[Tensor], Tensor]] = {
    "gaussian": lambda block: nn.init.normal_(block, std=1 / sqrt(block.shape[0])),
    "identity": nn.init.eye_,
    "orthogonal": nn.init.orthogonal_,
}


@torch.no_grad()
def recurrent_weights(layer: nn.RNNBase, scheme: str = "orthogonal", gain: float = 1.0) -> None:
    """Draw the state-to-state matrix of every gate and every layer of a stack, in place.

    scheme: 'orthogonal' (Saxe, McClelland & Ganguli 2014), 'identity' (Le, Jaitly & Hinton 2015, for ReLU)
    or 'gaussian' with Var = gain² / width: gain is the spectral radius, for Gaussian weights in the limit
    of large width. Raises ValueError for an unknown scheme.
    """
    if scheme not in RECURRENT:
        raise ValueError(
            f"gradlib.recurrent_weights: scheme {scheme!r} is unknown; choose from {', '.join(RECURRENT)}"
        )
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            for block in weight.chunk(weight.shape[0] // layer.hidden_size):
                RECURRENT[scheme](block).mul_(gain)
