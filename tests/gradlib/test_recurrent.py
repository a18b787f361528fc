"""Recurrent networks against PyTorch's own, and the tasks that they are given."""

import pytest
import torch

from gradlib.data import remember_first


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
