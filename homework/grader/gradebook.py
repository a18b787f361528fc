"""Marks as Canvas and Moodle import them: into a copy of the file that each of them exports."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CANVAS = (
    *("Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Integration ID"),
    *("Root Account", "Section"),
)
"""columns that Canvas finds a student by, in its order; an import has these and the one of the assignment"""
MOODLE = ("Identifier", "Grade", "Last modified (grade)")
"""columns that Moodle's import looks for, in the language of the site"""
TOTAL = re.compile(r"[\d.]+ of [\d.]+ points(; [\d.]+ are still to be given by hand)?")
"""the first line of a mark's feedback"""


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
    """As a whole or, when interrupted, not at all: the old table may be all there is of a teacher's work."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    whole = path.with_suffix(".tmp")
    whole.write_text(text.getvalue(), encoding=encoding)
    whole.replace(path)


def read(path: Path) -> list[list[str]]:
    """The rows of a table, all as long as its head; with semicolons where people write the comma in numbers.

    Raises Unreadable.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not in UTF-8; save it once more, as 'CSV UTF-8'") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from None
    separator = ";" if ";" in text.partition("\n")[0] else ","
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    return [row + [""] * (len(rows[0]) - len(row)) for row in rows]


class Gradebook(NamedTuple):
    """What a course system exported: Canvas or Moodle."""

    system: str
    head: list[str]
    rows: list[list[str]]


def open_gradebook(exported: Path) -> Gradebook:
    """Raises Unreadable."""
    head, *rows = read(exported) or [[]]
    if {"ID", "Section"} <= set(head):
        return Gradebook("Canvas", head, rows)
    if set(MOODLE) <= set(head):
        return Gradebook("Moodle", head, rows)
    raise Unreadable(
        f"{exported}: neither a gradebook of Canvas (Student, ID, …, Section, …) nor a grading worksheet of "
        f"Moodle in English ({', …, '.join(MOODLE)})"
    )


def fill(exported: Gradebook, marks: list[Mark], assignment: str, possible: float, target: Path) -> list[str]:
    """Write the gradebook with these marks into `target`; returns what the teacher should know of it."""
    if exported.system == "Canvas":
        return fill_canvas(exported.head, exported.rows, marks, assignment, possible, target)
    return fill_moodle(exported.head, exported.rows, marks, possible, target)


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
            notes += other_total(column, points, possible)
        if mark := known.get(row[head.index("ID")]):
            seen.add(mark.id)
            points = points if mark.points is None else number(mark.points)
        filled.append([*(row[place] for place in places), points])
    write(target, filled)
    return notes + not_in_it(marks, seen)


def other_total(column: str, there: str, possible: float) -> list[str]:
    with contextlib.suppress(ValueError):
        if float(there.replace(",", ".")) != possible:
            return [f"{column} is out of {there} there, and these points out of {number(possible)}"]
    return []


def not_in_it(marks: list[Mark], seen: set[str]) -> list[str]:
    missing = [mark.student for mark in marks if mark.id not in seen]
    return [f"not in it: {', '.join(missing)}"] if missing else []


def fill_moodle(
    head: list[str], rows: list[list[str]], marks: list[Mark], possible: float, target: Path
) -> list[str]:
    """The grading worksheet, with the columns Grade and Feedback comments filled in for whom there is a mark.

    Moodle empties what an import leaves empty, so rows without a mark are not in it.
    """
    known = {mark.id: mark for mark in marks if mark.id}
    filled, seen = [head], set()
    most = rows[0][head.index("Maximum Grade")] if rows and "Maximum Grade" in head else ""
    for row in rows:
        mark = known.get("".join(filter(str.isdigit, row[head.index("Identifier")])))
        if mark is None:
            continue
        seen.add(mark.id)
        if mark.points is not None:
            row = list(row)
            row[head.index("Grade")] = number(mark.points)
            if "Feedback comments" in head:
                row[head.index("Feedback comments")] = append(
                    row[head.index("Feedback comments")], mark.feedback
                )
            filled.append(row)
    write(target, filled)
    return other_total("Grade", most, possible) + not_in_it(marks, seen)


def append(there: str, feedback: str) -> str:
    """What stood there, and then the feedback in place of that of an earlier import."""
    new = feedback.splitlines()
    old = [line for line in there.splitlines() if line not in new and not TOTAL.fullmatch(line)]
    return "\n".join([*old, *new])
