"""`make refresh` stores what a run gives, in one form, or stores nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

Refresh = Callable[..., CompletedProcess[str]]


def test_refreshing_twice_changes_nothing(refresh: Refresh, recorded_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "again.ipynb"
    path.write_bytes(recorded_file.read_bytes())
    assert "as before" in refresh(path).stdout
    assert path.read_bytes() == recorded_file.read_bytes()


def test_what_an_editor_or_a_run_leaves_behind_is_removed(
    refresh: Refresh, recorded_file: Path, recorded: NotebookNode, tmp_path: Path
) -> None:
    recorded.metadata["language_info"]["version"] = "3.8.1"
    recorded.metadata["kernelspec"]["name"] = "my-own-kernel"
    for count, cell in enumerate(recorded.cells):
        cell.metadata["ExecuteTime"] = {"start_time": "2026-01-01T00:00:00"}
        if cell.cell_type == "code":
            cell.execution_count = 40 + count
            cell.outputs = []
    path = tmp_path / "untidy.ipynb"
    nbformat.write(recorded, path)
    assert refresh(path).returncode == 0
    assert path.read_bytes() == recorded_file.read_bytes()


def test_cells_keep_their_ids_and_count_from_one(unrun: NotebookNode, recorded: NotebookNode) -> None:
    assert [cell.id for cell in recorded.cells] == [cell.id for cell in unrun.cells]
    counts = [cell.execution_count for cell in recorded.cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, 5]


def test_what_was_printed_in_pieces_is_stored_whole(recorded: NotebookNode) -> None:
    (printed,) = recorded.cells[2].outputs
    assert printed.text == "the first factor is 0.2361\n"


def test_a_failing_cell_is_named_and_no_notebook_is_changed(
    refresh: Refresh, recorded_file: Path, unrun: NotebookNode, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.ipynb", tmp_path / "bad.ipynb"
    good.write_text(recorded_file.read_text().replace("print(0.2361)", "print(0.2362)"))
    unrun.cells.append(new_code_cell("1 / 0", id="the-culprit"))
    nbformat.write(unrun, bad)
    before = good.read_bytes(), bad.read_bytes()

    result = refresh(good, bad)

    assert result.returncode != 0
    assert "bad.ipynb, cell 6 (the-culprit)" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert "Nothing was stored" in result.stderr
    assert (good.read_bytes(), bad.read_bytes()) == before


def test_a_notebook_that_does_not_exist_is_named(refresh: Refresh) -> None:
    assert "There is no notebook" in refresh(Path("missing.ipynb")).stderr


def test_an_explorable_is_stored_without_the_page_that_a_person_at_a_kernel_sees(
    recorded: NotebookNode,
) -> None:
    (output,) = recorded.cells[5].outputs
    assert "text/html" not in json.dumps(output)
