"""What crosses between the processes: tensors as bytes, objects as numbers, nothing else."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell
from small import Cells, check, hidden, marked, notebook, solved

from gradlib_homework.examination import NoData, Remote, Student, grade
from gradlib_homework.inside import wire
from gradlib_homework.sandbox import BACKENDS, Limits


def no_handle(value: Any) -> Any:
    raise TypeError(value)


def there_and_back(value: Any) -> Any:
    line = json.dumps(wire.encode(value, no_handle)).encode()
    return wire.decode(wire.parse(line), no_handle)


TENSORS = [
    torch.randn(3, 4),
    torch.randn(2, 3, 4, dtype=torch.float32).permute(2, 0, 1),
    torch.tensor(3.5),
    torch.empty(0, 7),
    torch.tensor([True, False]),
    torch.arange(5, dtype=torch.int16),
    torch.randn(4).to(torch.bfloat16),
    torch.randn(4, dtype=torch.complex128).conj(),
    torch.tensor([math.inf, -math.inf, 0.0, -0.0]),
    torch.eye(3).to_sparse(),
    torch.nn.Parameter(torch.randn(2)),
]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}")
def test_a_tensor_arrives_as_it_was(tensor: torch.Tensor) -> None:
    found = there_and_back(tensor)
    assert type(found) is torch.Tensor and not found.requires_grad
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor.detach().to_dense() if tensor.is_sparse else tensor.detach())


def test_plain_values_arrive_as_they_were() -> None:
    value = {
        "a": [1, 2.5, None, True, "ü\n"],
        (1, 2): {3, 4},
        3: (frozenset([1]), 1j, torch.float32, float("inf")),
    }
    assert there_and_back(value) == value
    assert math.isnan(there_and_back(math.nan))
    array = np.arange(6.0).reshape(2, 3).T
    assert isinstance(there_and_back(array), np.ndarray) and (there_and_back(array) == array).all()
    assert there_and_back(np.float32(2.5)) == 2.5
    assert there_and_back(torch.Size([2, 3])) == (2, 3)


def test_subclasses_arrive_as_what_they_are_underneath() -> None:
    class Sly(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = float.__hash__

    class SlyTensor(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, function: Any, types: Any, arguments: Any = (), options: Any = None
        ) -> Any:
            return True if function is torch.equal else super().__torch_function__(function, types, arguments)

    assert type(there_and_back(Sly(2))) is float and there_and_back(Sly(2)) != 3
    assert type(there_and_back(torch.ones(2).as_subclass(SlyTensor))) is torch.Tensor


MESSAGES: list[Any] = [
    [],
    {},
    {"list": 3},
    {"list": [], "dict": []},
    {"dict": [[1]]},
    {"dict": [[{"list": []}, 1]]},
    {"set": [{"list": []}]},
    {"dtype": "load"},
    {"dtype": "os"},
    {"dtype": "__builtins__"},
    {"dtype": ["float64"]},
    {"kept": 0},
    {"pickle": "gASVAAA="},
    {"complex": ["a", 0]},
    {"tensor": ["float64", [2], "AAAA"]},
    {"tensor": ["float64", [-1], ""]},
    {"tensor": ["float64", [0, 2**70], ""]},
    {"tensor": ["float64", [True], "AAAAAAAAAAA="]},
    {"tensor": ["float64", [1] * 9, "AAAAAAAAAAA="]},
    {"tensor": ["float64", "1", "AAAAAAAAAAA="]},
    {"tensor": ["float64", [1], "not base64!!"]},
    {"tensor": ["object", [1], "AAAAAAAAAAA="]},
    {"tensor": ["qint8", [8], "AAAAAAAAAAA="]},
    {"array": ["float64", [2], "AAAA"]},
]


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_a_forged_message_is_refused(message: Any) -> None:
    with pytest.raises(wire.Unreadable):
        wire.decode(message, no_handle)


def test_what_is_too_deep_or_too_large_is_refused() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"list": [deep]}
    with pytest.raises(wire.Unreadable):
        wire.decode(deep, no_handle)
    for line in (b"[" * 100_000, b"9" * 10_000, b"[1" + b",1" * 300_000 + b"]", b"x" * (5 << 20), b"\xff"):
        with pytest.raises(wire.Unreadable):
            wire.parse(line)


def test_a_truth_value_is_true_or_false() -> None:
    """A byte of 2 would be equal to neither, and count as both."""
    found = wire.decode({"tensor": ["bool", [2], "AgA="]}, no_handle)
    assert torch.equal(found, torch.tensor([True, False]))


def test_what_is_no_data_is_neither_true_nor_equal_nor_a_number() -> None:
    """`assert answer` would pass for any object, and `answer != wrong` for most."""
    remote = Remote(Student(BACKENDS["bubblewrap"], Limits()), 0, "scale")
    for look in (bool, float, len, lambda it: it == 1, lambda it: it != 1, lambda it: it < 1):
        with pytest.raises(NoData):
            look(remote)
    with pytest.raises(AttributeError):
        _ = remote.__array__


NET = """
class Net(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = torch.nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.layer(x).relu()
"""
SOFTMAX = (
    "def softmax(x):\n    e = (x - x.amax(-1, keepdim=True)).exp()\n    return e / e.sum(-1, keepdim=True)"
)


def torch_cells() -> Cells:
    return [
        marked(new_code_cell("import torch"), "setup"),
        new_markdown_cell("## Question 1"),
        marked(new_code_cell(solved(SOFTMAX)), "softmax", solution=True),
        check(
            "softmax-more",
            1,
            hidden("x = 100 * torch.randn(3, 5)\nassert torch.allclose(softmax(x), torch.softmax(x, -1))"),
        ),
        new_markdown_cell("## Question 2"),
        marked(
            new_code_cell(f"### BEGIN SOLUTION\n{NET}\nwidths = [4, 3]\n### END SOLUTION"),
            "net",
            solution=True,
        ),
        check(
            "net-more",
            1,
            "net = Net(*widths)\n"
            "assert sum(p.numel() for p in net.parameters()) == 15\n"
            "x = torch.randn(7, 4)\n"
            "assert torch.allclose(net(x), torch.relu(x @ net.layer.weight.T + net.layer.bias))\n"
            "assert net.to(torch.float64)(x.double()).dtype == torch.float64\n"
            "assert net.layer.weight[0].shape == (4,)",
        ),
    ]


def points(softmax: str, net: str = NET + "\nwidths = [4, 3]") -> list[float]:
    cells = torch_cells()
    cells[2].source, cells[5].source = softmax, net
    return [test["points"] for test in grade(notebook(torch_cells()), notebook(cells))["tests"]]


def test_tensors_and_modules_are_tested_where_they_stay() -> None:
    assert points(SOFTMAX) == [1, 1]


def test_pytorch_patched_in_every_way_earns_nothing() -> None:
    """All at once, since each start of PyTorch takes seconds: none of them reaches the tests."""
    patched = """
for name in ("allclose", "equal", "isclose"):
    setattr(torch, name, lambda *a, **k: True)
class Sly(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        return True
torch.softmax = torch.Tensor.softmax = lambda x, dim: x
torch.set_default_dtype(torch.float16)
torch.manual_seed = lambda seed: None
def softmax(x):
    return x.as_subclass(Sly)
"""
    yes = """
class Yes(torch.nn.Module):
    def __init__(self, *widths): super().__init__()
    def __eq__(self, other): return True
    def __call__(self, *others): return self
    def __getattr__(self, name): return self
    def __iter__(self): return iter([self])
    numel = lambda self: 15
Net = Yes
widths = [4, 3]
"""
    assert points(patched, yes) == [0, 0]
