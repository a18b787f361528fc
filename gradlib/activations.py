"""The activation functions the book compares, by the names practitioners use."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def activation(name: str) -> nn.Module:
    """Return a new module for the activation called `name`.

    Raises ValueError for a name that is not a key of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        choices = ", ".join(sorted(ACTIVATIONS))
        raise ValueError(f"gradlib: activation {name!r} is unknown; choose from {choices}")
    return ACTIVATIONS[name]()


def slope(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """φ′(h), element by element, for any element-wise function, as automatic differentiation sees it.

    inputs: any shape. Returns a tensor of that shape, detached.
    """
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        return torch.autograd.grad(function(inputs).sum(), inputs)[0]
