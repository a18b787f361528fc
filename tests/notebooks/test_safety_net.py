"""nbval would notice: one changed value of any kind fails the cell it is in, and no other."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
from execution import ROOT, code_cells
from nbformat import NotebookNode
from output_contract import EXPLORABLE

CHAPTER = ROOT / "notebooks" / "06-residual-connections.ipynb"  # its first cells have one of each
DIGIT = re.compile(r"\d(?=\D*$)")


def other_digit(text: str) -> str:
    """`text` with its last digit changed by one."""
    return DIGIT.sub(lambda digit: str((int(digit.group()) + 1) % 10), text, count=1)


def change_printed_digit(output: NotebookNode) -> bool:
    if output.output_type != "stream" or not DIGIT.search(output.text):
        return False
    output.text = other_digit(output.text)
    return True


def change_sentence(output: NotebookNode) -> bool:
    """What `say` wrote: the prose of the book itself."""
    data = output.get("data", {})
    if set(data) != {"text/markdown", "text/plain"} or not DIGIT.search(data["text/markdown"]):
        return False
    data["text/markdown"] = other_digit(data["text/markdown"])
    return True


def change_figure(output: NotebookNode) -> bool:
    """Move one corner of one line by the smallest step that the file can hold."""
    data = output.get("data", {})
    if "image/svg+xml" not in data or EXPLORABLE in data:
        return False
    corner = re.search(r"\nL [\d.]+ [\d.]+ *\n", data["image/svg+xml"])
    if corner is None:
        return False
    before, after = data["image/svg+xml"][: corner.start()], data["image/svg+xml"][corner.end() :]
    data["image/svg+xml"] = before + other_digit(corner.group()) + after
    return True


def change_explorable(output: NotebookNode) -> bool:
    """Change one number of one setting that is not the one shown first."""
    data = output.get("data", {})
    if EXPLORABLE not in data:
        return False
    data[EXPLORABLE]["settings"][-1] = other_digit(data[EXPLORABLE]["settings"][-1])
    return True


CHANGES = [change_explorable, change_printed_digit, change_figure, change_sentence]


def change_one_of_each(notebook: NotebookNode) -> dict[int, str]:
    """Make each change once, in a cell of its own; its name, by the cell's place among the code cells."""
    made: dict[int, str] = {}
    for change in CHANGES:
        for place, cell in enumerate(code_cells(notebook)):
            if place not in made and any(map(change, cell.outputs)):
                made[place] = change.__name__
                break
    return made


def end_after(notebook: NotebookNode, place: int) -> None:
    """Leave out the cells after a code cell: what they would take time for changes nothing before them."""
    last = code_cells(notebook)[place]
    del notebook.cells[notebook.cells.index(last) + 1 :]


def failing_cells(notebook: Path, report: Path) -> set[int]:
    """What nbval says of a notebook, run as `make test` runs it."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            notebook,
            f"--junitxml={report}",
            "-p",
            "no:cacheprovider",
        ],
        cwd=notebook.parent,
        env={**os.environ, "GRADLIB_RECORD": "1"},
        capture_output=True,
    )
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {int(case.attrib["name"].split()[-1]) for case in cases if len(case)}


def test_every_changed_value_in_a_chapter_is_noticed(tmp_path: Path) -> None:
    notebook = nbformat.read(CHAPTER, as_version=4)
    changed = change_one_of_each(notebook)
    assert len(changed) == len(CHANGES), f"{CHAPTER.name} only has room for {changed}"
    end_after(notebook, max(changed))
    copy = tmp_path / CHAPTER.name
    nbformat.write(notebook, copy)
    assert failing_cells(copy, tmp_path / "report.xml") == set(changed)


def test_an_unchanged_notebook_passes(recorded_file: Path, tmp_path: Path) -> None:
    assert failing_cells(recorded_file, tmp_path / "report.xml") == set()
