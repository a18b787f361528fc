"""What a stored notebook looks like, so that nbval can compare all of it on any machine.

`normalised` gives a notebook that form; `breaches` says in words what keeps it from having it.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import nbformat
from nbformat import NotebookNode

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
KEPT_NOTEBOOK_METADATA = {"html_meta", "myst", "mystnb"}
KEPT_CELL_METADATA = {"editable", "mystnb", "nbgrader", "slideshow", "tags"}
KEPT_OUTPUT_METADATA = {"gradlib"}

EXPLORABLE = "application/vnd.gradlib.explorable+json"
PLAIN_TYPES = {"text/plain", "text/markdown", "text/latex", "text/html"}
DIGITS = 4
EXPLORABLE_BYTES = 250_000

# nbval compares no raster images, and leaves out what these markers say.
RASTER = {"image/png", "image/jpeg", "image/gif"}
EXEMPTION = re.compile(r"^\s*#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
EXEMPTING_TAG = re.compile(r"nbval-.*|raises-exception|skip-execution")

OF_ONE_MACHINE = re.compile(
    r"(?<![\w/])/(?:home|root|Users|tmp|usr|opt|work|content|private)/\S*"
    r"|[A-Z]:\\\S+|\S*site-packages\S*|\bat 0x[0-9a-f]{6,}"
)
DECIMAL = re.compile(r"(?<![\w./-])(\d+\.\d+)(?:e[+-]?\d+)?(?![\w/]|\.\d)")


def normalised(notebook: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook that holds nothing of the run but its outputs."""
    notebook = deepcopy(notebook)
    kept = {key: notebook.metadata[key] for key in KEPT_NOTEBOOK_METADATA & set(notebook.metadata)}
    notebook.metadata = nbformat.from_dict(METADATA | kept)
    notebook.nbformat_minor = 5
    for cell in notebook.cells:
        keep_only(cell.metadata, KEPT_CELL_METADATA)
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
        cell.outputs = merged_streams(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if "metadata" in output:
                keep_only(output.metadata, KEPT_OUTPUT_METADATA)
    return notebook


def text(notebook: NotebookNode) -> str:
    """The notebook as its file holds it."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def merged_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed in pieces: how often a kernel flushes differs from run to run."""
    merged: list[NotebookNode] = []
    first: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type == "stream" and output.name in first:
            first[output.name].text += output.text
        else:
            merged.append(output)
            if output.output_type == "stream":
                first[output.name] = output
    return merged


def keep_only(metadata: NotebookNode, names: set[str]) -> None:
    for name in set(metadata) - names:
        del metadata[name]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def breaches(notebook: NotebookNode) -> list[str]:
    """Every way in which the stored notebook breaks the contract; empty for a good one."""
    return [
        *metadata_breaches(notebook),
        *(
            f"cell {index} ({cell.get('id', 'no id')}): {breach}"
            for index, cell in enumerate(notebook.cells)
            if cell.cell_type == "code"
            for breach in [*cell_breaches(cell), *output_breaches(cell)]
        ),
        *count_breaches(notebook),
    ]


def metadata_breaches(notebook: NotebookNode) -> Iterator[str]:
    wanted = normalised(notebook)
    if notebook.metadata != wanted.metadata:
        yield f"notebook metadata is {dict(notebook.metadata)}, not {dict(wanted.metadata)}"
    for index, (cell, good) in enumerate(zip(notebook.cells, wanted.cells, strict=True)):
        if extra := set(cell.metadata) - set(good.metadata):
            yield f"cell {index}: metadata {sorted(extra)} is left from a run or an editor"


def count_breaches(notebook: NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)} in order"


def cell_breaches(cell: NotebookNode) -> Iterator[str]:
    if not cell.source.strip():
        yield "is empty"
    if cell.execution_count is None:
        yield "has not been run, so nbval compares nothing"
    if cell.outputs != merged_streams(cell.outputs):
        yield "prints in pieces"


def output_breaches(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"stores an error: {output.ename}"
            continue
        if output.output_type == "stream":
            if output.name == "stderr":
                yield f"writes to stderr: {output.text.strip()[:80]!r}"
            yield from text_breaches("printed text", output.text)
            continue
        if extra := set(output.metadata) - KEPT_OUTPUT_METADATA:
            yield f"output metadata {sorted(extra)} is left from a run"
        if drawn := RASTER & set(output.data):
            yield f"stores {', '.join(drawn)}, which nbval does not compare; figures are SVG"
        for kind in PLAIN_TYPES & set(output.data):
            yield from text_breaches(kind, output.data[kind])
        if "image/svg+xml" in output.data:
            yield from figure_breaches(output.data["image/svg+xml"])
        if EXPLORABLE in output.data:
            yield from explorable_breaches(output.data[EXPLORABLE])


def text_breaches(where: str, written: str) -> Iterator[str]:
    if found := OF_ONE_MACHINE.search(written):
        yield f"{where} holds {found.group()!r}, which differs between machines"
    for decimal in DECIMAL.findall(written):
        if significant(decimal) > DIGITS:
            yield f"{where} holds {decimal}, more than {DIGITS} significant digits"


def significant(decimal: str) -> int:
    """How many digits a number shows: '0.0120' shows 2, since zeros at the ends may only place it."""
    return len(re.sub(r"e.*|[-.]", "", decimal).strip("0"))


def figure_breaches(svg: str) -> Iterator[str]:
    if not re.search(r"<svg[^>]*\srole=\"img\"", svg) or not re.search(r"<title>\s*[^<\s]", svg):
        yield "stores a figure without alternative text"
    if "<image" in svg:
        yield "stores a figure with a raster image in it, which differs between machines"
    if re.search(r"<dc:date>", svg):
        yield "stores a figure with the date of its making"


def explorable_breaches(explorable: Any) -> Iterator[str]:
    size = len(json.dumps(explorable))
    if size > EXPLORABLE_BYTES:
        yield f"stores an explorable of {size:,} bytes, more than {EXPLORABLE_BYTES:,}"
    data = json.dumps([explorable.get(part) for part in ("columns", "settings", "summaries")])
    long = [decimal for decimal in re.findall(r"\d+\.\d+", data) if significant(decimal) > DIGITS]
    if long:
        yield (
            f"stores an explorable with {len(long)} numbers of more than {DIGITS} "
            f"significant digits, such as {long[0]}"
        )


def exemptions(notebook: NotebookNode) -> list[str]:
    """The markers that keep nbval from comparing a cell."""
    return [
        marker
        for cell in code_cells(notebook)
        for marker in [
            *EXEMPTION.findall(cell.source),
            *filter(EXEMPTING_TAG.fullmatch, cell.metadata.get("tags", [])),
        ]
    ]
