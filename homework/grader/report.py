"""What people read: feedback for each student, grades.csv, and a summary for the teacher."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradlib_homework.assignment import Assignment, Cell
from gradlib_homework.collection import Submission
from gradlib_homework.gradebook import Mark, Unreadable, number, read, safe, write
from gradlib_homework.pages import templates
from gradlib_homework.process import REASONS

ODD_WORDS = re.compile(
    r"\b(socket|urllib|requests|subprocess|os\.(?:system|fork|kill|_exit|environ|exec\w*)|ctypes|gc\.get_\w+|"
    r"sys\._getframe|inspect\.stack|__eq__|__torch_function__|ast_transformers|/proc/|gradebook)"
)


@dataclass
class Entry:
    """A student, with what came of the submission, and points that the teacher gave by hand."""

    submission: Submission
    result: dict[str, Any] | None
    by_hand: dict[str, tuple[float, str]] = field(default_factory=dict)
    """id of a written answer: points and comment"""
    changed: bool = False
    """whether an answer is another than the one that was given points by hand"""

    @property
    def refused(self) -> str:
        """Why there is no mark, or nothing."""
        if self.result is None:
            return self.submission.refused or "the grader failed; run it again"
        return str(self.result.get("refused", ""))

    @property
    def points(self) -> dict[str, float]:
        """By id of the graded cell; what waits for the teacher is not in it."""
        if self.refused or self.result is None:
            return {}
        found = {test["id"]: test["points"] for test in self.result["tests"]}
        return found | {id: points for id, (points, _) in self.by_hand.items()}

    @property
    def total(self) -> float | None:
        return None if self.refused else sum(self.points.values())

    @property
    def file(self) -> str:
        """A name for this student's page that no system stumbles over, and that no other student has."""
        plain = re.sub(r"[^\w.-]+", "-", self.submission.student).strip(".-") or "student"
        return f"{plain}-{self.submission.id}.html" if self.submission.id else f"{plain}.html"

    def suspicions(self) -> list[str]:
        """Reasons to look at this submission; each may have an honest one."""
        if self.result is None or self.refused:
            return []
        ends = Counter(self.result["ends"])
        found = [f"{REASONS[end]} ({times}×)" for end, times in sorted(ends.items()) if end != "budget"]
        words = (
            sorted(set(ODD_WORDS.findall(self.submission.content.decode(errors="replace")))) if ends else []
        )
        return found + ([f"it mentions {', '.join(words)}"] if words else [])


def questions(asked: Assignment) -> dict[str, list[Cell]]:
    """The graded cells, by the heading they stand under."""
    found: dict[str, list[Cell]] = {}
    for cell in asked.graded:
        found.setdefault(cell.question, []).append(cell)
    return found


def told(entry: Entry) -> dict[str, str | None]:
    return {test["id"]: test["told"] for test in (entry.result or {}).get("tests", [])}


def feedback_page(entry: Entry, asked: Assignment, name: str) -> str:
    return (
        templates()
        .get_template("feedback.html")
        .render(
            name=name,
            entry=entry,
            questions=questions(asked),
            told=told(entry),
            so_far=so_far(entry, asked),
            number=number,
            sentence=sentence,
        )
    )


def waiting(entry: Entry, asked: Assignment) -> float:
    """The points that are still to be given by hand."""
    return sum(cell.points for cell in asked.graded if cell.id not in entry.points)


def sentence(text: str) -> str:
    """With a capital, unless it begins with a symbol."""
    return text[0].upper() + text[1:] if re.match("[a-z]{2}", text) else text


def summary_page(entries: list[Entry], asked: Assignment, name: str) -> str:
    graded = [entry for entry in entries if not entry.refused]
    rows = []
    for question, cells in questions(asked).items():
        marks = [
            sum(entry.points[cell.id] for cell in cells)
            for entry in graded
            if all(cell.id in entry.points for cell in cells)
        ]
        errors = Counter(
            message for entry in graded for cell in cells if (message := told(entry).get(cell.id))
        )
        mean = sum(marks) / len(marks) if marks else None
        rows.append((question, mean, sum(cell.points for cell in cells), errors.most_common(5)))
    same: dict[bytes, list[str]] = {}
    for entry in graded:
        same.setdefault(entry.submission.content, []).append(entry.submission.student)
    return (
        templates()
        .get_template("summary.html")
        .render(
            name=name,
            rows=rows,
            graded=graded,
            refused=[entry for entry in entries if entry.refused],
            suspicious=[(entry, found) for entry in graded if (found := entry.suspicions())],
            same=[students for students in same.values() if len(students) > 1],
            silent=[
                entry.submission.student
                for entry in graded
                if (words := (entry.result or {}).get("written")) and not any(words.values())
            ],
            number=number,
        )
    )


