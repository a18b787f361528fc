"""Run a notebook from top to bottom in a fresh kernel, and say what it cost."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2


class NotebookError(Exception):
    """A cell raised, or the kernel died; the message names notebook and cell."""


@dataclass(frozen=True)
class Run:
    """A notebook with the outputs of one run."""

    path: Path
    notebook: NotebookNode
    seconds: float
    """from starting the kernel to the last output"""
    peak_bytes: int | None
    """most memory that the kernel held at once; None where the system does not say"""


def chapters() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def peak_bytes(pid: int) -> int | None:
    """The high-water mark of a process's resident memory, which Linux keeps."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else None


async def run(path: Path, after_cell: Callable[[], None] = lambda: None) -> Run:
    """Execute the notebook at `path` as it is recorded. Raises NotebookError."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
    )
    began = time.monotonic()
    environment = {**os.environ, "GRADLIB_RECORD": "1"}
    async with client.async_setup_kernel(env=environment, stderr=subprocess.DEVNULL):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            try:
                await client.async_execute_cell(cell, index)
            except (CellExecutionError, DeadKernelError, TimeoutError) as error:
                raise NotebookError(f"{path.name}, cell {index} ({cell.id}):\n{error}") from None
            after_cell()
        return Run(
            path,
            notebook,
            seconds=time.monotonic() - began,
            peak_bytes=peak_bytes(client.km.provisioner.process.pid),
        )


async def run_all(
    paths: list[Path], after_cell: Callable[[], None], at_once: int = AT_ONCE
) -> list[Run | NotebookError]:
    """Run every notebook, `at_once` at a time; a failure stands in its place in the answer."""
    places = asyncio.Semaphore(at_once)

    async def one(path: Path) -> Run | NotebookError:
        async with places:
            try:
                return await run(path, after_cell)
            except NotebookError as failure:
                return failure

    return await asyncio.gather(*map(one, paths))
