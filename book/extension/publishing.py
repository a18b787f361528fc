"""How pages present themselves elsewhere: a description, launch buttons, the address of the book.

The last two follow from the address of the repository, which `make repository URL=…` sets. Without
one, which is how the book comes, no link leads to a repository that nobody owns.
"""

import re
from itertools import islice
from textwrap import shorten
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

REPOSITORY = re.compile(r"https://(?P<host>github|gitlab)\.com/(?P<owner>[^/]+)/(?P<name>[^/]+)")
LAUNCH = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}
COLAB = {"colab_url": "https://colab.research.google.com"}  # opens notebooks from GitHub alone


def publish(app: Sphinx, config: Config) -> None:
    theme = config.html_theme_options
    repository = REPOSITORY.fullmatch(theme.get("repository_url", ""))
    if repository is None:
        return
    host, owner, name = repository.group("host", "owner", "name")
    theme["launch_buttons"] = LAUNCH | (COLAB if host == "github" else {})
    theme["use_repository_button"] = True
    # Where Pages of that host puts a book; cards on other sites need a whole address.
    home = f"{owner.lower()}.{host}.io"
    folder = "" if name.lower() == home else f"{name}/"
    config.html_baseurl = config.html_baseurl or f"https://{home}/{folder}"
    config.html_context["address"] = config.html_baseurl


def describe(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Search engines and cards show how a page begins; the theme would begin with title and costs."""
    if doctree is not None:
        paragraphs = (text for text in doctree.findall(nodes.paragraph) if not text["classes"])
        beginning = " ".join(text.astext() for text in islice(paragraphs, 5))
        context["page_description"] = shorten(beginning, 160, placeholder=" …")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe, priority=501)  # after the theme's own
    app.connect("config-inited", publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
