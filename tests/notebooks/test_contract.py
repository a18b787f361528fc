"""Every stored notebook has the form that lets nbval compare all of it, and opens the same way."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import repository
import yaml
from execution import ROOT, chapters, code_cells
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from output_contract import EXPLORABLE, breaches, exemptions, normalised, text

# Cells whose outputs nbval does not compare, in the whole book. Live widgets are the only excuse.
EXEMPTIONS = 0

each_chapter = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


@pytest.fixture
def chapter(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@each_chapter
def test_outputs_can_be_compared_on_any_machine(chapter: NotebookNode) -> None:
    found = breaches(chapter)
    assert not found, "run `make refresh`, or mend the cell:\n" + "\n".join(found)


@each_chapter
def test_the_file_is_what_refreshing_writes(path: Path, chapter: NotebookNode) -> None:
    assert path.read_text(encoding="utf-8") == text(normalised(chapter)), "run `make refresh`"


@each_chapter
def test_the_first_cell_is_the_one_that_the_configuration_implies(chapter: NotebookNode) -> None:
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    cell = code_cells(chapter)[0]
    assert cell.source == repository.first_cell(url), "run `make repository`"
    assert "first-cell" in cell.metadata.get("tags", [])


def test_no_more_cells_are_exempt_from_comparison_than_were_agreed() -> None:
    exempt = {
        path.name: markers
        for path in chapters()
        if (markers := exemptions(nbformat.read(path, as_version=4)))
    }
    assert sum(map(len, exempt.values())) == EXEMPTIONS, exempt


def test_a_good_notebook_has_no_breaches(recorded: NotebookNode) -> None:
    assert breaches(recorded) == []
    assert exemptions(recorded) == []


# ——— each breach is seen, and named ———


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


def print_more_digits(notebook: NotebookNode) -> None:
    cell(notebook, "printed").outputs[0].text = "the first factor is 0.236148\n"


def say_more_digits(notebook: NotebookNode) -> None:
    cell(notebook, "sentence").outputs[0].data["text/markdown"] = "It shrinks by 12.3456."


def print_a_path(notebook: NotebookNode) -> None:
    cell(notebook, "printed").outputs[0].text = "saved /home/someone/figure.svg\n"


def print_an_address(notebook: NotebookNode) -> None:
    cell(notebook, "printed").outputs[0].text = "<object at 0x7f3a2c1d5e90>\n"


def print_in_pieces(notebook: NotebookNode) -> None:
    outputs = cell(notebook, "printed").outputs
    outputs.append(new_output("stream", name="stdout", text="and more\n"))


def warn(notebook: NotebookNode) -> None:
    outputs = cell(notebook, "printed").outputs
    outputs.append(new_output("stream", name="stderr", text="UserWarning: careful\n"))


def fail(notebook: NotebookNode) -> None:
    cell(notebook, "printed").outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]


def store_a_raster_image(notebook: NotebookNode) -> None:
    cell(notebook, "figure").outputs[0].data["image/png"] = "iVBORw0KGgo="


def lose_the_alt_text(notebook: NotebookNode) -> None:
    figure = cell(notebook, "figure").outputs[0].data
    before, rest = figure["image/svg+xml"].split("<title>", 1)
    figure["image/svg+xml"] = before + "<title></title>" + rest.split("</title>", 1)[1]


def explore_more_digits(notebook: NotebookNode) -> None:
    payload = cell(notebook, "explorable").outputs[0].data[EXPLORABLE]
    payload["settings"][1] = payload["settings"][1].replace("0.5", "0.512345")


def explore_too_much(notebook: NotebookNode) -> None:
    payload = cell(notebook, "explorable").outputs[0].data[EXPLORABLE]
    payload["settings"] *= 100_000


def leave_a_cell_unrun(notebook: NotebookNode) -> None:
    cell(notebook, "printed").execution_count = None


def run_out_of_order(notebook: NotebookNode) -> None:
    first, second = cell(notebook, "printed"), cell(notebook, "figure")
    first.execution_count, second.execution_count = 3, 2


def leave_an_empty_cell(notebook: NotebookNode) -> None:
    notebook.cells.append(new_code_cell("", execution_count=6))


def keep_another_kernel(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"]["name"] = "conda-env-mine-py"


def keep_timings(notebook: NotebookNode) -> None:
    cell(notebook, "printed").metadata["execution"] = {"iopub.status.busy": "2026-01-01"}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (print_more_digits, r"\(printed\): printed text holds 0.236148, more than 4 significant"),
        (say_more_digits, r"\(sentence\): text/markdown holds 12.3456"),
        (print_a_path, r"\(printed\): printed text holds '/home/someone/figure.svg'"),
        (print_an_address, r"'at 0x7f3a2c1d5e90'"),
        (print_in_pieces, r"\(printed\): prints in pieces"),
        (warn, r"\(printed\): writes to stderr: 'UserWarning: careful'"),
        (fail, r"\(printed\): stores an error: ValueError"),
        (store_a_raster_image, r"\(figure\): stores image/png, which nbval does not compare"),
        (lose_the_alt_text, r"\(figure\): stores a figure without alternative text"),
        (explore_more_digits, r"\(explorable\): .* such as 0.512345"),
        (explore_too_much, r"\(explorable\): stores an explorable of [\d,]+ bytes"),
        (leave_a_cell_unrun, r"\(printed\): has not been run"),
        (run_out_of_order, r"execution counts are \[1, 3, 2, 4, 5\]"),
        (leave_an_empty_cell, r"is empty"),
        (keep_another_kernel, r"notebook metadata is .*conda-env-mine-py"),
        (keep_timings, r"metadata \['execution'\] is left from a run or an editor"),
    ],
)
def test_a_breach_is_named(recorded: NotebookNode, spoil: Callable[[NotebookNode], None], named: str) -> None:
    spoil(recorded)
    with pytest.raises(AssertionError, match=named):
        raise AssertionError("\n".join(breaches(recorded)))


@pytest.mark.parametrize(
    ("source", "tags"),
    [
        ("# NBVAL_IGNORE_OUTPUT\nprint(1)", []),
        ("print(1)  \n  # NBVAL_SKIP", []),
        ("print(1)", ["nbval-ignore-output"]),
        ("1 / 0", ["raises-exception"]),
    ],
)
def test_an_exemption_is_counted(recorded: NotebookNode, source: str, tags: list[str]) -> None:
    recorded.cells.append(new_code_cell(source, metadata={"tags": tags}))
    assert len(exemptions(recorded)) == 1
