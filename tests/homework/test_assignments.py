"""What every assignment of the book promises, whatever its chapter."""

from __future__ import annotations

import re
from contextlib import closing, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small import stripped

from gradlib_homework import release, report
from gradlib_homework.assignment import (
    HOMEWORK,
    STUB,
    Assignment,
    NotANotebook,
    assignments,
    kind_of,
    place,
    read_assignment,
    read_notebook,
)
from gradlib_homework.collection import Submission
from gradlib_homework.examination import Student, as_it_was, grade, run
from gradlib_homework.sandbox import BACKENDS, Limits

assignment = pytest.mark.parametrize("path", assignments(), ids=lambda path: path.stem)


def of_question(tests: list[dict[str, Any]], asked: Assignment, answer: str) -> list[dict[str, Any]]:
    """The tests under the heading that an answer stands under."""
    cells = {cell.id: cell for cell in asked.cells}
    return [test for test in tests if cells[test["id"]].question == cells[answer].question]


@assignment
def test_its_form(path: Path) -> None:
    asked = read_assignment(path.read_bytes())
    questions = {cell.question for cell in asked.graded}
    assert 4 <= len(questions) <= 6
    points, minutes = 0, 0
    for question in questions:
        of_question = sum(cell.points for cell in asked.graded if cell.question == question)
        assert f"({of_question} points, " in question, question
        points += of_question
        minutes += int(re.findall(r"(\d+) minutes\)", question)[0])
    assert f"{points} points, about {minutes} minutes." in asked.cells[0].source
    assert 60 <= minutes <= 90
    assert sum(cell.kind == "written" for cell in asked.cells) == 1, "one open question, graded by hand"
    checks = (HOMEWORK / "grader" / "checks.py").read_text()
    assert any(cell.source.strip() == checks.strip() for cell in asked.cells), "the cell of checks"
    ids = [cell.id for cell in asked.cells]
    assert len(ids) == len(set(ids))


@assignment
def test_the_student_version_holds_no_answer_and_no_hidden_test(path: Path) -> None:
    content = path.read_bytes()
    released = release.student_version(content, path.stem)
    text = nbformat.writes(released)
    meant = "\n".join(cell.shown for cell in read_assignment(content).cells if cell.kind != "answer")
    for cell in nbformat.reads(content.decode(), as_version=4).cells:
        for mark in ("SOLUTION", "HIDDEN TESTS"):
            if f"### BEGIN {mark}" in cell.source:
                inside = cell.source.split(f"### BEGIN {mark}")[1].split(f"### END {mark}")[0]
                lines = [line.strip() for line in inside.splitlines() if len(line.strip()) > 25]
                assert not [line for line in lines if line in text and line not in meant]
    assert released.metadata["gradlib"] == {"assignment": path.stem, "version": release.version(content)}
    assert all(cell.id for cell in released.cells)
    answers = [cell for cell in released.cells if kind_of(cell) == "answer"]
    assert answers and all(STUB in cell.source for cell in answers)
    assert all(cell.metadata["editable"] is False for cell in released.cells if kind_of(cell) == "test")


@assignment
def test_students_get_what_the_assignment_says_now(path: Path) -> None:
    handed_out = HOMEWORK / "student" / path.name
    assert handed_out.read_text(encoding="utf-8") == release.released(path), "run `make homework`"


@assignment
def test_the_notebook_of_another_assignment_is_no_zero(path: Path) -> None:
    asked = read_assignment(path.read_bytes())
    for other in assignments():
        refused = pytest.raises(NotANotebook, match="of something else")
        for version in (other, HOMEWORK / "student" / other.name):
            cells = read_notebook(version.read_bytes()).cells
            for handed_in in (cells, stripped(cells)):
                with nullcontext() if other == path else refused:
                    place(asked, new_notebook(cells=handed_in))


@assignment
def test_answers_alone_are_graded(path: Path) -> None:
    """Without a heading, an id, or anything else by which a notebook is known."""
    asked = read_assignment(path.read_bytes())
    answers = [cell for cell in asked.cells if cell.kind == "answer"]
    placed = place(asked, new_notebook(cells=[new_code_cell(cell.source) for cell in answers]))
    assert set(placed.at) == {cell.id for cell in answers}


@assignment
def test_an_honest_notebook_is_not_suspected(path: Path) -> None:
    for version in (path, HOMEWORK / "student" / path.name):
        result = {"ends": [], "tests": []}
        assert report.Entry(Submission("ada", content=version.read_bytes()), result).suspicions() == []


@assignment
def test_the_reference_gets_all_points_and_the_student_version_none(path: Path) -> None:
    content = path.read_bytes()
    full = grade(content, content)
    assert [test for test in full["tests"] if test["told"] or test["points"] != test["of"]] == []
    assert full["ends"] == []
    released = nbformat.writes(release.student_version(content, path.stem)).encode()
    empty = grade(content, released)
    assert sum(test["points"] for test in empty["tests"]) == 0
    assert all("not answered yet" in test["told"] for test in empty["tests"])
    assert empty["remarks"] == []


@assignment
def test_right_answers_pass_and_known_mistakes_are_named(path: Path) -> None:
    """One submission holds one answer to each question, and one sandbox takes all submissions in turn.

    To import PyTorch anew for each would take most of the time.
    """
    content, known = path.read_bytes(), release.known_answers(path)
    asked = read_assignment(content)
    assert set(known) == {cell.id for cell in asked.cells if cell.kind == "answer"}
    for answers in known.values():
        assert sum("says" in answer for answer in answers) >= 3
        assert sum("says" not in answer for answer in answers) >= 1
    secret = {cell.id for cell in asked.cells if "### BEGIN HIDDEN TESTS" in cell.source}
    wrong = []
    with closing(Student(BACKENDS["bubblewrap"], Limits(seconds=3000))) as student:
        for row in zip_longest(*known.values()):
            tried = {id: answer for id, answer in zip(known, row, strict=True) if answer}
            sources = {id: answer["source"] for id, answer in tried.items()}
            answers = place(asked, read_notebook(release.answered(content, sources)))
            student.ran.clear()
            with as_it_was():
                tests = run(asked, answers, student)
            for test in tests:
                assert test["id"] not in secret or "\nexpected" not in (test["told"] or "")
            for id, answer in tried.items():
                told = [test["told"] for test in of_question(tests, asked, id) if test["told"]]
                passed = not told if "says" not in answer else any(answer["says"] in one for one in told)
                if not passed:
                    wrong.append((id, answer["name"], told))
    assert wrong == []
