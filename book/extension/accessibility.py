"""What docutils and MyST-NB leave in the way of a screen reader, taken out of the pages."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

MENDED = {
    # A list holds list items; the role that docutils writes is deprecated in ARIA 1.3.
    'role="doc-biblioentry"': 'role="listitem"',
    # A misconception, a note: told apart from the text around it.
    '<div class="admonition': '<div role="note" class="admonition',
    # The words on the switch say more: show the code, hide the code.
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def mend(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    for fault, right in MENDED.items():
        context["body"] = context.get("body", "").replace(fault, right)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", mend)
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
