"""The gradient through residual blocks: skip and branch apart, and path by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.func import vjp, vmap

from gradlib.flow import default_objective, squared_norm, undisturbed


@dataclass(frozen=True)
class Fork:
    """Where skip and branch part, seen by one backward pass. Gradients are squared, summed over the batch."""

    squared_skip: float
    """of the gradient that came back around the branch"""
    squared_branch: float
    """of the gradient that came back through it"""
    squared_gradient: float
    """of their sum: the gradient at the fork"""
    alignment: float
    """cosine of the angle between the two; nan where one of them is zero"""


def fork_gradients(
    model: nn.Module,
    branches: Iterable[nn.Module],
    inputs: Tensor,
    targets: Tensor,
    objective: Callable[[Any, Tensor], Tensor] | None = None,
) -> list[Fork]:
    """At every fork: how much gradient comes through the branch, and how much around it?

    branches: the modules that a residual connection bypasses, each called once, in any model; only where
    they are entered matters, so the first module of a branch will do (in a Pre-LN block, its norm). What
    goes around a branch is everything else that its input feeds. inputs, targets, objective: as in
    `gradlib.gradient_flow`, real inputs; the pass leaves as little behind. Returns one `Fork` a branch, in
    the order given. Raises ValueError for no branches, or one that is not called exactly once.
    """
    branches = list(branches)
    entered: dict[int, list[tuple[Any, Tensor]]] = {index: [] for index in range(len(branches))}

    def enter(index: int, _: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *rest = arguments
        through = x.clone()
        entered[index].append((get_gradient_edge(x), through))  # the edge outlives changes in place
        return (through, *rest)

    with undisturbed(model), ExitStack() as hooks:
        for index, branch in enumerate(branches):
            hooks.callback(branch.register_forward_pre_hook(partial(enter, index)).remove)
        outputs = model(inputs.detach().clone().requires_grad_())
        calls = [len(calls) for calls in entered.values()]
        if not calls or set(calls) != {1}:
            raise ValueError(
                f"gradlib.fork_gradients: branches were called {calls} times; expected at least one branch, "
                "each called once"
            )
        loss = (objective or default_objective(targets))(outputs, targets)
        at_forks, in_branches = zip(*(call for [call] in entered.values()), strict=True)
        gradients = torch.autograd.grad(
            loss, [*at_forks, *in_branches], allow_unused=True, materialize_grads=True
        )
    return [*map(_fork, gradients[: len(branches)], gradients[len(branches) :])]


def _fork(total: Tensor, through: Tensor) -> Fork:
    around = total - through
    squared_skip, squared_branch = squared_norm(around), squared_norm(through)
    norms = (squared_skip * squared_branch) ** 0.5
    alignment = (around * through).sum().item() / norms if norms else nan
    return Fork(squared_skip, squared_branch, squared_norm(total), alignment)


def gradient_by_path_length(
    branches: Iterable[Callable[[Tensor], Tensor]], inputs: Tensor, gradient: Tensor
) -> Tensor:
    """The gradient at x_0, split by the number of branches that it came through.

        x_l = x_{l−1} + f_l(x_{l−1}),   ∂x_L/∂x_0 = (I + J_L) ⋯ (I + J_1)

    Multiplied out, the product has 2^L terms, one for each path (Veit, Wilber & Belongie 2016). Those with k
    factors J_l are summed, without visiting any: going back, through every block, the sum over paths
    with k branches gains what came with k − 1 and takes one more.

    branches: the f_l. inputs: x_0, (batch, features). gradient: at x_L, of the same shape. Returns (L + 1,
    batch, features), k = 0 … L; the sum over k is the gradient at x_0. Raises ValueError for no branches.
    """
    x, pullbacks = inputs.detach(), []
    for branch in branches:
        added, pullback, *_ = vjp(branch, x)
        pullbacks.append(pullback)
        x = x + added
    if not pullbacks:
        raise ValueError("gradlib.gradient_by_path_length: no branches; expected at least one")
    lengths = gradient.detach()[None]
    for pullback in reversed(pullbacks):
        (through,) = vmap(pullback)(lengths)
        nothing = torch.zeros_like(lengths[:1])
        lengths = torch.cat([lengths, nothing]) + torch.cat([nothing, through])
    return lengths.detach()
