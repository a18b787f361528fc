"""Marks as Canvas and Moodle import them: into a copy of the file that each of them exports."""

from __future__ import annotations

import contextlib
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


class Unreadable(ValueError):
    """The table is not what it should be, in words for the teacher."""


def number(points: float) -> str:
    return f"{points:g}"


def safe(text: str) -> str:
    """A cell that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write(path: Path, rows: Iterable[Iterable[str]], encoding: str = "utf-8") -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[safe(cell) for cell in row] for row in rows])
    path.write_text(text.getvalue(), encoding=encoding)


def read(path: Path) -> list[list[str]]:
    """The rows of a table, separated by semicolons where people write the comma in numbers.

    Raises Unreadable.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not in UTF-8; save it once more, as 'CSV UTF-8'") from None
    separator = ";" if ";" in text.partition("\n")[0] else ","
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def fill(
    exported: Path, marks: list[Mark], assignment: str, possible: float, target: Path
) -> tuple[str, list[str]]:
    """Write the exported gradebook with these marks into `target`.

    Returns which system it is of, and what the teacher should know of it. Raises Unreadable.
    """
    head, *rows = read(exported) or [[]]
    if {"ID", "Section"} <= set(head):
        return "Canvas", fill_canvas(head, rows, marks, assignment, possible, target)
    if set(MOODLE) <= set(head):
        return "Moodle", fill_moodle(head, rows, marks, target)
    raise Unreadable(
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
    notes = [] if column in head else [f"it has no column {assignment} (NUMBER), so the import makes one"]
    seen = set()
    for row in rows:
        points = row[head.index(column)] if column in head else ""
        if "Points Possible" in row[0]:
            points = points.strip() or number(possible)
            with contextlib.suppress(ValueError):
                if float(points.replace(",", ".")) != possible:
                    notes.append(
                        f"{column} is out of {points} there, and these points out of {number(possible)}"
                    )
        if mark := known.get(row[head.index("ID")]):
            seen.add(mark.id)
            points = points if mark.points is None else number(mark.points)
        filled.append([*(row[place] for place in places), points])
    write(target, filled)
    return notes + not_in_it(marks, seen)


def not_in_it(marks: list[Mark], seen: set[str]) -> list[str]:
    missing = [mark.student for mark in marks if mark.id not in seen]
    return [f"not in it: {', '.join(missing)}"] if missing else []


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
    return not_in_it(marks, seen)
