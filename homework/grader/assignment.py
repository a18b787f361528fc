"""What an assignment asks, and which of a student's cells answer it.

An assignment is one notebook with nbgrader's cell metadata (schema 3). Its cells are the skeleton: given and
test cells always come from here, and a student's cells take their places in it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HOMEWORK = Path(__file__).resolve().parent.parent
MOST_BYTES = 20 << 20
"""of a notebook: pictures in its outputs included"""
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS.*?^[ \t]*### END HIDDEN TESTS[^\n]*\n?", re.M | re.S)
STUB = 'raise NotImplementedError("Not answered yet: write your answer here, in place of this line.")'
"""What the student version has in the place of a solution."""
TO_WRITE = "*Write your answer here, in place of this line.*"
"""likewise, where words are asked for"""
ANSWERS = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
HELPERS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
HEADING = re.compile(r"^## +(.+?)\s*$", re.M)


class NotANotebook(ValueError):
    """The reason why a file cannot be graded, in words for its author."""


@dataclass(frozen=True)
class Cell:
    """One cell of an assignment. kind: 'text', 'given', 'answer', 'test' or 'written'."""

    id: str
    kind: str
    source: str
    question: str
    """heading of the section that it stands in"""
    points: float = 0

    @property
    def shown(self) -> str:
        """What the student version shows of it."""
        return HIDDEN.sub("", self.source).strip()

    def hidden(self, line: int) -> bool:
        """Whether a line, counted from 1, is part of a hidden test."""
        return any(
            self.source.count("\n", 0, match.start()) < line <= self.source.count("\n", 0, match.end())
            for match in HIDDEN.finditer(self.source)
        )


@dataclass(frozen=True)
class Assignment:
    cells: list[Cell]
    names: dict[str, str]
    """each name that an answer binds: the id of that cell"""

    @property
    def graded(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind in ("test", "written")]

    @property
    def possible(self) -> float:
        return sum(cell.points for cell in self.graded)


@dataclass
class Answers:
    """A student's cells, in the places where they run."""

    before: list[str] = field(default_factory=list)
    at: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """id of an answer, or of a given cell that the student changed: sources that take its place"""
    after: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """id of a cell: sources of the student's own that follow it"""
    written: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def assignments() -> list[Path]:
    """The instructor's notebook of every assignment."""
    return sorted(path for path in HOMEWORK.glob("*/*.ipynb") if path.stem == path.parent.name)


def read_notebook(content: bytes) -> NotebookNode:
    """The notebook, as version 4. Raises NotANotebook."""
    if not content.strip():
        raise NotANotebook("the file is empty")
    if len(content) > MOST_BYTES:
        raise NotANotebook(f"the file is larger than {MOST_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old notebooks have no cell ids
            notebook = nbformat.reads(content.decode("utf-8-sig"), as_version=4)
        for cell in notebook.cells:
            if not isinstance(cell.source, str) or not isinstance(cell.metadata, dict):
                raise TypeError
    except Exception:
        raise NotANotebook("the file is not a Jupyter notebook") from None
    return notebook


def kind_of(cell: NotebookNode) -> str:
    marks = cell.metadata.get("nbgrader", {})
    grade, solution = marks.get("grade"), marks.get("solution")
    if grade or solution:
        return "written" if grade and solution else "test" if grade else "answer"
    return "given" if cell.cell_type == "code" else "text"


def read_assignment(content: bytes) -> Assignment:
    """Raises NotANotebook."""
    cells, names, question = [], {}, ""
    for node in read_notebook(content).cells:
        if node.cell_type == "markdown" and (heading := HEADING.search(node.source)):
            question = heading[1]
        marks = node.metadata.get("nbgrader", {})
        cell = Cell(
            id=marks.get("grade_id", node.get("id", "")),
            kind=kind_of(node),
            source=node.source,
            question=question,
            points=marks.get("points", 0) if marks.get("grade") else 0,
        )
        cells.append(cell)
        if cell.kind == "answer":
            kept = [part for part in ast.parse(cell.source).body if isinstance(part, ANSWERS)]
            # In one order in every process, since it decides the random numbers that a call meets.
            names.update(dict.fromkeys(sorted(bound(kept)), cell.id))
    return Assignment(cells, names)


def bound(body: Iterable[ast.stmt]) -> set[str]:
    """The names that statements bind where they stand: functions, classes, variables, imports."""
    found = set()
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.split(".")[0] for alias in statement.names}
        else:
            found |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return found


