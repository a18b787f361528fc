"""Every chapter keeps its contract with the reader, as far as a machine can tell."""

import json
from pathlib import Path

import nbformat
import pytest
from execution import ROOT, chapters, code_cells
from nbformat import NotebookNode
from output_contract import EXPLORABLE

LAST_SECTIONS = ["In practice", "Exercises", "Summary", "References"]
NUMBERED = [path for path in chapters() if not path.stem.startswith("00-")]

pytestmark = pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)


@pytest.fixture
def chapter(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.fixture
def prose(chapter: NotebookNode) -> str:
    return "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")


@pytest.fixture
def code(chapter: NotebookNode) -> str:
    return "\n".join(cell.source for cell in code_cells(chapter))


def test_it_begins_with_what_the_reader_will_be_able_to_do(chapter: NotebookNode) -> None:
    title, _, promise = chapter.cells[0].source.partition("\n")
    assert title.startswith("# ")
    assert "After this chapter you can" in promise


def test_it_asks_before_it_shows(chapter: NotebookNode) -> None:
    kinds = ["quiz" if "{quiz}" in cell.source else cell.cell_type for cell in chapter.cells]
    assert "quiz" in kinds
    agreement = next(i for i, cell in enumerate(chapter.cells) if "assert_agrees(" in cell.source)
    assert kinds.index("quiz") < agreement, "the first question comes after the first answer"


def test_it_holds_theory_against_measurement(code: str) -> None:
    assert "plot.predicted(" in code
    assert "plot.measured(" in code
    assert "assert_agrees(" in code


def test_it_has_something_to_explore(chapter: NotebookNode) -> None:
    assert any(
        EXPLORABLE in output.get("data", {}) for cell in code_cells(chapter) for output in cell.outputs
    )


def test_it_settles_a_misconception(prose: str) -> None:
    assert ":class: misconception" in prose


def test_it_ends_with_practice_exercises_summary_and_sources(prose: str) -> None:
    sections = [line.removeprefix("## ") for line in prose.splitlines() if line.startswith("## ")]
    assert sections[-len(LAST_SECTIONS) :] == LAST_SECTIONS
    assert "{cite" in prose


def test_its_exercises_lead_to_its_homework(prose: str, path: Path) -> None:
    exercises = prose.partition("## Exercises")[2]
    assert f"<../homework/student/{path.name}>" in exercises
    assert (ROOT / "homework" / "student" / path.name).exists()


def test_its_page_says_what_running_it_costs(path: Path) -> None:
    assert path.stem in json.loads((ROOT / "book" / "run-times.json").read_text()), "run `make bench`"
