"""Honest submissions get what they deserve, however they come back."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from small import HONEST, SMALL, Cells, marked, marks, notebook, stripped, submission

from gradlib_homework import release
from gradlib_homework.examination import grade

FULL = {"scale": 10, "extent": 10}


def graded(cells: Cells | bytes) -> dict[str, Any]:
    return grade(SMALL, cells if isinstance(cells, bytes) else notebook(cells))


def from_colab(cells: Cells) -> bytes:
    """Format 4.0, an id of Colab's in the metadata of each cell, nothing of nbgrader's; outputs cleared."""
    old = json.loads(notebook(stripped(cells)))
    for number, cell in enumerate(old["cells"]):
        del cell["id"]
        cell["metadata"] = {"id": f"aB{number}xYz", "colab": {"base_uri": "https://localhost:8080/"}}
    return json.dumps({**old, "nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}}).encode()


def moved(cells: Cells, start: int, stop: int) -> Cells:
    cells.insert(stop, cells.pop(start))
    return cells


def with_copies(cells: Cells) -> Cells:
    """Test and answer cells copied with their metadata, as JupyterLab does."""
    return cells + [copy.deepcopy(cell) for cell in cells]


def answer_behind_the_stub(cells: Cells) -> Cells:
    released = submission({"scale": ""})
    stub = next(cell for cell in released if cell.id == "scale")
    stub.source = (
        "def scale(values, factor):\n"
        '    raise NotImplementedError("Not answered yet: write your answer here, in place of this line.")'
    )
    return [*released, new_code_cell(HONEST["scale"], id="mine")]


def all_answers_behind_the_stubs(cells: Cells) -> Cells:
    return [
        *release.student_version(SMALL, "small").cells,
        new_code_cell("\n".join(HONEST.values()), id="mine"),
    ]


def in_the_check(cells: Cells) -> Cells:
    """The answer written into the cell of checks, and the answer's own cell deleted."""
    for cell in cells:
        if cell.id == "scale-public":
            cell.source = HONEST["scale"] + "\n\n" + cell.source
    return [cell for cell in cells if cell.id != "scale"]


def with_own_import(cells: Cells) -> Cells:
    """An import added to a locked cell, where the notebook was not opened in nbgrader's validator."""
    for cell in cells:
        if cell.id == "setup":
            cell.source += "\nfrom itertools import repeat"
        if cell.id == "scale":
            cell.source = (
                "def scale(values, factor):\n    return [a * b for a, b in zip(values, repeat(factor))]"
            )
    return cells


def with_helper(cells: Cells, place: int) -> Cells:
    """A cell of the student's own, that needs the given imports, and that an answer needs."""
    for cell in cells:
        if cell.id == "scale":
            cell.source = "def scale(values, factor):\n    return [times(factor, value) for value in values]"
    helper = new_code_cell("product = math.prod\n\n\ndef times(a, b):\n    return product((a, b))", id="mine")
    cells.insert(place, helper)
    return cells


def used_twice(cells: Cells) -> Cells:
    """Two questions, each with a helper of the same name: each test sees the helper of its own question."""
    for cell in cells:
        if cell.id == "scale":
            cell.source = (
                "def go(a, b): return a * b\n"
                "def scale(values, factor): return [go(v, factor) for v in values]"
            )
        if cell.id == "extent":
            cell.source = (
                "def go(v): return {'least': min(v), 'most': max(v)}\ndef extent(values): return go(values)"
            )
    return cells


def played_with(cells: Cells) -> Cells:
    """After the answer, cells that try things out, fail, print, warn and overwrite a name."""
    cells.insert(7, new_code_cell("1 / 0", id="a"))
    cells.insert(
        8, new_code_cell("%matplotlib inline\n!pip install nothing\nmath?\nprint('x' * 10**6)", id="b")
    )
    cells.insert(
        9, new_code_cell("import warnings\nwarnings.warn('careful')\nimport sys\nprint('!', file=sys.stderr)")
    )
    cells.insert(10, new_code_cell("display(scale)\nscale = None\nthis is no Python", id="d"))
    return cells


def changed_points(cells: Cells) -> Cells:
    for cell in cells:
        if marks := cell.metadata.get("nbgrader"):
            marks.update(points=1000, locked=False, schema_version=1)
    return cells


