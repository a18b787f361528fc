"""`gradient_flow` on models of every kind: right numbers, and nothing left behind."""

from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn import utils
from torch.utils.checkpoint import checkpoint

from gradlib import MLP, dead_units, gradient_flow, initialize, plot

DEPTH, WIDTH = 8, 64


def batch(features=WIDTH, outputs=1, samples=32, dtype=None):
    return torch.randn(samples, features, dtype=dtype), torch.randn(samples, outputs, dtype=dtype)


def test_linear_network_gives_the_gradient_of_the_chain_rule():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    x, y = batch(3, 2)
    at_output = 2 * (net(x) - y) / y.numel()
    at_hidden = at_output @ net[1].weight
    flow = gradient_flow(net, x, y)
    expected = [at_hidden.square().sum().item(), at_output.square().sum().item()]
    np.testing.assert_allclose(flow.squared_gradient, expected, rtol=1e-12)
    assert flow.layers[1].squared_weight_gradient == pytest.approx(
        (at_output.T @ net[0](x)).square().sum().item()
    )
    assert flow.loss == pytest.approx(F.mse_loss(net(x), y).item())


def test_update_ratio_is_the_relative_step_of_sgd_at_rate_one():
    net = MLP(4, 8, 2, 1)
    x, y = batch(4)
    flow = gradient_flow(net, x, y)
    before = net.readout.weight.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    F.mse_loss(net(x), y).backward()
    optimizer.step()
    step = (net.readout.weight.detach() - before).norm() / before.norm()
    assert flow.layers[-1].update_ratio == pytest.approx(step.item())


@pytest.mark.parametrize(
    ("activation", "scheme", "expected"),
    [
        ("identity", ("orthogonal", {"gain": 0.5}), 0.25),
        ("identity", ("orthogonal", {"gain": 2.0}), 4.0),
        ("relu", "he", 1.0),
        ("relu", "default", 1 / 6),
    ],
)
def test_rate_is_the_squared_factor_per_layer(activation, scheme, expected):
    rates = []
    for seed in range(5):
        torch.manual_seed(seed)
        rates.append(gradient_flow(MLP(256, 256, 20, 1, activation, scheme), *batch(256)).rate)
    assert np.exp(np.log(rates).mean()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("gain", "verdict"), [(0.5, "vanishing"), (1.0, "healthy"), (3.0, "exploding")])
def test_verdict_names_what_happens(gain, verdict):
    net = MLP(WIDTH, WIDTH, 12, 1, "identity", ("orthogonal", {"gain": gain}))
    initialize(net.readout, "lecun")
    assert gradient_flow(net, *batch()).verdict.startswith(verdict)


def test_verdict_names_the_layer_where_the_gradient_dies():
    net = MLP(WIDTH, WIDTH, DEPTH, 1, "identity", "orthogonal")
    with torch.no_grad():
        net.blocks[5].linear.weight.mul_(1e-4)
    assert "from blocks.4.linear backward" in gradient_flow(net, *batch()).verdict


class Branched(nn.Module):
    """x + αf(x), with α and f as given."""

    def __init__(self, branch, scale=1.0):
        super().__init__()
        self.branch, self.scale = branch, nn.Parameter(torch.tensor(scale))

    def forward(self, x):
        return x + self.scale * self.branch(x)


@pytest.mark.parametrize("scale", [0.0, 1e-5])
def test_branches_that_start_at_zero_do_not_make_a_network_vanish(scale):
    """SkipInit, Fixup and LoRA start so, and train."""
    blocks = [Branched(nn.Linear(WIDTH, WIDTH), scale) for _ in range(5)]
    flow = gradient_flow(nn.Sequential(nn.Linear(WIDTH, WIDTH), *blocks, nn.Linear(WIDTH, 1)), *batch())
    assert flow.verdict.startswith(
        "healthy: within a hundredfold of the output's gradient at the first layer"
    )
    assert "but not at 1.branch, 2.branch, 3.branch and 2 more" in flow.verdict
    assert isnan(flow.rate) if scale == 0 else 0 < flow.rate < inf


