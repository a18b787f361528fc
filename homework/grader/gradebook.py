"""Marks as Canvas and Moodle import them: into a copy of the file that each of them exports."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CANVAS = (
    *("Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Integration ID"),
    *("Root Account", "Section"),
)
"""columns that Canvas finds a student by, in its order; an import has these and the one of the assignment"""
MOODLE = ("Identifier", "Grade", "Last modified (grade)")
"""columns that Moodle's import looks for, in the language of the site"""


@dataclass(frozen=True)
class Mark:
    student: str
    id: str
    points: float | None
    """None: not graded"""
    feedback: str


class UnknownGradebook(ValueError):
    """The file is neither what Canvas nor what Moodle exports."""


def number(points: float) -> str:
    return f"{points:g}"


def safe(text: str) -> str:
    """A cell that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write(path: Path, rows: Iterable[Iterable[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[safe(cell) for cell in row] for row in rows])
    path.write_text(text.getvalue(), encoding="utf-8")


def read(path: Path) -> list[list[str]]:
    """The rows of a table, separated by semicolons where people write the comma in numbers."""
    text = path.read_text(encoding="utf-8-sig")
    separator = ";" if ";" in text.partition("\n")[0] else ","
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def fill(
    exported: Path, marks: list[Mark], assignment: str, possible: float, target: Path
) -> tuple[str, list[str]]:
    """Write the exported gradebook with these marks into `target`.

    Returns which system it is of, and the students of whom it does not know. Raises UnknownGradebook.
    """
    head, *rows = read(exported) or [[]]
    if {"ID", "Section"} <= set(head):
        return "Canvas", fill_canvas(head, rows, marks, assignment, possible, target)
    if set(MOODLE) <= set(head):
        return "Moodle", fill_moodle(head, rows, marks, target)
    raise UnknownGradebook(
        f"{exported}: neither a gradebook of Canvas (Student, ID, …, Section, …) nor a grading worksheet of "
        f"Moodle in English ({', …, '.join(MOODLE)})"
    )


def fill_canvas(
    head: list[str],
    rows: list[list[str]],
    marks: list[Mark],
    assignment: str,
    possible: float,
    target: Path,
) -> list[str]:
    """Only the columns that Canvas matches by, and the one column of the assignment: no other can change.

    Canvas writes a column as `name (number)`; without one of this name the import makes a new assignment. An
    empty cell would take away a mark that Canvas has, so what it has stays where there is no new one.
    """
    column = next((title for title in head if title.rpartition(" (")[0] == assignment), assignment)
    kept = [title for title in CANVAS if title in head]
    places = [head.index(title) for title in kept]
    known = {mark.id: mark for mark in marks if mark.id}
    filled = [[*kept, column]]
    seen = set()
    for row in rows:
        points = row[head.index(column)] if column in head else ""
        if "Points Possible" in row[0]:
            points = points or number(possible)
        if mark := known.get(row[head.index("ID")]):
            seen.add(mark.id)
            points = points if mark.points is None else number(mark.points)
        filled.append([*(row[place] for place in places), points])
    write(target, filled)
    return [mark.student for mark in marks if mark.id not in seen]


def fill_moodle(head: list[str], rows: list[list[str]], marks: list[Mark], target: Path) -> list[str]:
    """The grading worksheet, with the columns Grade and Feedback comments filled in for whom there is a mark.

    Moodle empties what an import leaves empty, so rows without a mark are not in it.
    """
    known = {mark.id: mark for mark in marks if mark.id}
    filled, seen = [head], set()
    for row in rows:
        mark = known.get("".join(filter(str.isdigit, row[head.index("Identifier")])))
        if mark is None:
            continue
        seen.add(mark.id)
        if mark.points is not None:
            row = list(row)
            row[head.index("Grade")] = number(mark.points)
            if "Feedback comments" in head:
                row[head.index("Feedback comments")] = mark.feedback
            filled.append(row)
    write(target, filled)
    return [mark.student for mark in marks if mark.id not in seen]
