"""Name the repository that the book is published from: python scripts/repository.py URL

The address goes into _config.yml, which then shows launch buttons, and into the first cell of every
notebook, which then installs gradlib from there in Colab. An empty address takes both back.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from execution import code_cells
from output_contract import text

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "_config.yml"

# What the theme can make links for, and what Colab and Binder can open.
ADDRESS = re.compile(r"https://(github\.com|gitlab\.com)/[\w.-]+/[\w.-]+")
SETTING = re.compile(r'(?<=^repository:\n  url: )"[^"\n]*"', re.MULTILINE)

UNPUBLISHED = """\
try:
    import gradlib
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "gradlib is not installed. In the folder that holds pyproject.toml "
        "run: pip install -c constraints.txt -e ."
    ) from None
gradlib.setup()"""

PUBLISHED = """\
try:
    import gradlib
except ModuleNotFoundError:  # as in Colab: install it from the book's repository
    import subprocess
    import sys

    source = "gradlib @ git+{url}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    import gradlib
gradlib.setup()"""


def address(given: str) -> str:
    """`given` in the one form that is written, or empty; ends the program if it is neither."""
    url = given.strip().removesuffix("/").removesuffix(".git")
    if url and not ADDRESS.fullmatch(url):
        sys.exit(
            f"make repository: {given!r} is not the address of a repository. "
            "Give it as https://github.com/OWNER/NAME (or gitlab.com), or give an empty URL."
        )
    return url


def first_cell(url: str) -> str:
    return PUBLISHED.format(url=url) if url else UNPUBLISHED


def with_first_cell(path: Path, source: str) -> str:
    """The text of the notebook at `path` with `source` as its first code cell."""
    notebook = nbformat.read(path, as_version=4)
    cell = code_cells(notebook)[0]
    if "first-cell" not in cell.metadata.get("tags", []):
        sys.exit(f"make repository: the first code cell of {path.name} has no tag first-cell.")
    cell.source = source
    return text(notebook)


def replace(contents: dict[Path, str]) -> None:
    """Write all files next to their places first, so that a full disk leaves none half changed."""
    written = {path: path.with_name(path.name + ".new") for path in contents}
    try:
        for path, new in written.items():
            new.write_text(contents[path], encoding="utf-8")
        for path, new in written.items():
            os.replace(new, path)
    finally:
        for new in written.values():
            new.unlink(missing_ok=True)


def main(given: str) -> None:
    url = address(given)
    config, settings = SETTING.subn(f'"{url}"', CONFIG.read_text(encoding="utf-8"))
    if settings != 1:
        sys.exit('make repository: _config.yml has no line `  url: "…"` right below `repository:`.')
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    contents = {path: with_first_cell(path, first_cell(url)) for path in notebooks}
    contents[CONFIG] = config
    changed = {
        path: content for path, content in contents.items() if content != path.read_text(encoding="utf-8")
    }
    replace(changed)
    print(f"The repository is {url or 'not named'}; {len(changed)} files changed.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
