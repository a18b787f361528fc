"""Run the notebooks again and store their outputs: python scripts/refresh.py [notebook …]

Without arguments, all chapters. When a cell fails, no notebook is changed.
"""

import asyncio
import sys
from pathlib import Path

import nbformat
from execution import NotebookError, Run, chapters, code_cells, run_all
from output_contract import normalised, text
from tqdm import tqdm


def main(arguments: list[str]) -> None:
    paths = [Path(argument).resolve() for argument in arguments] or chapters()
    if missing := [path for path in paths if not path.is_file()]:
        sys.exit(f"There is no notebook {', '.join(map(str, missing))}.")
    cells = sum(len(code_cells(nbformat.read(path, as_version=4))) for path in paths)
    with tqdm(total=cells, desc=f"Running {len(paths)} notebooks", unit=" cells") as progress:
        results = asyncio.run(run_all(paths, after_cell=progress.update))

    if failures := [result for result in results if isinstance(result, NotebookError)]:
        sys.exit("\n".join(map(str, failures)) + "\nNothing was stored.")
    for run in results:
        assert isinstance(run, Run)
        store(run)


def store(run: Run) -> None:
    before, after = run.path.read_text(encoding="utf-8"), text(normalised(run.notebook))
    if before != after:
        run.path.write_text(after, encoding="utf-8")
    memory = "" if run.peak_bytes is None else f"{run.peak_bytes / 1e9:.2f} GB"
    changed = "outputs changed" if before != after else "as before"
    print(f"{run.path.name:<40} {run.seconds:5.1f} s {memory:>9}  {changed}")


if __name__ == "__main__":
    main(sys.argv[1:])
