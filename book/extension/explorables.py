"""Explorables: the measurements that gradlib.explore stored, as controls and a chart in the page."""

from typing import Any

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.config import Config

from gradlib import markup
from gradlib.explore import MIME
from gradlib_book.figures import SVG, drawing, inlined, words


class explorable(drawing):  # noqa: N801 (docutils names nodes so)
    """A drawing that needs explorable.js and explorable.css on its page."""


class Explorables:
    """MyST-NB's renderer of explorables. Builders that make no HTML take the output's text."""

    mime_priority_overrides = tuple((builder, MIME, 1) for builder in ("html", "dirhtml", "singlehtml"))

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Node] | None:
        if data.mime_type != MIME or inline:
            return None
        # The same output carries the picture that stands where no script runs.
        _, outputs = renderer.renderer.nb_client.code_cell_outputs(data.cell_index)
        bundle = next(o["data"] for o in outputs if o.get("data", {}).get(MIME) is data.content)
        picture = inlined(bundle[SVG], prefix=f"cell-{data.cell_index}-{data.output_index}")
        html = markup.element(bundle[MIME], picture)
        return [explorable("", *words(bundle["text/plain"]), html=html)]


def add_static_files(app: Sphinx, config: Config) -> None:
    config.html_static_path.append(str(markup.STATIC))


def add_to_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Only pages with an explorable load what it needs; explorable.js fetches the chart library later."""
    if doctree is not None and next(doctree.findall(explorable), None):
        app.add_css_file("explorable.css")
        app.add_js_file("explorable.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("gradlib_book.figures")
    app.connect("config-inited", add_static_files)
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
