"""For students: run a notebook from top to bottom as it is, and say which public checks pass.

It runs your own code on your own machine, as Jupyter would. Marks come from more checks than these.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from gradlib_homework.assignment import NotANotebook, read_notebook


def try_out(path: Path) -> bool:
    """Print what each public check found. Returns whether all of them passed."""
    notebook = read_notebook(path.read_bytes())
    for cell in notebook.cells:  # a cell may fail, and the next ones still run
        cell.metadata.setdefault("tags", []).append("raises-exception")
    quietly = ["--log-level=ERROR"]
    NotebookClient(notebook, timeout=300, extra_arguments=quietly).execute(cwd=path.parent)
    passed = 0
    checks = [cell for cell in notebook.cells if is_check(cell)]
    if not checks:
        raise NotANotebook("it has lost what marks its checks; run its cells one by one instead")
    for cell in checks:
        errors = [output for output in cell.outputs if output.output_type == "error"]
        name = cell.metadata["nbgrader"]["grade_id"]
        print(f"{name}: {errors[0].evalue if errors else 'public checks passed'}")
        passed += not errors
    print(f"{passed} of {len(checks)} public checks passed. Your mark comes from more checks than these.")
    return passed == len(checks)


def is_check(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell tests something here: one of hidden tests alone is a comment by now."""
    marks = cell.metadata.get("nbgrader", {})
    code = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
    return bool(cell.cell_type == "code" and marks.get("grade") and not marks.get("solution") and code)
