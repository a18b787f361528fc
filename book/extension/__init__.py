"""The book's own Sphinx extension: each part is an extension of one job, loaded from here."""

from sphinx.application import Sphinx

PARTS = ("chapter", "explorables", "figures", "mathematics", "quiz")


def setup(app: Sphinx) -> dict[str, bool]:
    for part in PARTS:
        app.setup_extension(f"gradlib_book.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