def test_layers_that_the_loss_does_not_depend_on_have_no_say():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.policy, self.value = (nn.Linear(WIDTH, n) for n in (WIDTH, 1, 1))

        def forward(self, x):
            return self.policy(F.relu(self.body(x))), self.value(F.relu(self.body(x)))

    def on_the_policy(outputs, targets):
        return F.mse_loss(outputs[0], targets)

    flow = gradient_flow(TwoHeads(), *batch(), objective=on_the_policy)
    assert flow.verdict.startswith("healthy")
    assert flow.verdict.endswith("the loss does not depend on body (call 2), value")
    assert isnan(flow.layers[-1].squared_gradient)
    with pytest.raises(ValueError, match="depends on no layer"):
        gradient_flow(nn.Linear(4, 1), *batch(4), objective=lambda *_: torch.ones((), requires_grad=True) * 2)


def test_verdict_says_which_modules_it_does_not_watch():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory, self.readout = nn.LSTM(4, 8), utils.parametrizations.weight_norm(nn.Linear(8, 1))

        def forward(self, x):
            return self.readout(self.memory(x)[0])

    flow = gradient_flow(Recurrent(), torch.randn(5, 3, 4), torch.randn(5, 3, 1))
    assert flow.verdict.endswith("; not watched: memory (LSTM)")
    attention = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1)
    flow = gradient_flow(attention, torch.randn(5, 3, 8), torch.randn(5, 3, 8))
    assert flow.verdict.endswith("; not watched: layers.0.self_attn (MultiheadAttention)")
    assert "not watched" not in gradient_flow(MLP(4, 8, 2, 1), *batch(4)).verdict


def test_an_activation_belongs_to_the_layer_whose_output_it_takes():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.gate = nn.Parameter(torch.zeros(()))
            nn.init.constant_(self.first.bias[: WIDTH // 2], -100.0)

        def forward(self, x):
            a, b = self.first(x), self.second(x)
            return F.relu(a) * b * torch.sigmoid(self.gate)

    first, second = gradient_flow(Gated(), *batch(outputs=WIDTH)).layers
    assert first.silent == pytest.approx(0.5, abs=0.1)
    assert isnan(second.silent)  # the sigmoid is of a parameter, not of a layer


def test_buffers_that_a_pass_replaces_come_back():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.register_buffer("none", None)
            self.register_buffer("short", torch.zeros(2))

        def forward(self, x):
            self.none, self.short = torch.ones(3), torch.ones(len(x))
            return self.linear(x)

    model = Cached()
    gradient_flow(model, *batch(4))
    assert model.none is None
    assert model.short.tolist() == [0.0, 0.0]


def test_buffers_that_cannot_be_written_to_may_stand_in_a_model():
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    net.register_buffer("repeated", torch.arange(4.0).expand(8, 4))
    with torch.inference_mode():
        net.register_buffer("of_inference", torch.ones(2))
    assert gradient_flow(net, torch.randn(8, 4), torch.zeros(8, 1)).layers


def test_a_model_that_cannot_be_watched_keeps_no_hook():
    model = nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.Linear(4, 1)))
    with pytest.raises(RuntimeError, match="ScriptModules"):
        gradient_flow(model, *batch(4))
    assert not model[0]._forward_hooks
    with pytest.raises(ValueError, match="call it once on a batch first"):
        gradient_flow(nn.LazyLinear(1), *batch(4))


def test_targets_of_another_kind_need_an_objective():
    model, (x, _) = nn.Linear(4, 1), batch(4)
    with pytest.raises(TypeError, match="targets is a list; expected a tensor, or an objective of your own"):
        gradient_flow(model, x, [1.0, 2.0])
    flow = gradient_flow(model, x, None, objective=lambda outputs, _: outputs.square().mean())
    assert flow.verdict.startswith("healthy")


def test_zero_and_missing_gradients_are_told_not_raised():
    net = MLP(WIDTH, WIDTH, DEPTH, 1)
    nn.init.zeros_(net.readout.weight)
    flow = gradient_flow(net, *batch())
    assert flow.rate == 0.0
    assert flow.verdict.startswith("vanishing")
    assert isnan(gradient_flow(nn.Sequential(nn.Linear(WIDTH, 1)), *batch()).rate)