NOTEBOOKS: dict[str, Callable[[Cells], Cells | bytes]] = {
    "as released": lambda cells: cells,
    "no metadata": stripped,
    "no ids, metadata of nbgrader only": lambda cells: json.dumps(
        {**json.loads(notebook(cells)), "nbformat_minor": 4}
    ).encode(),
    "from Colab": from_colab,
    "in reverse": lambda cells: cells[::-1],
    "in reverse, no metadata": lambda cells: stripped(cells[::-1]),
    "answers first": lambda cells: (
        [c for c in cells if c.id in HONEST] + [c for c in cells if c.id not in HONEST]
    ),
    "tests first": lambda cells: sorted(cells, key=lambda cell: "assert" not in cell.source),
    "only answers": lambda cells: [c for c in cells if c.id in HONEST],
    "one cell": lambda cells: [new_code_cell("\n\n".join(HONEST.values()))],
    "every cell twice": with_copies,
    "a stub left, and the answer at the end": answer_behind_the_stub,
    "all stubs left, and all answers in one cell at the end": all_answers_behind_the_stubs,
    "an answer in the cell of checks": in_the_check,
    "tests deleted": lambda cells: [cell for cell in cells if "assert" not in cell.source],
    "given cells deleted": lambda cells: [cell for cell in cells if cell.id != "setup"],
    "an import in a locked cell": with_own_import,
    "a helper before everything": lambda cells: with_helper(cells, 0),
    "a helper behind the answer": lambda cells: with_helper(cells, 4),
    "a helper before everything, no metadata": lambda cells: stripped(with_helper(cells, 0)),
    "two helpers of one name": used_twice,
    "errors, magic, output and warnings": played_with,
    "points and locks edited": changed_points,
    "stored with outputs and a byte-order mark": lambda cells: b"\xef\xbb\xbf" + notebook(cells),
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_right_answer_counts(name: str) -> None:
    result = graded(NOTEBOOKS[name](submission()))
    assert marks(result) == FULL, [test["told"] for test in result["tests"]]
    assert result["ends"] == []


def test_a_notebook_of_format_3_counts() -> None:
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(s) for s in HONEST.values()])]
    )
    assert marks(graded(nbformat.v3.writes_json(old).encode())) == FULL


