"""Grade one submission: the tests run here, the student's code in a sandbox, and only data passes between.

`grade` takes bytes and gives plain data, keeps nothing, and gives the same marks whenever it is called; so
anything that can call a function can run it, on this machine or another.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import hashlib
import io
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradlib_homework.assignment import (
    Answers,
    Assignment,
    Cell,
    NotANotebook,
    bound,
    names_bound_by,
    place,
    read_assignment,
    read_notebook,
    used,
)
from gradlib_homework.inside import wire
from gradlib_homework.process import REASONS, Ended, Process
from gradlib_homework.sandbox import BACKENDS, Backend, Limits

MOST_RESTARTS = 12


class StudentError(Exception):
    """The student's code raised: the name of one of Python's own exceptions, and who was called."""


class NoData(Exception):
    """A test wanted data, and got something that stays in the sandbox or could not be read."""


class Student:
    """The student's names, wherever the process that holds them is.

    A process that has ended is followed by another, in which every cell runs again but the one that ended it.
    """

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.backend, self.limits = backend, limits
        self.process: Process | None = None
        self.ran: list[str] = []
        self.left = limits.seconds
        self.starts = 0
        self.peak = 0
        self.ends: list[str] = []

    def run(self, source: str) -> str | None:
        """Run a cell. Returns the name of what it raised, or the reason why it was ended, if there is one."""
        try:
            answer = self.ask({"run": source}, self.limits.seconds_a_cell)
        except Ended as ended:
            return str(ended)
        self.ran.append(source)
        return error_name(answer.get("error")) if "error" in answer else None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        while self.process is None:
            self.start()
        if self.left <= 0:
            raise Ended("budget")
        began = time.monotonic()
        try:
            return self.process.ask({**request, "seed": seed_of(request)}, min(seconds, self.left))
        except Ended as ended:
            self.ends.append(str(ended))
            self.close()
            raise
        finally:
            self.left -= time.monotonic() - began

    def start(self) -> None:
        if self.starts > MOST_RESTARTS:
            raise Ended("restarts")
        self.starts += 1
        self.process = Process(self.backend, self.limits)
        again, self.ran = self.ran, []
        for source in again:
            self.run(source)

    def value(self, request: dict[str, Any], name: str) -> Any:
        """What the student's `name` answers, as data, or as a `Remote` for what is no data."""
        answer = self.ask(request, self.limits.seconds_a_call)
        if "error" in answer:
            raise StudentError(error_name(answer["error"]), name)
        try:
            return wire.decode(answer.get("value"), lambda number: Remote(self, int(number), name))
        except wire.Unreadable as error:
            raise NoData(str(error)) from None

    def close(self) -> None:
        if self.process:
            self.process.end()
            self.peak = max(self.peak, self.process.peak)
            self.process = None


