"""The book's own Sphinx extension: each part is an extension of one job, loaded from here."""

import hashlib
from pathlib import Path

from sphinx.application import Sphinx

import gradlib

PARTS = ("accessibility", "chapter", "explorables", "figures", "mathematics", "publishing", "quiz")


def source_digest() -> str:
    """Changes when the code that makes pages does; gradlib draws figures and explorables for them."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(gradlib.__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("gradlib_book_source", source_digest(), "env")  # if it changed, read all anew
    for part in PARTS:
        app.setup_extension(f"gradlib_book.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
