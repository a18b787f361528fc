"""A Sphinx project of a few lines, for tests of what one extension does."""

import io
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace


def build(folder: Path, pages: dict[str, str], **settings: object) -> str:
    """Write the files `pages` into folder/source, build them into folder/html; returns the warnings."""
    for name, text in pages.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    warnings = io.StringIO()
    with docutils_namespace():
        Sphinx(
            folder / "source",
            None,
            folder / "html",
            folder / "doctrees",
            "html",
            settings,
            status=None,
            warning=warnings,
        ).build()
    return warnings.getvalue()
