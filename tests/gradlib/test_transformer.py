"""The transformer computes its equations, with the norm where it was put."""

import warnings

import pytest
import torch
from torch.nn import functional

from gradlib import gradient_flow
from gradlib.training import train
from gradlib.transformer import Attention, FeedForward, Transformer, deepnorm


@pytest.mark.parametrize("scaled", [True, False])
def test_attention_is_what_pytorch_computes(scaled):
    attention = Attention(width=8, heads=2, scaled=scaled)
    x = torch.randn(3, 5, 8)
    Q, K, V = (
        part(x).view(3, 5, 2, 4).transpose(1, 2) for part in (attention.query, attention.key, attention.value)
    )
    each = functional.scaled_dot_product_attention(Q, K, V, scale=0.5 if scaled else 1.0)
    expected = attention.output(each.transpose(1, 2).reshape(3, 5, 8))
    torch.testing.assert_close(attention(x), expected)


def blocks_by_hand(net, x, placement, alpha):
    for block in net.blocks:
        for sublayer in block:
            if placement == "pre":
                x = alpha * x + sublayer.branch(sublayer.norm(x))
            else:
                x = sublayer.norm(alpha * x + sublayer.branch(x))
    return x


@pytest.mark.parametrize(
    ("placement", "skips", "alpha"),
    [
        ("pre", True, 1),
        ("post", True, 1),
        ("post", False, 0),
        ("deepnorm", True, 6**0.25),
        (None, True, 1),
        (None, False, 0),
    ],
)
def test_blocks_are_the_equation_of_their_placement(placement, skips, alpha):
    net = Transformer(8, 8, 3, 2, placement=placement, skips=skips)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(net.blocks(x), blocks_by_hand(net, x, placement, alpha))


def test_pre_ln_normalises_before_the_readout_and_post_ln_after_every_sum():
    x = torch.randn(2, 5, 16)
    pre, post = Transformer(16, 16, 4, 2, placement="pre"), Transformer(16, 16, 4, 2, placement="post")
    assert pre.blocks(x).square().mean() > 2
    torch.testing.assert_close(
        pre(x), pre.readout(functional.layer_norm(pre.blocks(pre.embedding(x)), (16,)))
    )
    assert post.blocks(x).square().mean().item() == pytest.approx(1, rel=1e-3)


def test_rms_norm_keeps_the_mean_of_a_token():
    x = torch.randn(2, 5, 8) + 3
    means = {
        name: Transformer(8, 8, 1, 2, placement="post", normalization=name).blocks[0][0].norm(x).mean()
        for name in ("layer", "rms")
    }
    assert means["rms"] > 0.5
    assert abs(means["layer"]) < 1e-12


def test_pooling_reads_the_mean_over_tokens():
    net = Transformer(8, 8, 1, 3, placement="post", pool=True)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(net(x), net.readout(net.blocks(net.embedding(x)).mean(dim=1)))
    assert Transformer(8, 8, 1, 3)(x).shape == (2, 5, 3)


def test_weights_are_xavier_s_and_deepnorm_scales_some_by_beta():
    torch.manual_seed(0)
    net = Transformer(128, 128, 2, 128, placement="deepnorm")
    _, beta = deepnorm(2)
    attention, feed_forward = (sublayer.branch for sublayer in net.blocks[1])
    for layer, gain in [
        (attention.query, 1),
        (attention.key, 1),
        (attention.value, beta),
        (attention.output, beta),
        (feed_forward.expand, beta),
        (feed_forward.contract, beta),
        (net.readout, 1),
    ]:
        xavier = (2 / sum(layer.weight.shape)) ** 0.5
        assert layer.weight.std().item() == pytest.approx(gain * xavier, rel=0.03)
        assert not layer.bias.any()


def test_deepnorm_has_the_published_constants():
    # Wang et al. 2022: for an encoder, alpha = (2N)^(1/4) and beta = (8N)^(-1/4).
    assert deepnorm(8) == pytest.approx((2.0, 64**-0.25))
    assert deepnorm(128)[0] == pytest.approx(4)


def test_seeds_train_together_and_pytorch_has_nothing_to_warn_of():
    x, labels = torch.randn(12, 4, 3), torch.arange(12) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = train(
            lambda: Transformer(3, 8, 2, 2, normalization="rms", pool=True), x, labels, steps=25, lr=0.02
        )
    assert (losses[:, -1] < 0.5 * losses[:, 0]).all()


def test_gradient_flow_names_every_matrix_of_a_block():
    net = Transformer(3, 8, 2, 1)
    flow = gradient_flow(net, torch.randn(2, 4, 3), torch.zeros(2, 4, 1))
    assert [layer.name for layer in flow.layers[1:7]] == [
        *(f"blocks.0.0.branch.{part}" for part in ("query", "key", "value", "output")),
        "blocks.0.1.branch.expand",
        "blocks.0.1.branch.contract",
    ]
    assert flow.layers[5].silent >= 0  # the feed-forward block's ReLU was seen


def test_feed_forward_treats_every_token_by_itself():
    branch = FeedForward(8)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(branch(x)[:, 3], branch(x[:, 3]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "gradlib.Transformer: depth=0; expected an integer of at least 1"),
        ({"width": 10}, "width=10 is not a multiple of heads=4"),
        ({"placement": "mid"}, "placement 'mid' is unknown; choose from pre, post, deepnorm or None"),
        ({"normalization": "batch"}, "normalization 'batch' is unknown; choose from layer or rms"),
    ],
)
def test_refusals_name_the_argument(arguments, message):
    sizes = {"inputs": 3, "width": 8, "depth": 2, "outputs": 1}
    with pytest.raises(ValueError, match=message):
        Transformer(**(sizes | arguments))


def test_deepnorm_refuses_no_depth():
    with pytest.raises(ValueError, match="deepnorm: depth=0; expected"):
        deepnorm(0)
