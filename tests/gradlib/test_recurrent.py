"""Recurrent networks against PyTorch's own, and the tasks that they are given."""

from itertools import pairwise
from math import log

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gradlib.data import remember_first
from gradlib.initialize import chrono, gate_bias, recurrent_weights
from gradlib.recurrent import GRU, LSTM, RNN, LastState, unroll
from gradlib.training import train

LAYERS = {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU}


def test_only_the_first_symbol_tells_the_label():
    inputs, labels = remember_first(4000, length=6, symbols=3)
    assert inputs.shape == (4000, 6, 3)
    assert inputs.dtype == torch.get_default_dtype()
    sequences = inputs.argmax(-1)
    assert torch.equal(inputs, torch.nn.functional.one_hot(sequences, 3).to(inputs))
    assert torch.equal(sequences[:, 0], labels)
    for step in range(1, 6):
        agree = (sequences[:, step] == labels).double().mean().item()
        assert agree == pytest.approx(1 / 3, abs=0.03)
    assert torch.equal(inputs, remember_first(4000, 6, 3)[0])
    assert not torch.equal(inputs, remember_first(4000, 6, 3, seed=1)[0])


@pytest.mark.parametrize("sizes", [(0, 5, 2), (5, 0, 2), (5, 5, 1)])
def test_sequences_of_impossible_size_are_refused(sizes):
    expected = "samples={}, length={}, symbols={}".format(*sizes)
    with pytest.raises(ValueError, match=f"remember_first: {expected}"):
        remember_first(*sizes)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"batch_first": True}])
@pytest.mark.parametrize("theirs", LAYERS)
def test_outputs_states_and_gradients_are_those_of_pytorch(theirs, options):
    ours, reference = LAYERS[theirs](3, 5, **options), theirs(3, 5, **options)
    reference.load_state_dict(ours.state_dict())
    inputs = torch.randn(4, 4, 3)
    with torch.no_grad():
        _, state = reference(torch.randn(4, 4, 3))
    for start in (None, state):
        (outputs, last), (expected, expected_last) = ours(inputs, start), reference(inputs, start)
        torch.testing.assert_close(outputs, expected)
        torch.testing.assert_close(last, expected_last)
        gradients = torch.autograd.grad(outputs.square().sum(), list(ours.parameters()))
        of_theirs = torch.autograd.grad(expected.square().sum(), list(reference.parameters()))
        torch.testing.assert_close(gradients, of_theirs)


def test_weights_computed_from_others_are_pytorchs_too():
    layer = parametrizations.weight_norm(nn.LSTM(3, 4, batch_first=True), "weight_hh_l0")
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(2)
    inputs, state = torch.randn(2, 5, 3), [torch.randn(1, 2, 4), torch.randn(1, 2, 4)]
    outputs, _ = layer(inputs, state)
    unrolled = torch.stack([step.h for step in unroll(layer, inputs, state)], dim=1)
    torch.testing.assert_close(unrolled, outputs)


def test_a_rectified_layer_is_pytorchs_too():
    ours, reference = RNN(3, 5, nonlinearity="relu"), nn.RNN(3, 5, nonlinearity="relu")
    reference.load_state_dict(ours.state_dict())
    inputs = torch.randn(7, 2, 3)
    torch.testing.assert_close(ours(inputs), reference(inputs))


def test_gates_mix_old_and_new():
    inputs = torch.randn(6, 9, 3)
    lstm = unroll(nn.LSTM(3, 5, batch_first=True), inputs)
    for step in lstm:
        torch.testing.assert_close(step.h, step.gates["output"] * step.c.tanh())
        torch.testing.assert_close(step.keep, step.gates["forget"])
    for before, after in pairwise(lstm):
        written = after.c - after.gates["forget"] * before.c
        assert (written.abs() <= after.gates["input"]).all()
    gru = unroll(nn.GRU(3, 5, batch_first=True), inputs)
    for before, after in pairwise(gru):
        written = after.h - after.keep * before.h
        assert (written.abs() <= 1 - after.gates["update"]).all()
    assert not unroll(nn.RNN(3, 5, batch_first=True), inputs)[0].keep.any()


def test_a_closed_update_gate_keeps_the_state_of_a_gru():
    gru = nn.GRU(3, 5, batch_first=True)
    gate_bias(gru, "update", 40.0)
    start = torch.randn(1, 2, 5)
    _, last = gru(torch.randn(2, 20, 3), start)
    torch.testing.assert_close(last, start)