RIGHT = {
    "a tuple subclass and floats of numpy": (
        "import numpy as np\ndef scale(values, factor):\n    return [np.float64(v) * factor for v in values]",
        "def extent(values):\n    from collections import OrderedDict\n"
        "    return OrderedDict(least=min(values), most=max(values))",
    ),
    "a class with a method": (
        "class Scale:\n    def __call__(self, values, factor):\n        return [v * factor for v in values]\n"
        "scale = Scale()",
        "class Extent(dict): pass\ndef extent(values): return Extent(least=min(values), most=max(values))",
    ),
    "in place": (
        "def scale(values, factor):\n    for i in range(len(values)): values[i] *= factor\n    return values",
        "def extent(values):\n    values.sort()\n    return {'most': values[-1], 'least': values[0]}",
    ),
    "a dataclass, a cache, a thread": (
        "from dataclasses import dataclass\n@dataclass\nclass Factor:\n    by: 'float'\n"
        "def scale(values, factor):\n    f = Factor(factor)\n    return [v * f.by for v in values]",
        "from functools import lru_cache\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "@lru_cache\ndef _extent(values):\n    with ThreadPoolExecutor(2) as pool:\n"
        "        least, most = pool.map(lambda f: f(values), (min, max))\n"
        "    return {'least': least, 'most': most}\ndef extent(values):\n    return _extent(tuple(values))",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_way_to_the_answer_counts(name: str) -> None:
    scale, extent = RIGHT[name]
    result = graded(submission({"scale": scale, "extent": extent}))
    assert marks(result) == FULL, [test["told"] for test in result["tests"]]


MISTAKES = {
    "adds": ("def scale(values, factor):\n    return [v + factor for v in values]", "twice is not enough"),
    "a generator": (
        "def scale(values, factor):\n    return (v * factor for v in values)",
        "twice is not enough",
    ),
    "nothing": ("def scale(values, factor):\n    [v * factor for v in values]", "twice is not enough"),
    "an error": (
        "def scale(values, factor):\n    return values.times(factor)",
        "your scale raised AttributeError",
    ),
    "another name": (
        "def scales(values, factor):\n    return [v * factor for v in values]",
        "there is no scale",
    ),
    "no Python": ("def scale(values, factor)\n    return [v * factor for v in values]", "there is no scale"),
    "one argument": ("def scale(values):\n    return values", "raised TypeError"),
    "an object": (
        "class Answer:\n    pass\ndef scale(values, factor):\n    return Answer()",
        "no number, text, list",
    ),
    "not a number": ("def scale(values, factor):\n    return [float('nan') for _ in values]", "twice"),
    "the example alone": ("def scale(values, factor):\n    return [3, 6]", "five numbers"),
    "a name by accident": ("scale = 3", "does not have the form"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_costs_its_question_alone_and_is_explained(name: str) -> None:
    source, says = MISTAKES[name]
    result = graded(submission({"scale": source}))
    assert marks(result)["scale"] < 10
    assert marks(result)["extent"] == 10
    told = [test["told"] for test in result["tests"] if test["told"]]
    assert any(says in one for one in told), told


def test_a_written_answer_reaches_the_teacher() -> None:
    cells = submission()
    cells[-1].source = "Because it is so."
    assert graded(cells)["written"] == {"words": "Because it is so."}


WORDS = "Because it is so.\n\nAnd why not?"
ELSEWHERE: dict[str, Callable[[Cells], Cells]] = {
    "in a cell behind": lambda cells: [*cells, new_markdown_cell(WORDS)],
    "in a cell behind, the placeholder deleted": lambda cells: [*cells[:-1], new_markdown_cell(WORDS)],
    "in the cell of the question": lambda cells: [
        *cells[:-2],
        new_markdown_cell(f"{cells[-2].source}\n\n{WORDS}"),
    ],
    "behind the placeholder": lambda cells: [
        *cells[:-1],
        new_markdown_cell(f"{cells[-1].source}\n\n{WORDS}"),
    ],
    "without metadata": lambda cells: stripped([*cells[:-1], new_markdown_cell(WORDS)]),
    "as a comment": lambda cells: [*cells, new_code_cell("# Because it is so.\n\n# And why not?")],
    "never": lambda cells: cells,
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_words_reach_the_teacher_wherever_they_stand(where: str) -> None:
    found = graded(ELSEWHERE[where](submission()))["written"].get("words", "")
    assert found.replace("# ", "") == ("" if where == "never" else WORDS)


def test_what_a_student_adds_to_a_cell_of_checks_is_there() -> None:
    cells = submission(
        {"scale": "def scale(values, factor):\n    return list(times(values, repeat(factor)))"}
    )
    check = next(cell for cell in cells if cell.id == "scale-public")
    check.source = (
        "from itertools import repeat\n"
        f"def times(a, b):\n    return map(math.prod, zip(a, b))\n{check.source}\nprint(scale([1], 2))"
    )
    assert marks(graded(cells)) == FULL


def test_a_cell_that_fails_here_is_named_with_its_reason() -> None:
    result = graded(submission({"scale": f"import seaborn\n{HONEST['scale']}"}))
    told = [test["told"] for test in result["tests"] if test["told"]]
    assert told[0].endswith("there is no scale: the cell that defines it raised ModuleNotFoundError here.")


def test_another_notebook_is_no_zero() -> None:
    other = [
        new_markdown_cell("## Question 1: Something else"),
        new_code_cell("def scales(): pass", id="scale"),
    ]
    assert graded(other)["refused"].startswith("this is the notebook of something else")
    assert marks(graded([new_code_cell(HONEST["scale"])])) == {"scale": 10, "extent": 0}


def test_the_same_submission_gets_the_same_mark() -> None:
    """An answer that draws numbers: it is seeded, so it is right always or never."""
    lucky = (
        "import random\ndef scale(values, factor):\n"
        "    return [v * factor if random.random() < .8 else 0 for v in values]"
    )
    results = [graded(submission({"scale": lucky}))["tests"] for _ in range(3)]
    assert results[0] == results[1] == results[2]


def test_no_mark_hangs_on_how_python_shuffles_its_sets(tmp_path: Path) -> None:
    """The order in which names are asked for, and a set is sent, seeds a student's random numbers."""
    answers = "\n".join(f"def {name}(): pass" for name in ["alpha", "beta", "gamma", "delta"])
    (tmp_path / "small.ipynb").write_bytes(notebook([marked(new_code_cell(answers), "four", solution=True)]))
    asks = (
        "import sys; from gradlib_homework.assignment import read_assignment; "
        "from gradlib_homework.inside.wire import encode; "
        "names = list(read_assignment(open(sys.argv[1], 'rb').read()).names); "
        "print(names, encode({'a', 'b', 'c', 'd'}, None))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", asks, tmp_path / "small.ipynb"],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(said) == 1, said
    assert "delta" in said.pop()


REFUSED = {
    "empty": (b"", "empty"),
    "white": (b" \n", "empty"),
    "text": (b"print(1)", "not a Jupyter notebook"),
    "a list": (b"[1, 2]", "not a Jupyter notebook"),
    "another object": (b'{"a": 1}', "not a Jupyter notebook"),
    "half": (notebook(submission())[:500], "not a Jupyter notebook"),
    "a picture": (bytes(range(256)) * 10, "not a Jupyter notebook"),
    "too large": (b" " * (20 << 20) + b"{}", "larger than 20 MiB"),
    "deep": (b"[" * 100_000, "not a Jupyter notebook"),
    "no sources": (
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}',
        "not a Jupyter notebook",
    ),
    "wrong types": (
        json.dumps(
            {**new_notebook(), "cells": [{"cell_type": "code", "source": 3, "metadata": []}]}
        ).encode(),
        "not a Jupyter notebook",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_notebook_is_refused_with_its_reason(name: str) -> None:
    content, says = REFUSED[name]
    assert says in graded(content)["refused"]
