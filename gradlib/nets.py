"""Networks that read like their equations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gradlib.activations import activation as make_activation
from gradlib.initialize import initialize

NORMALIZATIONS: dict[str, type[nn.Module]] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
}


def normalization_layer(name: str | None, width: int, where: str) -> nn.Module:
    """The normalization layer called `name`; the identity for None.

    Raises ValueError, in the name of the class `where`, for any other name.
    """
    if name is None:
        return nn.Identity()
    if name not in NORMALIZATIONS:
        choices = ", ".join(NORMALIZATIONS)
        raise ValueError(f"gradlib.{where}: normalization {name!r} is unknown; choose from {choices} or None")
    return NORMALIZATIONS[name](width)


def check_sizes(where: str, **sizes: int) -> None:
    """Raise ValueError, in the name of the class `where`, for a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"gradlib.{where}: {name}={size}; expected an integer of at least 1")


class Block(nn.Module):
    """One layer: h = W x + b, normalised if asked, then φ(h), added to x if residual.

    x: (batch, fan_in). Returns (batch, fan_out).
    """

    def __init__(
        self, fan_in: int, fan_out: int, activation: str, normalization: str | None, residual: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out)
        self.norm = normalization_layer(normalization, fan_out, "MLP")
        self.activation = make_activation(activation)
        self.residual = residual and fan_in == fan_out

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.linear(x))
        return x + self.activation(h) if self.residual else self.activation(h)


class MLP(nn.Module):
    """A multilayer perceptron: `depth` blocks, then a linear readout.

        x_l = φ(W_l x_{l−1} + b_l),  l = 1 … depth;   output = W x_depth + b

    inputs, outputs: number of features in and out. width: units in every hidden layer, or a list with
    one number a layer. initialization: a scheme of `gradlib.initialize`, or (scheme, options).
    normalization: None, 'batch', 'layer' or 'rms', applied to the pre-activation. residual: add each
    block's input to its output, where their sizes agree (`gradlib.residual.ResidualMLP` has the other
    orderings and places).

    Raises ValueError where a size is not positive or a name is unknown.
    """

    def __init__(
        self,
        inputs: int,
        width: int | list[int],
        depth: int,
        outputs: int,
        activation: str = "relu",
        initialization: str | tuple[str, Mapping[str, float | str]] = "he",
        normalization: str | None = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        widths = [width] * depth if isinstance(width, int) else list(width)
        if len(widths) != depth:
            raise ValueError(
                f"gradlib.MLP: width={width} gives {len(widths)} layers, but depth={depth}; they must agree"
            )
        check_sizes("MLP", inputs=inputs, depth=depth, outputs=outputs, width=min(widths, default=0))
        fan_ins = [inputs, *widths[:-1]]
        self.blocks = nn.Sequential(
            *(
                Block(fan_in, fan_out, activation, normalization, residual)
                for fan_in, fan_out in zip(fan_ins, widths, strict=True)
            )
        )
        self.readout = nn.Linear(widths[-1], outputs)
        scheme, options = (initialization, {}) if isinstance(initialization, str) else initialization
        initialize(self, scheme, **options)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs). Returns (batch, outputs)."""
        return self.readout(self.blocks(x))