@pytest.mark.parametrize(
    "layer", [nn.LSTM(3, 5, 2), nn.GRU(3, 5, bidirectional=True), nn.LSTM(3, 5, proj_size=2)]
)
def test_more_than_one_chain_is_refused(layer):
    with pytest.raises(ValueError, match="more than one chain"):
        unroll(layer, torch.zeros(4, 2, 3))


def test_a_sequence_needs_a_step_and_its_last_state_the_batch_first():
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 0, 3\) have no time step"):
        unroll(nn.RNN(3, 4, batch_first=True), torch.zeros(2, 0, 3))
    with pytest.raises(ValueError, match=r"LastState: layer RNN\(3, 4\); expected .* batch_first=True"):
        LastState(nn.RNN(3, 4), outputs=2)


def test_inputs_without_a_batch_are_refused():
    with pytest.raises(ValueError, match="three dimensions"):
        unroll(nn.LSTM(3, 5), torch.zeros(4, 3))


@pytest.mark.parametrize("layer", LAYERS.values())
def test_seeds_train_together_as_alone(layer):
    inputs, labels = remember_first(16, length=4, symbols=3)

    def build():
        return LastState(layer(3, 6, batch_first=True), outputs=3)

    together = train(build, inputs, labels, steps=6, lr=0.03, seeds=range(3))
    alone = [train(build, inputs, labels, steps=6, lr=0.03, seeds=[seed])[0] for seed in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-9)
    assert (together[:, -1] < together[:, 0]).all()


# ——— initialization ———


def test_the_bias_of_a_gate_is_what_was_asked_although_pytorch_adds_two():
    lstm = nn.LSTM(3, 64, num_layers=2)
    untouched = {name: value.clone() for name, value in lstm.named_parameters()}
    gate_bias(lstm, "forget", 1.0)
    for layer in "01":
        total = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
        assert (total[64:128] == 1).all()
        before = untouched[f"bias_ih_l{layer}"] + untouched[f"bias_hh_l{layer}"]
        assert torch.equal(total[:64], before[:64])
        assert torch.equal(total[128:], before[128:])
    silent = nn.LSTM(3, 64, batch_first=True)
    nn.init.zeros_(silent.weight_ih_l0)
    nn.init.zeros_(silent.weight_hh_l0)
    gate_bias(silent, "forget", 1.0)
    keep = unroll(silent, torch.randn(2, 3, 3))[-1].keep
    torch.testing.assert_close(keep, torch.full_like(keep, 0.731058578630005))


@pytest.mark.parametrize(
    ("layer", "gate", "has"),
    [
        (nn.RNN(2, 2), "forget", "none"),
        (nn.GRU(2, 2), "forget", "reset, update"),
        (nn.LSTM(2, 2), "new", "input, forget, output"),
        (nn.LSTM(2, 2, bias=False), "forget", "none"),
    ],
)
def test_a_gate_that_is_not_there_is_named(layer, gate, has):
    with pytest.raises(ValueError, match=f"no bias for gate '{gate}'; it has {has}"):
        gate_bias(layer, gate, 1.0)


def test_chrono_spreads_the_memory_of_units_evenly():
    for layer, gate in [(nn.LSTM(1, 400), "forget"), (nn.GRU(1, 400), "update")]:
        chrono(layer, longest=50)
        blocks = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().chunk(4 if gate == "forget" else 3)
        assert blocks[1].min() >= 0
        assert blocks[1].max() <= log(49)
        shares = torch.histc(blocks[1].exp(), 8, 1, 49) / 400
        assert shares.numpy() == pytest.approx(1 / 8, abs=0.05)
        if gate == "forget":
            torch.testing.assert_close(blocks[0], -blocks[1])
    with pytest.raises(ValueError, match="longest=2"):
        chrono(nn.LSTM(1, 2), longest=2)


def test_recurrent_matrices_have_the_spectrum_asked_for():
    gru = nn.GRU(3, 32, num_layers=2)
    recurrent_weights(gru, "orthogonal", gain=0.9)
    for weight in (gru.weight_hh_l0, gru.weight_hh_l1):
        for block in weight.chunk(3):
            torch.testing.assert_close(block @ block.T, 0.81 * torch.eye(32))
    rnn = nn.RNN(3, 4, nonlinearity="relu")
    recurrent_weights(rnn, "identity")
    assert torch.equal(rnn.weight_hh_l0, torch.eye(4))
    wide = nn.RNN(3, 400)
    recurrent_weights(wide, "gaussian", gain=1.5)
    assert wide.weight_hh_l0.var().item() == pytest.approx(1.5**2 / 400, rel=0.03)
    with pytest.raises(ValueError, match="'eye' is unknown; choose from gaussian, identity, orthogonal"):
        recurrent_weights(rnn, "eye")
