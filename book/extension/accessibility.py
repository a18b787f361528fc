"""What the theme and docutils leave in the way of a screen reader, taken out of the pages."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def mend_lists_of_references(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """A list holds list items; doc-biblioentry, which docutils writes, is deprecated in ARIA 1.3."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", mend_lists_of_references)
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
