"""Build the book's HTML from the outputs stored in the notebooks; any warning is an error."""

import os
import shutil
import sys
from contextlib import redirect_stdout

import nbformat
from execution import ROOT, chapters, code_cells
from jupyter_book.cli.main import main as jupyter_book

HTML = ROOT / "_build" / "html"
READ = ROOT / "_build" / ".doctrees"
"""what Sphinx remembers of pages that it has read"""


def refuse_notebooks_without_outputs() -> None:
    """An editor may save a notebook without its outputs; its page would be full of holes."""
    for path in chapters():
        if any(cell.execution_count is None for cell in code_cells(nbformat.read(path, as_version=4))):
            sys.exit(f"notebooks/{path.name} has cells that were not run; run `make refresh`")


def main() -> None:
    refuse_notebooks_without_outputs()
    print("Building the book, which takes half a minute", flush=True)
    options = ["-q", "-W", "--keep-going"]
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            jupyter_book(["build", *options, str(ROOT)], standalone_mode=False)
    except (RuntimeError, SystemExit):
        # A page is warned about only when it is read: the next build would keep silent, and pass.
        shutil.rmtree(READ, ignore_errors=True)
        sys.exit("The book was not built: the warnings above say why.")
    print(f"Open {HTML / 'index.html'}")


if __name__ == "__main__":
    main()
