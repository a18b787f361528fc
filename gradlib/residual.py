"""Residual networks: what is added to what, in which order, and how much of it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from gradlib.activations import activation as make_activation
from gradlib.initialize import initialize, layers
from gradlib.nets import check_sizes, normalization_layer

ORDERINGS = ("pre_activation", "post_activation", "relu_after_addition", "norm_after_addition")


class Scale(nn.Module):
    """x ↦ α x, with a number α that may be learned. Any shape."""

    def __init__(self, value: float, learned: bool = False) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([float(value)])) if learned else value

    def forward(self, x: Tensor) -> Tensor:
        return self.value * x


class ResidualBlock(nn.Module):
    """x ↦ after(x + branch(x)). The skip connection is the lone x."""

    def __init__(self, branch: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """x: of any shape that `branch` takes and returns. Returns that shape."""
        return self.after(x + self.branch(x))


class ResidualMLP(nn.Module):
    """A linear stem, `depth` residual blocks of one width, and a linear readout. A block, by its ordering:

        pre_activation        x ← x + α W φ(N(x))      (He et al. 2016, Identity Mappings)
        post_activation       x ← x + α φ(N(W x))
        relu_after_addition   x ← φ(x + α N(W x))      (He et al. 2016, Deep Residual Learning)
        norm_after_addition   x ← N(x + α W φ(x))      (as Vaswani et al. 2017: Post-LN)

    inputs, outputs: number of features in and out. width: units of every block. activation: φ, by its
    name. normalization: N, None, 'batch', 'layer' or 'rms'. scale: α; with learned_scale the number that
    training starts from, so that 0.0 gives SkipInit (De & Smith 2020) and ReZero (Bachlechner et al. 2021).
    branch_layers: linear layers in a branch, each with its own φ, and N where N is inside.

    Weights of the blocks are He's, those of stem and readout, which no φ precedes, LeCun's; biases start at
    zero. Raises ValueError where a size is not positive or a name is unknown.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        depth: int,
        outputs: int,
        activation: str = "relu",
        ordering: str = "pre_activation",
        normalization: str | None = None,
        scale: float = 1.0,
        learned_scale: bool = False,
        branch_layers: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"inputs": inputs, "width": width, "depth": depth, "outputs": outputs}
        check_sizes("ResidualMLP", **sizes, branch_layers=branch_layers)
        if ordering not in ORDERINGS:
            raise ValueError(
                f"gradlib.ResidualMLP: ordering {ordering!r} is unknown; choose from {', '.join(ORDERINGS)}"
            )

        norm = partial(normalization_layer, normalization, width, "ResidualMLP")
        phi = partial(make_activation, activation)
        linear = partial(nn.Linear, width, width)

        def block() -> ResidualBlock:
            branch: list[nn.Module] = []
            after: nn.Module = nn.Identity()
            for _ in range(branch_layers):
                match ordering:
                    case "pre_activation":
                        branch += [norm(), phi(), linear()]
                    case "post_activation" | "relu_after_addition":
                        branch += [linear(), norm(), phi()]
                    case "norm_after_addition":
                        branch += [phi(), linear()]
            if ordering == "relu_after_addition":
                after = branch.pop()
            if ordering == "norm_after_addition":
                after = norm()
            return ResidualBlock(nn.Sequential(*branch, Scale(scale, learned_scale)), after)

        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*(block() for _ in range(depth)))
        self.readout = nn.Linear(width, outputs)
        initialize(self.stem, "lecun")
        initialize(self.blocks, "he")
        initialize(self.readout, "lecun")

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs). Returns (batch, outputs)."""
        return self.readout(self.blocks(self.stem(x)))


@torch.no_grad()
def fixup(net: ResidualMLP) -> ResidualMLP:
    """Rescale the weights of `net` by Fixup, in place, and return it (Zhang, Dauphin & Ma 2019, §3).

    The last layer of every branch and the readout start at zero; the other layers of a branch, m − 1 of
    m, are multiplied by L^(−1/(2m − 2)), with L the number of blocks. Fixup's scalar multipliers are what
    learned_scale=True gives; in place of its scalar biases the layers have their own. Raises ValueError
    where a branch has a single layer, for which the rule has no exponent.
    """
    for block in net.blocks.children():
        *inner, last = layers(block)
        if not inner:
            raise ValueError("gradlib.fixup: branch_layers=1; expected at least 2 linear layers in a branch")
        for layer in inner:
            layer.weight *= len(net.blocks) ** (-1 / (2 * len(inner)))
        nn.init.zeros_(last.weight)
    nn.init.zeros_(net.readout.weight)
    return net