def test_gradient_that_is_not_finite_is_reported_by_layer():
    net = MLP(WIDTH, WIDTH, DEPTH, 1, "identity", ("orthogonal", {"gain": 1e60}))
    flow = gradient_flow(net, *batch(), objective=lambda output, _: output.sum())
    assert flow.rate == inf
    assert "not finite from blocks." in flow.verdict


def test_nothing_is_said_of_units_that_got_no_number():
    net, (x, y) = MLP(WIDTH, WIDTH, 2, 1), batch()
    flow = gradient_flow(net, x * nan, y)
    assert np.isnan(flow.column("silent")).all() and np.isnan(flow.column("saturated")).all()
    assert np.isinf(flow.squared_gradient).all() and np.isinf(flow.column("squared_weight_gradient")).all()
    with pytest.raises(ValueError, match="inf or nan"):
        dead_units(net, [x, x * nan])


@pytest.mark.parametrize("train", [True, False])
def test_nothing_is_left_behind(train):
    net = MLP(WIDTH, WIDTH, 3, 1, normalization="batch")
    net.blocks.insert(1, nn.Dropout(0.5))
    net.train(train)
    x, y = batch()
    net.readout.bias.grad = torch.ones(1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random_state = torch.get_rng_state()
    gradient_flow(net, x, y)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert net.training is train
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(net.readout.bias.grad, torch.ones(1))
    assert net.readout.weight.grad is None
    assert not any(module._forward_hooks for module in net.modules())


def test_nothing_is_left_behind_when_the_model_fails():
    net = MLP(WIDTH, WIDTH, 3, 1)
    with pytest.raises(RuntimeError):
        gradient_flow(net, torch.randn(4, WIDTH + 1), torch.randn(4, 1))
    assert not any(module._forward_hooks for module in net.modules())


def test_frozen_layers_let_the_gradient_through():
    net = MLP(WIDTH, WIDTH, DEPTH, 1)
    free = gradient_flow(net, *(data := batch()))
    for block in net.blocks[:3]:
        block.requires_grad_(False)
    frozen = gradient_flow(net, *data)
    np.testing.assert_allclose(frozen.squared_gradient, free.squared_gradient, rtol=1e-12)
    assert isnan(frozen.layers[0].squared_weight_gradient)
    assert not isnan(frozen.layers[3].squared_weight_gradient)


def test_layer_called_several_times_has_a_row_for_each_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(4, 4)

        def forward(self, x):
            return self.shared(torch.tanh(self.shared(x)))

    net = Twice()
    x, y = batch(4, 4)
    flow = gradient_flow(net, x, y)
    assert [layer.name for layer in flow.layers] == ["shared", "shared (call 2)"]
    hidden = net.shared(x)
    loss = F.mse_loss(net.shared(torch.tanh(hidden)), y)
    (expected,) = torch.autograd.grad(loss, hidden)
    assert flow.squared_gradient[0] == pytest.approx(expected.square().sum().item())


@pytest.mark.parametrize("inplace", [False, True])
def test_in_place_activations_do_not_change_the_numbers(inplace):
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace), nn.Linear(8, 8), nn.ReLU(inplace), nn.Linear(8, 1))
    net[0].requires_grad_(False)
    x, y = batch(8)
    h = net[0](x)
    loss = F.mse_loss(net[4](F.relu(net[2](F.relu(h.requires_grad_())))), y)
    (expected,) = torch.autograd.grad(loss, h)
    assert gradient_flow(net, x, y).squared_gradient[0] == pytest.approx(expected.square().sum().item())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_floating_type_is_measured(dtype):
    net = MLP(WIDTH, WIDTH, DEPTH, 1).to(dtype)
    rate = gradient_flow(net, *batch(dtype=dtype)).rate
    assert rate == pytest.approx(1.0, rel=0.35)


def test_small_gradients_do_not_underflow_in_the_sum_of_squares():
    net = MLP(WIDTH, WIDTH, 20, 1, "sigmoid", "xavier").float()
    flow = gradient_flow(net, *batch(dtype=torch.float32))
    assert (flow.squared_gradient > 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 1)),
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(3 * 64, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 1)
        ),
    ],
)
def test_works_on_models_that_are_not_ours(make):
    flow = gradient_flow(make(), torch.randn(4, 3, 8, 8), torch.randn(4, 1))
    assert len(flow.layers) == 2
    assert (flow.squared_gradient > 0).all()
    assert not isnan(flow.layers[0].silent)


