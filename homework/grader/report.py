"""What people read: feedback for each student, grades.csv, and a summary for the teacher."""

from __future__ import annotations

import math
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gradlib_homework.assignment import Assignment, Cell
from gradlib_homework.collection import Submission
from gradlib_homework.gradebook import Mark, Unreadable, number, read, safe, write
from gradlib_homework.pages import templates
from gradlib_homework.process import REASONS

ODD_WORDS = re.compile(
    r"\b(socket|urllib|requests|subprocess|os\.(?:system|fork|kill|_exit|environ|exec\w*|chroot|set\w+)|"
    r"ctypes|gc\.get_\w+|sys\.(?:_getframe|modules|settrace)|resource\.set\w+|inspect\.stack|builtins|__eq__|"
    r"__torch_function__|ast_transformers|proc/|gradebook)"
)


class Given(NamedTuple):
    """What the teacher wrote by hand, and the answer that it is for."""

    question: str
    possible: float
    points: float | None
    comment: str
    answer: str


@dataclass
class Entry:
    """A student, with what came of the submission, and points that the teacher gave by hand."""

    submission: Submission
    result: dict[str, Any] | None
    by_hand: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    """id of a written answer: points and comment"""
    kept: list[Given] = field(default_factory=list)
    """what the teacher wrote for an answer that is another now, or could not be read"""

    @property
    def changed(self) -> bool:
        return any(given.points is not None and given.question not in self.points for given in self.kept)

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
        return found | {id: points for id, (points, _) in self.by_hand.items() if points is not None}

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
        text = self.submission.content.decode(errors="replace").replace("\\n", "\n")  # of JSON's strings
        words = sorted(set(ODD_WORDS.findall(text)))
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
            asked=asked,
            questions=questions(asked),
            told=told(entry),
            so_far=so_far,
            number=number,
            sentence=sentence,
        )
    )


def waiting(entry: Entry, cells: list[Cell]) -> float:
    """The points that are still to be given by hand."""
    return sum(cell.points for cell in cells if cell.id not in entry.points)


def sentence(text: str) -> str:
    """With a capital, unless it begins with a symbol."""
    return text[0].upper() + text[1:] if re.match("[a-z]{2}|a [a-z]", text) else text


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
            "\n".join(
                [
                    so_far(entry, asked.graded),
                    *(words for id, (_, words) in entry.by_hand.items() if id in entry.points),
                ]
            ),
        )
        for entry in entries
    ]


def so_far(entry: Entry, cells: list[Cell]) -> str:
    """The points of a question, or of all; what waits for the teacher is named apart, and not as lost."""
    if entry.refused:
        return ""
    possible, left = sum(cell.points for cell in cells), waiting(entry, cells)
    got = sum(entry.points.get(cell.id, 0) for cell in cells)
    if left == possible:
        return f"{number(left)} points are still to be given by hand"
    later = f"; {number(left)} are still to be given by hand" if left else ""
    return f"{number(got)} of {number(possible)} points{later}"


def write_grades(entries: list[Entry], asked: Assignment, path: Path) -> None:
    """One row a student. No points, rather than none, for whoever was not graded; `status` says why."""
    ids = [cell.id for cell in asked.graded]
    rows = [["student", "id", *ids, "points", "possible", "status"]]
    for entry in entries:
        points = [number(entry.points[id]) if id in entry.points else "" for id in ids]
        total = "" if entry.total is None else number(entry.total)
        status = "waits for points by hand" if waiting(entry, asked.graded) else "graded"
        if entry.refused:
            status = f"not graded: {entry.refused}"
        student = entry.submission.student, entry.submission.id
        rows.append([*student, *points, total, number(asked.possible), status])
    write(path, [[safe(cell) for cell in row] for row in rows])


def write_for_moodle(entries: list[Entry], feedback: Path, path: Path) -> None:
    """The pages as Moodle takes them back: it finds a student by the number in the name of the folder."""
    if moodle := [entry for entry in entries if entry.submission.moodle]:
        with zipfile.ZipFile(path, "w") as file:
            for entry in moodle:
                folder = f"{entry.submission.student}_{entry.submission.id}_assignsubmission_file_"
                file.write(feedback / entry.file, f"{folder}/feedback.html")


HAND = ["student", "id", "question", "possible", "points", "comment", "answer"]


class NoPoints(Unreadable):
    """What a teacher wrote by hand cannot be read as points."""


ByHand = dict[tuple[str, str], list[Given]]


def read_by_hand(path: Path, submissions: list[Submission]) -> ByHand:
    """What the teacher wrote into `by-hand.csv`, by student and id.

    Raises NoPoints for a file that has lost a column, for words on nobody who handed in, and for anything
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
        if row["points"].strip() or row["comment"].strip():
            try:
                possible = float(row["possible"].replace(",", "."))
                points = float(row["points"].replace(",", ".")) if row["points"].strip() else None
            except ValueError:
                points, possible = math.nan, math.nan
            if not 0 <= (points or 0) <= possible:
                raise NoPoints(
                    f"{path}: {row['student']} has {row['points']!r} points in {row['question']}; "
                    f"expected a number from 0 to {row['possible']}"
                )
            who = row["student"].removeprefix("'"), row["id"]
            if who not in known:
                raise NoPoints(f"{path}: there is no submission of {row['student']}, id {row['id']!r}")
            comment = row["comment"].removeprefix("'")
            given = Given(row["question"], possible, points, comment, row["answer"])
            found.setdefault(who, []).append(given)
    return found


def entry_of(submission: Submission, result: dict[str, Any] | None, by_hand: ByHand) -> Entry:
    """What was given by hand counts for the answer that it was given for.

    A spreadsheet may break the answer's lines anew, and loses nothing by it.
    """
    entry = Entry(submission, result)
    written = (result or {}).get("written", {})
    for given in by_hand.get((submission.student, submission.id), []):
        id, now = given.question, written.get(given.question)
        if now is not None and safe(now).split() == given.answer.split() and id not in entry.by_hand:
            entry.by_hand[id] = given.points, given.comment
        else:
            entry.kept.append(given)
    return entry


def write_by_hand(entries: list[Entry], asked: Assignment, path: Path) -> None:
    """The written answers, with room for points; what the teacher has filled in stays, also when it no longer
    counts: the answer may come back."""
    rows = [[*HAND, "remark"]]
    for entry in entries:
        written = (entry.result or {}).get("written", {})
        now = [
            Given(cell.id, cell.points, *entry.by_hand.get(cell.id, (None, "")), written.get(cell.id, ""))
            for cell in asked.graded
            if cell.kind == "written" and not entry.refused
        ]
        for given in now + entry.kept:
            student = entry.submission.student, entry.submission.id
            points = "" if given.points is None else number(given.points)
            remark = "" if given in now else "does not count: the answer is another now, or cannot be read"
            cells = given.question, number(given.possible), points, given.comment, given.answer, remark
            rows.append([safe(cell) for cell in (*student, *cells)])
    if len(rows) > 1:
        write(path, rows, encoding="utf-8-sig")  # so that Excel keeps what is not ASCII
