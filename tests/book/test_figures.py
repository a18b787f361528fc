"""Drawings of another book that is built where gradlib is installed."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
from small_book import build


def test_another_book_keeps_its_own_drawings(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><title>A line</title></svg>'
    output = new_output("display_data", {"image/svg+xml": svg})
    notebook = new_notebook(cells=[new_code_cell("draw()", outputs=[output], execution_count=1)])
    index = "# Another book\n\n```{toctree}\npage\n```\n"
    pages = {"index.md": index, "page.ipynb": nbformat.writes(notebook)}
    build(tmp_path, pages, extensions=["myst_nb"], nb_execution_mode="off")
    assert "<img" in (tmp_path / "html" / "page.html").read_text()