def test_transformer_from_pytorch_is_watched():
    net = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    flow = gradient_flow(net, torch.randn(2, 5, 16), torch.randn(2, 5, 16))
    assert {"linear1", "linear2"} <= {layer.name for layer in flow.layers}


def test_integer_targets_mean_cross_entropy():
    net = MLP(4, 8, 2, 3)
    x, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    assert gradient_flow(net, x, labels).loss == pytest.approx(F.cross_entropy(net(x), labels).item())


@pytest.mark.parametrize("how", [torch.relu, F.relu, nn.ReLU(), lambda h: h.relu()])
def test_silent_units_are_seen_however_the_activation_is_called(how):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.readout = nn.Linear(4, 10), nn.Linear(10, 1)
            self.how = how

        def forward(self, x):
            return self.readout(self.how(self.hidden(x)))

    net = Net()
    with torch.no_grad():
        net.hidden.bias[:3] = -1e3
    layer = gradient_flow(net, *batch(4)).layers[0]
    assert layer.silent == pytest.approx(0.3)
    assert 0.3 < layer.saturated < 0.9


def test_saturated_share_matches_the_slope_of_a_known_distribution():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Sigmoid())
    nn.init.ones_(net[0].weight)
    x = torch.linspace(-6, 6, 2001)[:, None]
    edge = 2 * np.arccosh(sqrt(10))  # σ′ falls to a tenth of ¼ at ±edge
    assert gradient_flow(net, x, x).layers[0].saturated == pytest.approx(1 - edge / 6, abs=1e-3)


def test_layer_saturated_throughout_is_reported_as_such():
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    nn.init.constant_(net[0].bias, 10.0)
    assert gradient_flow(net, *batch(4, 4)).layers[0].saturated == 1.0


def test_dead_units_are_those_silent_in_every_batch():
    net = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    right, left = torch.tensor([[1.0, 1.0]]), torch.tensor([[-1.0, 1.0]])
    assert dead_units(net, [right]).tolist() == [0.5]
    assert dead_units(net, [right, left]).tolist() == [0.25]


def small():
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


@pytest.mark.parametrize("scope", [torch.no_grad, torch.inference_mode])
def test_gradients_are_measured_where_they_are_switched_off(scope):
    net, data = small(), batch(8)
    expected = gradient_flow(net, *data).squared_gradient
    with scope():
        np.testing.assert_array_equal(gradient_flow(net, *data).squared_gradient, expected)
        assert not torch.is_grad_enabled()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("whole", [True, False])
def test_compiled_models_are_measured_as_they_were_written(whole):
    net, data = small(), batch(8)
    expected = gradient_flow(net, *data)
    if whole:
        compiled = torch.compile(net, backend="eager")
    else:
        net[2] = torch.compile(net[2], backend="eager")
        compiled = net
    flow = gradient_flow(compiled, *data)
    np.testing.assert_array_equal(flow.squared_gradient, expected.squared_gradient)
    assert flow.layers[0].silent == expected.layers[0].silent


@pytest.mark.parametrize("normalize", [utils.parametrizations.weight_norm, utils.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_computed_from_others_have_a_gradient_too(normalize):
    net, data = small(), batch(8)
    expected = gradient_flow(net, *data).column("squared_weight_gradient")
    normalize(net[0])
    measured = gradient_flow(net, *data).column("squared_weight_gradient")
    np.testing.assert_allclose(measured, expected, rtol=1e-9)


def test_tied_weights_show_their_whole_gradient_at_every_call():
    net, data = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)), batch(8, 8)
    net[2].weight = net[0].weight
    F.mse_loss(net(data[0]), data[1]).backward()
    expected = net[0].weight.grad.square().sum().item()
    measured = gradient_flow(net, *data).column("squared_weight_gradient")
    np.testing.assert_allclose(measured, [expected, expected])


