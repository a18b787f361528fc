"""The gradient at every time step, of our recurrent layers and of PyTorch's."""

import numpy as np
import pytest
import torch
from torch import nn

from gradlib.data import remember_first
from gradlib.initialize import gate_bias
from gradlib.recurrent import LastState
from gradlib.through_time import gradient_through_time

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]


def measured(layer, length=6):
    inputs, labels = remember_first(8, length=length, symbols=3)
    model = LastState(layer(3, 5, batch_first=True), outputs=3)
    return model, inputs, labels, gradient_through_time(model, inputs, labels)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradient_at_the_start_is_that_of_the_initial_state(layer):
    """Run PyTorch's own layer in two pieces, and differentiate with respect to the state between them."""
    model, inputs, labels, seen = measured(layer)
    assert seen.loss == pytest.approx(nn.functional.cross_entropy(model(inputs), labels).item())
    for step in (1, 3, 5):
        _, state = model.layer(inputs[:, :step])
        between = [part.detach().requires_grad_() for part in (state if layer is nn.LSTM else [state])]
        outputs, _ = model.layer(inputs[:, step:], tuple(between) if layer is nn.LSTM else between[0])
        loss = nn.functional.cross_entropy(model.readout(outputs[:, -1]), labels)
        at_state = torch.autograd.grad(loss, between)
        assert seen.hidden[step - 1] == pytest.approx(at_state[0].square().sum().item())
        if layer is not nn.LSTM:
            assert seen.carried[step - 1] == pytest.approx(seen.hidden[step - 1])


def lstm_by_hand(model, inputs, labels, detached):
    """∂loss/∂c at every step of an LSTM written here once more, with or without gradients through gates."""
    weights = dict(model.layer.named_parameters())
    h = c = torch.zeros(len(inputs), 5)
    cells = []
    for x in inputs.unbind(1):
        past = h.detach() if detached else h
        a = x @ weights["weight_ih_l0"].T + past @ weights["weight_hh_l0"].T
        a = a + weights["bias_ih_l0"] + weights["bias_hh_l0"]
        c = a[:, 5:10].sigmoid() * c + a[:, :5].sigmoid() * a[:, 10:15].tanh()
        cells.append(c)
        h = a[:, 15:].sigmoid() * c.tanh()
    loss = nn.functional.cross_entropy(model.readout(h), labels)
    return [gradient.square().sum().item() for gradient in torch.autograd.grad(loss, cells)]


def test_the_path_is_what_is_left_when_no_gradient_passes_through_h():
    model, inputs, labels, seen = measured(nn.LSTM)
    assert seen.path == pytest.approx(lstm_by_hand(model, inputs, labels, detached=True))
    assert seen.carried == pytest.approx(lstm_by_hand(model, inputs, labels, detached=False))
    assert seen.path[-1] == pytest.approx(seen.carried[-1])
    assert not np.allclose(seen.path[:-1], seen.carried[:-1], rtol=1e-3)


def test_the_path_of_a_gru_is_the_product_of_its_update_gates():
    torch.manual_seed(0)
    model, inputs, labels, _ = measured(nn.GRU, length=10)
    nn.init.zeros_(model.layer.weight_ih_l0)
    nn.init.zeros_(model.layer.weight_hh_l0)
    gate_bias(model.layer, "update", 2.0)
    seen = gradient_through_time(model, inputs, labels)
    keep = 1 / (1 + np.exp(-2.0))
    assert seen.gates["update"] == pytest.approx(keep)
    assert seen.path[:-1] / seen.path[1:] == pytest.approx(keep**2)
    assert seen.carried == pytest.approx(seen.path)


def test_a_layer_without_gates_has_no_path():
    *_, seen = measured(nn.RNN)
    assert not seen.path[:-1].any()
    assert seen.gates == {} == seen.gate_gradients


def test_gates_are_measured_one_by_one():
    *_, seen = measured(nn.LSTM)
    assert list(seen.gates) == list(seen.gate_gradients) == ["input", "forget", "output"]
    assert all(values.min() > 0 and values.max() < 1 for values in seen.gates.values())
    assert seen.gate_gradients["forget"][0] == 0  # it multiplies an empty cell
    assert (seen.gate_gradients["forget"][1:] > 0).all()


class Reader(nn.Module):
    """A reader's own model: time first, a layer before, dropout after, and a loss on every step."""

    def __init__(self):
        super().__init__()
        self.before, self.inner = nn.Linear(3, 4), nn.LSTM(4, 5)
        self.after = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 1))

    def forward(self, sequences):
        return self.after(self.inner(torch.relu(self.before(sequences)))[0])


def test_a_readers_own_model_is_measured_and_left_as_it_was():
    model, sequences = Reader().train(), torch.randn(7, 2, 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    seen = gradient_through_time(model, sequences, torch.zeros(7, 2, 1))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert (seen.hidden > 0).all()
    assert seen.hidden.shape == (7,)
    assert "forward" not in vars(model.inner)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.requires_grad_(False)
    torch.manual_seed(0)
    frozen = gradient_through_time(model, sequences, torch.zeros(7, 2, 1))
    torch.manual_seed(0)
    thawed = gradient_through_time(model.requires_grad_(True), sequences, torch.zeros(7, 2, 1))
    assert frozen.hidden == pytest.approx(thawed.hidden)


@pytest.mark.parametrize("model", [nn.Linear(3, 3), nn.Sequential(nn.GRU(3, 3), nn.GRU(3, 3))])
def test_models_without_a_single_recurrent_layer_are_refused(model):
    with pytest.raises(ValueError, match=r"model has [02] recurrent layers; expected exactly one"):
        gradient_through_time(model, torch.zeros(2, 2, 3), torch.zeros(2, 2, 3))


def test_a_recurrent_layer_that_is_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = nn.GRU(3, 3)

        def forward(self, x):
            return self.memory(self.memory(x)[0])[0]

    with pytest.raises(ValueError, match="called more than once"):
        gradient_through_time(Twice(), torch.zeros(2, 2, 3), torch.zeros(2, 2, 3))
