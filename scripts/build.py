"""Build the book's HTML from the outputs stored in the notebooks; any warning is an error."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from jupyter_book.cli.main import main as jupyter_book

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"


def main() -> None:
    print("Building the book", flush=True)
    options = ["-q", "-W", "--keep-going"]
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            jupyter_book(["build", *options, str(ROOT)], standalone_mode=False)
    except (RuntimeError, SystemExit):
        sys.exit("The book was not built: the warnings above say why.")
    print(f"Open {HTML / 'index.html'}")


if __name__ == "__main__":
    main()
