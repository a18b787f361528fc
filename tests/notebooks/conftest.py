"""A small notebook that holds one of everything the chapters hold, recorded once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from execution import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SETUP = "import gradlib\nfrom gradlib import plot\nfrom gradlib.explore import explore\ngradlib.setup()"
PRINTED = 'print("the first factor is", end=" ", flush=True)\nprint(0.2361)'
FIGURE = """figure, panel = plot.axes("layer", "squared gradient")
plot.measured(panel, [1, 2, 3], [0.5, 0.25, 0.125])
plot.show(figure, alt="It halves at each layer, from 0.5 to 0.125.", caption="Watch it halve.")"""
SENTENCE = 'gradlib.say("The gradient shrinks by **{}** per layer.", 0.236)'
EXPLORABLE = """explore(
    lambda depth: {"layer": [1, 2], "measured": [0.5, 0.5**depth]},
    title="Halving", y="squared gradient", depth=[1, 2, 3],
)"""


@pytest.fixture
def unrun() -> NotebookNode:
    """The small notebook as its author wrote it."""
    return small_notebook()


def small_notebook() -> NotebookNode:
    cells = {
        "setup": SETUP,
        "printed": PRINTED,
        "figure": FIGURE,
        "sentence": SENTENCE,
        "explorable": EXPLORABLE,
    }
    return new_notebook(
        cells=[
            new_markdown_cell("# Small", id="title"),
            *(new_code_cell(source, id=name) for name, source in cells.items()),
        ]
    )


def run_refresh(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/refresh.py", *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def refresh() -> Callable[..., subprocess.CompletedProcess[str]]:
    """What `make refresh` does, on notebooks of one's own."""
    return run_refresh


@pytest.fixture(scope="session")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small notebook as a file with stored outputs; copy it before changing it."""
    path = tmp_path_factory.mktemp("recorded") / "small.ipynb"
    nbformat.write(small_notebook(), path)
    result = run_refresh(path)
    assert result.returncode == 0, result.stdout + result.stderr
    return path


@pytest.fixture
def recorded(recorded_file: Path) -> NotebookNode:
    return nbformat.read(recorded_file, as_version=4)
