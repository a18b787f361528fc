"""Figures: SVG set into the page, in the page's colours and font, with its caption.

A figure is two outputs of a cell, as gradlib.plot.show publishes them: an image/svg+xml, and the
caption as text/markdown whose output metadata says {"gradlib": "caption"}.
"""

import re
from typing import Any

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

from gradlib.plot import COLOURS

SVG = "image/svg+xml"
NAMES = {value: name for name, value in COLOURS.items()}
COLOUR = re.compile("|".join(map(re.escape, NAMES)) + r"(?![0-9a-f])", re.IGNORECASE)
REFERENCE = re.compile(r'(?P<before>href="#|url\(#)(?P<id>[^")]+)')
# What the drawing's style sheet said, for the drawing alone; and the font that the page is set in.
ROOT = 'stroke-linejoin="round" stroke-linecap="butt" style="font-family: var(--gl-sans, sans-serif)"'


class drawing(nodes.General, nodes.Element):  # noqa: N801 (docutils calls visit_drawing by this name)
    """HTML for the page. The children are its words, for the search index alone. Attributes: html."""


class caption_text(nodes.General, nodes.Element):  # noqa: N801
    """A drawing's caption."""


class captioned(nodes.General, nodes.Element):  # noqa: N801 (nodes.figure wants a number, or warns)
    """A drawing and its caption."""


def words(*texts: str) -> list[nodes.Node]:
    """The children of a drawing."""
    return [nodes.paragraph(text, text) for text in texts]


def inlined(svg: str, prefix: str) -> str:
    """`svg` as part of a page: the page's colours, its font, and ids that begin with `prefix`.

    Everything that reached beyond the drawing goes: its style sheet (which would style the whole
    page), its metadata, and ids that nothing refers to.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = svg.replace("<svg", f"<svg {ROOT}", 1)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = COLOUR.sub(lambda match: f"var(--gl-{NAMES[match[0].lower()]}, {match[0]})", svg)
    used = {match["id"] for match in REFERENCE.finditer(svg)}
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = REFERENCE.sub(rf"\g<before>{prefix}-\g<id>", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)


def alternative(svg: str) -> str:
    """The drawing's title: what it shows, in words."""
    title = re.search(r"<title>(.*?)</title>", svg, flags=re.DOTALL)
    return title[1] if title else ""


class Figures:
    """MyST-NB's renderer of drawings and of their captions."""

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Node] | None:
        # MyST-NB offers every drawing of every book in this environment.
        environment = getattr(renderer.renderer.document.settings, "env", None)
        if environment is None or "gradlib_book" not in environment.app.extensions:
            return None
        if data.mime_type == SVG and not inline:
            html = inlined(data.string, prefix=f"cell-{data.cell_index}-{data.output_index}")
            return [drawing("", *words(alternative(html)), html=html)]
        if data.mime_type == "text/markdown" and data.output_metadata.get("gradlib") == "caption":
            return [caption_text("", *renderer.render_markdown(data))]
        return None


class JoinCaptions(SphinxPostTransform):
    """Makes one <figure> of a drawing and the caption that follows it."""

    default_priority = 5  # just after MyST-NB chose which form of each output this builder gets
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for caption in list(self.document.findall(caption_text)):
            place = caption.parent.index(caption)
            before = caption.parent[place - 1] if place else None
            if isinstance(before, drawing):
                before.parent.remove(before)
                figure = captioned()
                caption.replace_self(figure)
                figure += [before, caption]


def visit_drawing(writer: HTML5Translator, node: drawing) -> None:
    writer.body.append(node["html"])
    raise nodes.SkipNode


def visit_captioned(writer: HTML5Translator, node: captioned) -> None:
    writer.body.append('<figure class="gl-figure">')


def depart_captioned(writer: HTML5Translator, node: captioned) -> None:
    writer.body.append("</figure>")


def visit_caption_text(writer: HTML5Translator, node: caption_text) -> None:
    node["tag"] = "figcaption" if isinstance(node.parent, captioned) else "div"
    writer.body.append(f'<{node["tag"]} class="figure-caption">')


def depart_caption_text(writer: HTML5Translator, node: caption_text) -> None:
    writer.body.append(f"</{node['tag']}>")


def pass_over(writer: nodes.NodeVisitor, node: nodes.Element) -> None:
    """Builders other than HTML write what is inside."""


def setup(app: Sphinx) -> dict[str, bool]:
    others: dict[str, Any] = dict.fromkeys(("latex", "text", "man", "texinfo"), (pass_over, pass_over))
    app.add_node(drawing, html=(visit_drawing, None), **others)
    app.add_node(captioned, html=(visit_captioned, depart_captioned), **others)
    app.add_node(caption_text, html=(visit_caption_text, depart_caption_text), **others)
    app.add_post_transform(JoinCaptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