def test_checkpointed_layers_are_measured():
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.readout = small(), nn.Linear(1, 1)

        def forward(self, x):
            return self.readout(checkpoint(self.first, x, use_reentrant=False))

    net, data = Checkpointed(), batch(8)
    plain = nn.Sequential(*net.first, net.readout)
    np.testing.assert_allclose(
        gradient_flow(net, *data).squared_gradient, gradient_flow(plain, *data).squared_gradient
    )


def test_a_frozen_model_whose_inputs_need_gradients_is_measured():
    net, (x, y) = small().requires_grad_(False), batch(8)
    expected = gradient_flow(net, x, y).squared_gradient
    np.testing.assert_allclose(gradient_flow(net, x.requires_grad_(), y).squared_gradient, expected)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 4, 3), (2, 3, 8, 8)),
        (nn.Conv2d(3, 4, 3), (3, 8, 8)),
        (nn.ConvTranspose2d(3, 4, 3), (2, 3, 8, 8)),
        (nn.Linear(3, 4), (3,)),
    ],
)
def test_units_are_channels_in_batches_and_alone(layer, shape):
    layer.to(torch.float64)
    nn.init.constant_(layer.bias, 1e3)
    with torch.no_grad():
        layer.bias[0] = -1e3
    net = nn.Sequential(layer, nn.ReLU())
    assert dead_units(net, [torch.randn(shape)]).tolist() == [0.25]


@pytest.mark.parametrize(
    "name", ["ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "Mish", "CELU", "Softsign"]
)
def test_other_activations_are_seen(name):
    net = nn.Sequential(nn.Linear(8, 8), getattr(nn, name)(), nn.Linear(8, 1))
    assert not isnan(gradient_flow(net, *batch(8)).layers[0].saturated)


def test_an_empty_batch_has_no_units_that_speak():
    assert dead_units(small(), [torch.zeros(0, 8), torch.randn(64, 8)])[0] < 1


def test_outputs_of_any_kind_are_left_to_the_objective():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small()

        def forward(self, x):
            return {"logits": self.net(x)}

    net, (x, y) = Named(), batch(8)
    flow = gradient_flow(net, x, y, lambda outputs, targets: F.mse_loss(outputs["logits"], targets))
    np.testing.assert_array_equal(flow.squared_gradient, gradient_flow(net.net, x, y).squared_gradient)
    with pytest.raises(TypeError, match="model returned a dict, not a tensor; give an objective"):
        gradient_flow(net, x, y)


def test_table_shows_every_layer_and_ends_in_the_verdict():
    flow = gradient_flow(MLP(WIDTH, WIDTH, 3, 1), *batch())
    text, table = repr(flow), flow._repr_markdown_()
    for layer in flow.layers:
        assert layer.name in text
        assert layer.name in table
    assert text.endswith(flow.verdict)
    assert table.endswith(flow.verdict)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient_flow(nn.ReLU(), *batch()), "model has no layer with a weight matrix"),
        (
            lambda: gradient_flow(nn.Linear(WIDTH, 1), *batch(), objective=lambda o, t: o - t),
            r"objective returned shape \(32, 1\); expected a scalar tensor",
        ),
        (lambda: gradient_flow(small(), *batch(8), objective=lambda o, t: 1.0), "objective returned 1.0"),
        (
            lambda: gradient_flow(small(), *batch(8), objective=lambda o, t: o.detach().sum()),
            "computed from the model's outputs",
        ),
        (lambda: dead_units(nn.Linear(2, 2), []), "no batch or no activation was seen"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_drawing_shows_the_fit_beside_the_points(monkeypatch):
    drawn = []
    monkeypatch.setattr(plot, "show", lambda figure, alt, caption: drawn.append((figure.axes[0], alt)))
    torch.manual_seed(0)
    flow = gradient_flow(MLP(WIDTH, WIDTH, 20, 1, "sigmoid", "xavier"), *batch())
    flow.plot()
    ((panel, alt),) = drawn
    points, line = (drawing.get_ydata() for drawing in panel.lines)
    np.testing.assert_allclose(line[:-1] / line[1:], flow.rate, rtol=1e-3)
    np.testing.assert_allclose(line, points[:-1], rtol=0.5)
    assert flow.verdict in alt