def used(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def statements(source: str) -> list[ast.stmt] | None:
    """Of a student's cell; None where it is no Python at all."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def names_bound_by(source: str) -> set[str]:
    """As `bound`, of a student's cell."""
    body = statements(source)
    return set(re.findall(r"^(?:def|class) +(\w+)", source, re.M)) if body is None else bound(body)


def place(assignment: Assignment, notebook: NotebookNode) -> Answers:
    """Find for each cell of a student's notebook where it runs.

    By the id that nbgrader wrote into it, else by its notebook id, else by its text. Where an answer has no
    such cell, or one that nobody filled in, by the names that it binds. Cells of the student's own follow the
    cell that they stand behind. So a notebook whose cells were copied, moved or added, or that lost its
    metadata on the way, runs as its author meant it. Words under an open question answer it, in any cell.

    Raises NotANotebook for one of something else.
    """
    known = [identify(assignment, node) for node in notebook.cells]
    if not is_of(assignment, notebook):
        raise NotANotebook(
            "this is the notebook of something else: it has few headings of this assignment, and few of the "
            "names that are asked for"
        )
    filled = {
        cell.id for cell, node in zip(known, notebook.cells, strict=True) if cell and STUB not in node.source
    }
    wanted = {name: id for name, id in assignment.names.items() if id not in filled}
    open_questions = {cell.question: cell.id for cell in assignment.cells if cell.kind == "written"}
    answers, last, question, elsewhere = Answers(), None, "", set[str]()
    for cell, node in zip(known, notebook.cells, strict=True):
        source, changed = node.source, cell and node.source.strip() != cell.shown
        last = cell.id if cell else last
        heading = HEADING.search(source) if node.cell_type == "markdown" else None
        question = cell.question if cell else heading[1] if heading else question
        if question in open_questions and (node.cell_type != "code" or statements(source) == []):
            id, words = open_questions[question], added(assignment, question, source)
            answers.written[id] = "\n\n".join(filter(None, (answers.written.get(id), words)))
        if node.cell_type != "code":
            continue
        if cell and cell.kind in ("given", "test") and changed:
            answers.remarks.append(f"The cell {cell.id} was changed; the one of the assignment counts.")
        if cell and (cell.kind == "answer" or (cell.kind == "given" and changed)):
            answers.at[cell.id].append(source)
        elif not cell or changed:  # a cell of the student's own, or an answer inside a test cell
            named = names_bound_by(source)
            if found := [wanted[name] for name in wanted if name in named]:
                answers.at[found[0]].append(source)
                elsewhere |= named
            elif not cell:
                (answers.after[last] if last else answers.before).append(source)
            elif cell.kind == "test":
                answers.before += new_helpers(cell, source)
    unanswered = {id for name, id in wanted.items() if name not in elsewhere}
    for id in answers.at.keys() - unanswered:  # a stub would undo the answer that stands elsewhere
        answers.at[id] = [source for source in answers.at[id] if STUB not in source]
    return answers


def is_of(assignment: Assignment, notebook: NotebookNode) -> bool:
    """Whether a notebook has at least half of the assignment's headings, or of the names that it asks for.

    Fewer are no sign: assignments share some of both.
    """
    headings = {cell.question for cell in assignment.graded}
    named = [names_bound_by(node.source) for node in notebook.cells if node.cell_type == "code"]
    there = set().union(*named) & set(assignment.names)
    text = "\n".join(node.source for node in notebook.cells if node.cell_type != "code")
    shared = headings.intersection(HEADING.findall(text))
    return 2 * len(there) >= len(assignment.names) or 2 * len(shared) >= len(headings)


def added(assignment: Assignment, question: str, source: str) -> str:
    """The lines that the assignment does not have under this heading."""
    ours = {
        line.strip()
        for cell in assignment.cells
        if cell.question == question and cell.kind != "written"
        for line in cell.shown.split("\n")
    }
    kept = [line for line in source.split("\n") if not line.strip() or line.strip() not in {*ours, TO_WRITE}]
    return "\n".join(kept).strip()


def new_helpers(cell: Cell, source: str) -> list[str]:
    """Imports and definitions that a student put into a cell of tests."""
    ours = {ast.dump(one) for one in ast.parse(cell.source).body}
    theirs = [one for one in statements(source) or [] if isinstance(one, HELPERS)]
    return [ast.unparse(one) for one in theirs if ast.dump(one) not in ours]


def identify(assignment: Assignment, node: NotebookNode) -> Cell | None:
    """The cell of the assignment that a student's cell is, or is a copy of."""
    marks = node.metadata.get("nbgrader")
    graded = marks.get("grade_id") if isinstance(marks, dict) else None
    ids = (graded, node.get("id"), node.metadata.get("id"))
    text = node.source.strip()
    by_id = (cell for id in ids for cell in assignment.cells if isinstance(id, str) and cell.id == id)
    by_text = (cell for cell in assignment.cells if text and cell.kind != "answer" and cell.shown == text)
    return next(by_id, None) or next(by_text, None)