def marks(entries: list[Entry], asked: Assignment) -> list[Mark]:
    return [
        Mark(
            entry.submission.student,
            entry.submission.id,
            entry.total,
            so_far(entry, asked),
        )
        for entry in entries
    ]


def so_far(entry: Entry, asked: Assignment) -> str:
    if entry.total is None:
        return ""
    later = f"; {number(left)} are still to be given by hand" if (left := waiting(entry, asked)) else ""
    return f"{number(entry.total)} of {number(asked.possible)} points{later}"


def write_grades(entries: list[Entry], asked: Assignment, path: Path) -> None:
    """One row a student. No points, rather than none, for whoever was not graded; `status` says why."""
    ids = [cell.id for cell in asked.graded]
    rows = [["student", "id", *ids, "points", "possible", "status"]]
    for entry in entries:
        points = [number(entry.points[id]) if id in entry.points else "" for id in ids]
        total = "" if entry.total is None else number(entry.total)
        status = "waits for points by hand" if waiting(entry, asked) else "graded"
        if entry.refused:
            status = f"not graded: {entry.refused}"
        student = entry.submission.student, entry.submission.id
        rows.append([*student, *points, total, number(asked.possible), status])
    write(path, rows)


HAND = ["student", "id", "question", "possible", "points", "comment", "answer"]


class NoPoints(Unreadable):
    """What a teacher wrote by hand cannot be read as points."""


ByHand = dict[tuple[str, str], dict[str, tuple[float, str, str]]]


def read_by_hand(path: Path, submissions: list[Submission]) -> ByHand:
    """Points that the teacher wrote into `by-hand.csv`, with the comment and the answer that they are for, by
    student and id.

    Raises NoPoints for a file that has lost a column, for points of nobody who handed in, and for anything
    but a number from 0 to what is possible; Unreadable for what is not in UTF-8.
    """
    found: ByHand = {}
    if not path.exists():
        return found
    head, *lines = read(path) or [[]]
    if lost := set(HAND) - set(head):
        raise NoPoints(f"{path} has lost its columns {', '.join(sorted(lost))}")
    known = {(one.student, one.id) for one in submissions}
    for line in lines:
        row = dict.fromkeys(HAND, "") | dict(zip(head, line, strict=False))
        if row["points"].strip():
            try:
                points, possible = (float(row[name].replace(",", ".")) for name in ("points", "possible"))
            except ValueError:
                points, possible = math.nan, math.nan
            if not 0 <= points <= possible:
                raise NoPoints(
                    f"{path}: {row['student']} has {row['points']!r} points in {row['question']}; "
                    f"expected a number from 0 to {row['possible']}"
                )
            who = row["student"].removeprefix("'"), row["id"]
            if who not in known:
                raise NoPoints(f"{path}: there is no submission of {row['student']}, id {row['id']!r}")
            found.setdefault(who, {})[row["question"]] = (
                points,
                row["comment"].removeprefix("'"),
                row["answer"],
            )
    return found


def entry_of(submission: Submission, result: dict[str, Any] | None, by_hand: ByHand) -> Entry:
    """What was given by hand counts for the answer that it was given for.

    A spreadsheet may break the answer's lines anew, and loses nothing by it.
    """
    entry = Entry(submission, result)
    for id, (points, comment, answer) in by_hand.get((submission.student, submission.id), {}).items():
        now = (result or {}).get("written", {}).get(id, "")
        if safe(now).split() == answer.split():
            entry.by_hand[id] = points, comment
        else:
            entry.changed = True
    return entry


def write_by_hand(entries: list[Entry], asked: Assignment, path: Path) -> None:
    """The written answers, with room for points; what the teacher has filled in stays."""
    rows = [HAND]
    for entry in entries:
        if entry.refused or entry.result is None:
            continue
        for cell in asked.graded:
            if cell.kind == "written":
                points, comment = entry.by_hand.get(cell.id, ("", ""))
                given = number(points) if isinstance(points, float) else ""
                answer = entry.result["written"].get(cell.id, "")
                student = entry.submission.student, entry.submission.id
                rows.append([*student, cell.id, number(cell.points), given, comment, answer])
    if len(rows) > 1:
        write(path, rows, encoding="utf-8-sig")  # so that Excel keeps what is not ASCII
