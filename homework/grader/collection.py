"""Find whose file is where, in a folder as Canvas, Moodle or nbgrader export it.

Canvas    lastfirst_[LATE_]USER_SUBMISSION_name.ipynb        (name-1.ipynb when handed in again)
Moodle    Full Name_PARTICIPANT_assignsubmission_file_/any.ipynb   (…_onlinetext_ is of the same student)
nbgrader  student/assignment/assignment.ipynb
plain     student.ipynb, or student/any.ipynb
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gradlib_homework.assignment import MOST_BYTES

CANVAS = re.compile(r"(?P<name>.+?)_(?:LATE_)?(?P<id>\d+)_(?P<attempt>\d+)_.+", re.I)
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_.*)?")
CLUTTER = (".DS_Store", "._", ".ipynb_checkpoints", "__MACOSX")
AGAIN = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Submission:
    student: str
    """what names the student in this folder, and in all that is made from it"""
    id: str = ""
    """the number that Canvas or Moodle knows the student by"""
    content: bytes = b""
    refused: str = ""
    """why there is nothing to grade"""
    moodle: bool = False


def collect(folder: Path, assignment: str) -> list[Submission]:
    """Every student's submission, by name; one that cannot be read is there with its reason."""
    found: dict[tuple[str, str], list[Path]] = {}
    of_moodle = set()
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(CLUTTER):
            continue
        if moodle := MOODLE.fullmatch(entry.name):
            of_moodle.add((moodle["name"], moodle["id"]))
            found.setdefault((moodle["name"], moodle["id"]), []).extend(notebooks(entry))
        elif canvas := CANVAS.fullmatch(entry.name):
            found.setdefault((canvas["name"], canvas["id"]), []).extend(notebooks(entry))
        elif entry.is_dir() and not entry.is_symlink():
            inner = entry / assignment
            place = inner if inner.is_dir() and not inner.is_symlink() else entry
            found.setdefault((entry.name, ""), []).extend(notebooks(place))
        elif entry.suffix == ".ipynb":
            found.setdefault((entry.stem, ""), []).append(entry)
    submissions = [
        replace(one(*who, paths, assignment), moodle=who in of_moodle) for who, paths in found.items()
    ]
    return sorted(submissions, key=lambda submission: (submission.student, submission.id))


def notebooks(entry: Path) -> Iterator[Path]:
    """A file that is a notebook by its name, or all such files in a folder, without following links."""
    if entry.suffix == ".ipynb" and not entry.is_dir():
        yield entry
    for path, folders, names in () if entry.is_symlink() else os.walk(entry):
        folders[:] = sorted(name for name in folders if not name.startswith(CLUTTER))
        names = sorted(name for name in names if not name.startswith(CLUTTER))
        yield from (Path(path, name) for name in names if name.endswith(".ipynb"))


def one(name: str, id: str, paths: list[Path], assignment: str) -> Submission:
    chosen = choose(paths, assignment)
    if chosen is None:
        reason = f"{len(paths)} notebooks, and none is named {assignment}.ipynb" if paths else "no notebook"
        return Submission(name, id, refused=f"there is {reason}")
    try:
        return Submission(name, id, read(chosen))
    except OSError:
        return Submission(name, id, refused="the file cannot be read, or is a link")


def choose(paths: list[Path], assignment: str) -> Path | None:
    """The one notebook; of several the one that is named as the assignment, handed in last."""

    def attempt(path: Path) -> tuple[int, int]:
        canvas = CANVAS.fullmatch(path.name)
        again = AGAIN.search(path.stem)
        return int(canvas["attempt"]) if canvas else 0, int(again[1]) if again else 0

    if len(paths) > 1:
        stem = re.compile(rf"(?:.*_)?{re.escape(assignment)}(?:-\d+)?", re.I)
        paths = [path for path in paths if stem.fullmatch(path.stem)]
    return max(paths, key=attempt, default=None)


def read(path: Path) -> bytes:
    """The content of a plain file, up to one byte too many. Raises OSError for anything else."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is no plain file")
        return file.read(MOST_BYTES + 1)
