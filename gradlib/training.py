"""Train one network under several seeds at once, so that every learning curve has its band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gradlib.flow import default_objective


def train(
    build: Callable[[], nn.Module] | Sequence[Callable[[], nn.Module]],
    inputs: Tensor,
    targets: Tensor,
    steps: int,
    lr: float,
    seeds: Sequence[int] = range(5),
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
) -> NDArray[np.float64]:
    """Loss before every step, (seeds, steps), of full-batch training from `len(seeds)` initializations.

    build: returns a fresh network; it is called once after seeding with each of `seeds`. Or several such
    functions, whose networks differ in nothing but their weights: then (builds, seeds, steps). All
    weights are stacked and trained together: with an optimizer that treats every element alone (SGD,
    Adam), each network runs exactly as it would by itself, batch normalization and frozen parameters
    included. targets: classes or real values, as in `gradient_flow`. Raises ValueError for steps < 1,
    lr ≤ 0, networks of which one prints otherwise than the first, and frozen ones.
    """
    if steps < 1 or lr <= 0:
        raise ValueError(f"gradlib.train: steps={steps}, lr={lr}; expected steps ≥ 1 and lr > 0")
    builds = [build] if callable(build) else build
    nets = []
    for make, seed in product(builds, seeds):
        torch.manual_seed(seed)
        nets.append(make())
    first, *others = dict.fromkeys(map(repr, nets))  # slow for a deep network, so once for each
    if others:
        raise ValueError(f"gradlib.train: build returned {others[0]} after {first}; expected the same")
    parameters, buffers = stack_module_state(nets)
    # One tensor of all parameters: an optimizer's step then costs the same at any depth.
    learned = {name: stacked for name, stacked in parameters.items() if stacked.requires_grad}
    if not learned:
        raise ValueError("gradlib.train: build returned a network without a parameter that requires_grad")
    flat = torch.cat([stacked.detach().flatten(1) for stacked in learned.values()], dim=1).requires_grad_()
    sizes = [stacked[0].numel() for stacked in learned.values()]
    objective = default_objective(targets)

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return objective(functional_call(nets[0], (parameters, buffers), (inputs,)), targets)

    step = optimizer([flat], lr=lr)
    losses = torch.empty(steps, len(nets))
    for index in range(steps):
        step.zero_grad()
        pieces = zip(learned.items(), flat.split(sizes, dim=1), strict=True)
        views = {name: piece.view(stacked.shape) for (name, stacked), piece in pieces}
        of_each = vmap(loss)({**parameters, **views}, buffers)
        of_each.sum().backward()
        step.step()
        losses[index] = of_each.detach()
    return losses.T.numpy() if callable(build) else losses.T.view(len(builds), -1, steps).numpy()
