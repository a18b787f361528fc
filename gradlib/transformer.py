"""Transformer encoders that read like their equations, with the norm where you put it."""

from __future__ import annotations

from math import sqrt

from torch import Tensor, nn

from gradlib.initialize import initialize
from gradlib.nets import check_sizes, normalization_layer

PLACEMENTS = ("pre", "post", "deepnorm", None)


class Attention(nn.Module):
    """Every token asks all tokens: softmax(Q Kᵀ / √d_k) V, then one more matrix (Vaswani et al. 2017, §3.2).

    x: (…, tokens, width), the same out. Each of `heads` heads works on d_k = width / heads features.
    scaled: whether logits are divided by √d_k.
    """

    def __init__(self, width: int, heads: int, scaled: bool) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads
        self.scale = sqrt(heads / width) if scaled else 1.0

    def forward(self, x: Tensor) -> Tensor:
        Q, K, V = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
            for part in (self.query, self.key, self.value)
        )
        # Not scaled_dot_product_attention: it has no rule for vmap, by which seeds are trained together.
        weights = (Q @ K.mT * self.scale).softmax(dim=-1)
        return self.output((weights @ V).transpose(-3, -2).flatten(-2))


class FeedForward(nn.Module):
    """Every token by itself: W_2 relu(W_1 x), four times wider inside (Vaswani et al. 2017, §3.3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(self.expand(x).relu())


class Sublayer(nn.Module):
    """A branch f, its skip connection of strength α, and a norm: αx + f(norm(x)), or norm(αx + f(x))."""

    def __init__(self, branch: nn.Module, norm: nn.Module, norm_first: bool, skip: float) -> None:
        super().__init__()
        self.branch, self.norm, self.norm_first, self.skip = branch, norm, norm_first, skip

    def forward(self, x: Tensor) -> Tensor:
        if self.norm_first:
            return self.skip * x + self.branch(self.norm(x))
        return self.norm(self.skip * x + self.branch(x))


class Transformer(nn.Module):
    """A transformer encoder: embedding, `depth` blocks of attention and feed-forward, readout.

        Pre-LN    x ← x + f(norm(x)),  and a norm before the readout  (Xiong et al. 2020)
        Post-LN   x ← norm(x + f(x))                                  (Vaswani et al. 2017)
        DeepNorm  x ← norm(αx + f(x)),  see `deepnorm`                (Wang et al. 2022)
        None      x ← x + f(x)

    inputs: (batch, tokens, inputs), with the position among the features if order matters. outputs: features
    for each token, or of the mean over tokens if `pool`. width: features of a token, a multiple of
    `heads`. placement: 'pre', 'post', 'deepnorm' or None. normalization: 'layer' or 'rms'. skips: False
    leaves out x. scaled: False leaves out 1/√d_k. Weights are Xavier's, biases zero.

    Raises ValueError where a size is not positive, heads do not divide the width, or a name is unknown.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        depth: int,
        outputs: int,
        heads: int = 4,
        placement: str | None = "pre",
        normalization: str = "layer",
        skips: bool = True,
        scaled: bool = True,
        pool: bool = False,
    ) -> None:
        super().__init__()
        check_sizes("Transformer", inputs=inputs, width=width, depth=depth, outputs=outputs, heads=heads)
        if width % heads:
            raise ValueError(f"gradlib.Transformer: width={width} is not a multiple of heads={heads}")
        if placement not in PLACEMENTS:
            raise ValueError(
                f"gradlib.Transformer: placement {placement!r} is unknown; "
                "choose from pre, post, deepnorm or None"
            )
        if normalization not in ("layer", "rms"):
            raise ValueError(
                f"gradlib.Transformer: normalization {normalization!r} is unknown; choose from layer or rms"
            )
        skip, gain = deepnorm(depth) if placement == "deepnorm" else (1.0, 1.0)

        def norm(wanted: bool = placement is not None) -> nn.Module:
            return normalization_layer(normalization if wanted else None, width, "Transformer")

        def sublayer(branch: nn.Module) -> Sublayer:
            return Sublayer(branch, norm(), placement == "pre", skip if skips else 0.0)

        self.embedding = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(sublayer(Attention(width, heads, scaled)), sublayer(FeedForward(width)))
                for _ in range(depth)
            )
        )
        self.norm = norm(placement == "pre")
        self.readout = nn.Linear(width, outputs)
        self.pool = pool
        initialize(self, "xavier")
        for name, weight in self.named_parameters():
            if name.endswith(("value.weight", "output.weight", "expand.weight", "contract.weight")):
                weight.data *= gain

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, tokens, inputs). Returns (batch, tokens, outputs), or (batch, outputs) if pooled."""
        x = self.norm(self.blocks(self.embedding(x)))
        return self.readout(x.mean(dim=-2) if self.pool else x)


def deepnorm(depth: int) -> tuple[float, float]:
    """(α, β) = ((2N)^¼, (8N)^−¼) for an encoder of N = depth blocks (Wang et al. 2022).

    α multiplies the skip connection, β the Xavier gain of W_V, W_O and both feed-forward matrices; queries
    and keys keep theirs. Raises ValueError for a depth below 1.
    """
    check_sizes("deepnorm", depth=depth)
    return (2 * depth) ** 0.25, (8 * depth) ** -0.25
