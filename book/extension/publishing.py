"""What follows from the address of the repository: launch buttons, and where the book is published.

Without an address, which is how the book comes, there is neither: no link leads to a repository that
nobody owns. `make repository URL=…` sets it.
"""

import re

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
    config.html_baseurl = config.html_baseurl or f"https://{owner.lower()}.{host}.io/{name}/"
    config.html_context["address"] = config.html_baseurl


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
