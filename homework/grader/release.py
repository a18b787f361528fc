"""Make the student version and the teacher's pack of an assignment, with nbgrader's own preprocessors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from traitlets.config import Config

from gradlib_homework.assignment import STUB, TO_WRITE, read_assignment
from gradlib_homework.examination import grade
from gradlib_homework.pages import templates

STUBS = Config(
    ClearSolutions={
        "code_stub": {"python": STUB},
        "text_stub": TO_WRITE,
    }
)
STEPS = (
    LockCells,
    ClearSolutions,
    ClearOutput,
    ClearHiddenTests,
    ComputeChecksums,
    CheckCellMetadata,
)


def version(content: bytes) -> str:
    """Names the text that a student version was made from."""
    return hashlib.sha256(content).hexdigest()[:12]


def student_version(content: bytes, name: str) -> NotebookNode:
    """The notebook that students get: no solution, no hidden test, no output."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    for step in STEPS:
        notebook, _ = step(config=STUBS).preprocess(notebook, {})
    notebook.metadata["gradlib"] = {"assignment": name, "version": version(content)}
    nbformat.validate(notebook)
    if "### " in (text := nbformat.writes(notebook)) and any(
        mark in text for mark in ("### BEGIN", "### END")
    ):
        raise ValueError(f"{name}: a marker of a solution or hidden test is left in the student version")
    return notebook


def released(path: Path) -> str:
    """The text of the file that students get."""
    return nbformat.writes(student_version(path.read_bytes(), path.stem)) + "\n"


def write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def pack(path: Path) -> str:
    """Solutions, rubric, points, what grading costs, and the common wrong answers with their feedback."""
    content = path.read_bytes()
    return (
        templates()
        .get_template("teacher.html")
        .render(
            name=path.stem,
            version=version(content),
            cells=read_assignment(content).cells,
            answers=known_answers(path),
            result=grade(content, content),
        )
    )


def known_answers(path: Path) -> dict[str, list[dict[str, str]]]:
    """By id of the answer's cell: right and wrong answers with name, source, and the feedback to expect."""
    answers = path.with_name("answers.yml")
    return yaml.safe_load(answers.read_text(encoding="utf-8")) if answers.exists() else {}


def answered(content: bytes, answers: dict[str, str]) -> bytes:
    """The instructor's notebook with other sources in cells of these ids: a submission for tests."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    for cell in notebook.cells:
        id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(id, cell.source)
    return nbformat.writes(notebook).encode()