class Remote:
    """Something of the student's that is no data: it can be called, looped over, indexed, asked for parts."""

    def __init__(self, student: Student, number: int, name: str) -> None:
        self._student, self._number, self._name, self._process = student, number, name, student.starts

    def _ask(self, **request: Any) -> Any:
        if self._process != self._student.starts or self._student.process is None:
            raise Ended("exit")  # the process that held it is no more
        return self._student.value({"of": self._number, **request}, self._name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._ask(
            arguments=wire.encode(arguments, stand_in),
            options={name: wire.encode(value, stand_in) for name, value in options.items()},
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._ask(attribute=name)

    def __getitem__(self, item: Any) -> Any:
        return self._ask(item=wire.encode(item, stand_in))

    def __iter__(self) -> Iterator[Any]:
        items = self._ask(iterate=True)
        if not isinstance(items, list):
            raise NoData("no list")
        return iter(items)

    def _refuse(self, *other: Any) -> Any:
        raise NoData("no data")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __len__ = __float__ = __int__ = _refuse
    __hash__ = object.__hash__


def stand_in(value: Any) -> dict[str, int | str]:
    if isinstance(value, Remote):
        return {"kept": value._number}
    if (name := getattr(value, "__name__", "")) and getattr(torch, name, None) is value:
        return {"kept": name}
    raise TypeError(f"a test can send data to a student's function, and no {type(value).__name__}")


def error_name(name: Any) -> str:
    """`name` if it is that of an exception of Python's own: a student's word would carry what they like."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    return name if isinstance(kind, type) and issubclass(kind, BaseException) else "Exception"


def seed_of(value: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:4], "big")


@dataclass
class Examiner:
    """Runs test cells. Its names: those of the given cells, and of the student what the answers bind."""

    assignment: Assignment
    student: Student

    def __post_init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        """what the cell that should bind a name of the student's raised, or the reason why it was ended"""
        self.theirs = set(self.assignment.names)

    def prepare(self, cell: Cell) -> None:
        """Run here what a given cell says without the student's names: imports, functions, constants."""
        for statement in ast.parse(cell.source).body:
            definition = isinstance(statement, ast.FunctionDef | ast.ClassDef)
            if used(statement) & self.theirs and not definition:
                self.theirs |= bound([statement])
            else:
                exec(compile(ast.Module([statement], []), f"<{cell.id}>", "exec"), self.names)

    def examine(self, cell: Cell) -> str | None:
        """Run a test cell. Returns None if it passed, else what to tell the student."""
        try:
            for name in self.assignment.names:
                self.names.pop(name, None)
                try:
                    self.names[name] = self.student.value({"name": name}, name)
                except (StudentError, NoData):
                    continue
            scope = {**self.names}
            seed_all(seed_of(cell.id))
            exec(compile(cell.source, f"<{cell.id}>", "exec"), scope)
        except Exception as error:
            return self.tell(cell, error)
        return None

    def tell(self, cell: Cell, error: Exception) -> str:
        """What went wrong, in the words of the instructor and of Python; never in the student's, which could
        carry the inputs of hidden tests out."""
        lines = [line for file, line in frames(error) if file == f"<{cell.id}>"]
        line = lines[0] if lines else 0
        about, hidden = said_at(ast.parse(cell.source), line), cell.hidden(line)
        if told := getattr(error, "told", None):
            expected = "" if hidden else getattr(error, "expected", "")
            return f"{told}{expected}"
        why = reason(error, self.assignment, self.failed)
        return f"{about}: {why}" if about else why


def reason(error: Exception, assignment: Assignment, failed: dict[str, str]) -> str:
    match error:
        case StudentError(args=("NotImplementedError", _)):
            return "this is not answered yet."
        case StudentError(args=(kind, name)):
            return f"your {name} raised {kind}."
        case Ended():
            return f"your code gave no answer; {REASONS[str(error)]}."
        case NoData():
            return "your code gave back something that is no number, text, list, dict or tensor."
        case NameError() if error.name in failed:
            why = failed[error.name]
            end = f"was stopped: {REASONS[why]}" if why in REASONS else f"raised {why} here"
            return f"there is no {error.name}: the cell that defines it {end}."
        case NameError() if error.name in assignment.names:
            return f"there is no {error.name}: the cell that defines it is missing, or failed first."
        case AssertionError():
            return "this does not hold."
    return "the answer does not have the form that was asked for."


def frames(error: Exception) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def said_at(tree: ast.Module, line: int) -> str:
    """The fixed text that the statement at `line` gives its check, or its assert, as a message."""
    said = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Call) and node.lineno <= line <= (node.end_lineno or 0):
            text = node.msg if isinstance(node, ast.Assert) else next(iter(node.args), None)
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and " " in text.value:
                said = said or text.value
    return said


def seed_all(number: int) -> None:
    random.seed(number)
    torch.manual_seed(number)
    np.random.seed(number)


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Leave this process as it was: an assignment may choose its own number format, and print."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def grade(
    assignment: bytes, submission: bytes, backend: str = "bubblewrap", limits: Limits | None = None
) -> dict[str, Any]:
    """The marks of one submission, each test with what to tell the student if it failed.

    Returns `{"refused": reason}` for a file that is no notebook. Raises NoSandbox, and never runs anything
    outside a sandbox.
    """
    began = time.monotonic()
    asked = read_assignment(assignment)
    try:
        answers = place(asked, read_notebook(submission))
    except NotANotebook as error:
        return {"refused": str(error)}
    student = Student(BACKENDS[backend], limits or Limits())
    try:
        with as_it_was():
            tests = run(asked, answers, student)
    finally:
        student.close()
    return {
        "tests": tests,
        "written": {
            cell.id: answers.written.get(cell.id, "") for cell in asked.cells if cell.kind == "written"
        },
        "remarks": answers.remarks,
        "ends": student.ends,
        "seconds": round(time.monotonic() - began, 2),
        "peak": student.peak,
    }


def run(asked: Assignment, answers: Answers, student: Student) -> list[dict[str, Any]]:
    """Every cell in its order; a cell that lacked a name is tried again before the next test."""
    examiner, tests = Examiner(asked, student), []
    lacking: list[str] = []

    def attempt(sources: list[str]) -> None:
        for source in sources:
            error = student.run(source)
            if error == "NameError":
                lacking.append(source)
            if error:
                examiner.failed |= dict.fromkeys(names_bound_by(source) & asked.names.keys(), error)

    attempt(answers.before)
    for cell in asked.cells:
        if cell.kind in ("answer", "given"):
            attempt(answers.at.get(cell.id, []))
        if cell.kind == "given":
            attempt([cell.source])
            examiner.prepare(cell)
        elif cell.kind == "test":
            again, lacking[:] = lacking[:], []
            attempt(again)
            message = examiner.examine(cell)
            points = 0 if message else cell.points
            tests.append({"id": cell.id, "points": points, "of": cell.points, "told": message})
        attempt(answers.after.get(cell.id, []))
    return tests
