"""A small assignment without PyTorch, and submissions made from it in a line."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gradlib_homework import release

Cells = list[nbformat.NotebookNode]

HONEST = {
    "scale": "def scale(values, factor):\n    return [factor * value for value in values]",
    "extent": "def extent(values):\n    return {'least': min(values), 'most': max(values)}",
}


def marked(cell: nbformat.NotebookNode, id: str, **marks: Any) -> nbformat.NotebookNode:
    cell.id = id
    cell.metadata["nbgrader"] = {
        "grade_id": id,
        "schema_version": 3,
        "task": False,
        "grade": False,
        "solution": False,
        "locked": not marks.get("solution"),
        **marks,
    }
    return cell


def solved(source: str) -> str:
    """The source with the body of its one function as a solution."""
    head, body = source.split("\n", 1)
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def hidden(source: str) -> str:
    return f"### BEGIN HIDDEN TESTS\n{source}\n### END HIDDEN TESTS"


def check(id: str, points: int, source: str) -> nbformat.NotebookNode:
    return marked(new_code_cell(source), id, grade=True, points=points)


def notebook(cells: Cells) -> bytes:
    return json.dumps(new_notebook(cells=cells)).encode()


def stripped(cells: Cells) -> Cells:
    """Without any metadata and ids, as some tools write a notebook."""
    return [
        new_markdown_cell(cell.source) if cell.cell_type == "markdown" else new_code_cell(cell.source)
        for cell in cells
    ]


def small_cells() -> Cells:
    """Two questions of ten points each and a written one; no PyTorch, so a sandbox starts at once."""
    return [
        new_markdown_cell("# Small", id="title"),
        marked(new_code_cell("import math\nimport random"), "setup"),
        new_markdown_cell("## Question 1: Scale", id="scale-text"),
        marked(new_code_cell(solved(HONEST["scale"])), "scale", solution=True),
        check("scale-public", 4, "assert scale([1, 2], 3) == [3, 6], 'twice is not enough'"),
        check(
            "scale-more",
            6,
            hidden(
                "values = [random.random() for _ in range(5)]\n"
                "found = scale(values, 7.0)\n"
                "assert len(found) == 5, 'five numbers go in and come out'\n"
                "assert all(math.isclose(a, 7.0 * b) for a, b in zip(found, values)), 'each is scaled'"
            ),
        ),
        new_markdown_cell("## Question 2: Extent", id="extent-text"),
        marked(new_code_cell(solved(HONEST["extent"])), "extent", solution=True),
        check("extent-public", 4, "assert extent([3, 1, 2]) == {'least': 1, 'most': 3}, 'least and most'"),
        check(
            "extent-more",
            6,
            hidden(
                "HIDDEN_VALUES = [random.gauss(0, 1) for _ in range(20)]\n"
                "assert extent(HIDDEN_VALUES) == {'least': min(HIDDEN_VALUES), 'most': max(HIDDEN_VALUES)}, "
                "'least and most of twenty'"
            ),
        ),
        new_markdown_cell("## Question 3: In words", id="words-text"),
        marked(
            new_markdown_cell("### BEGIN SOLUTION\nA full answer.\n### END SOLUTION"),
            "words",
            grade=True,
            solution=True,
            points=5,
            locked=False,
        ),
    ]


SMALL = notebook(small_cells())


def submission(answers: dict[str, str] | None = None) -> Cells:
    """Cells of the small assignment's student version, with right answers but for those given."""
    cells: Cells = release.student_version(SMALL, "small").cells
    for cell in cells:
        id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = {**HONEST, **(answers or {})}.get(id, cell.source)
    return cells


def marks(result: dict[str, Any]) -> dict[str, float]:
    """Points of each question of the small assignment."""
    found = {test["id"]: test["points"] for test in result["tests"]}
    return {name: found[f"{name}-public"] + found[f"{name}-more"] for name in HONEST}
