"""The line under a chapter's title: minutes from the words, seconds and memory from what was measured."""

import io
import json
import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

SIX_HUNDRED_WORDS = "word " * 600
UNREAD = "```python\n" + "code = 1\n" * 500 + "```\n"


def cost(folder: Path, text: str, times: dict[str, object] | None = None) -> str | None:
    """The line on the page of the chapter `one`, whose text is `text`."""
    source = folder / "source"
    for part in ("notebooks", "book"):
        (source / part).mkdir(parents=True)
    (source / "index.md").write_text("# Book\n\n```{toctree}\nnotebooks/one\n```\n")
    (source / "notebooks" / "one.md").write_text(f"# One\n\n{text}")
    if times is not None:
        (source / "book" / "run-times.json").write_text(json.dumps(times))
    warnings = io.StringIO()
    settings = {"extensions": ["myst_nb", "gradlib_book.chapter"], "nb_execution_mode": "off"}
    with docutils_namespace():
        app = Sphinx(
            source,
            None,
            folder / "html",
            folder / "doctrees",
            "html",
            settings,
            status=None,
            warning=warnings,
        )
        app.build()
    page = (folder / "html" / "notebooks" / "one.html").read_text()
    line = re.search(r'<p class="chapter-cost">(.*?)</p>', page)
    assert "chapter-cost" not in (folder / "html" / "index.html").read_text()
    return line[1] if line else None


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("Short.", "1 minute to read at 200 words a minute"),
        (SIX_HUNDRED_WORDS + "\n\n" + UNREAD, "3 minutes to read at 200 words a minute"),
    ],
)
def test_minutes_count_what_is_read_and_no_code(text: str, minutes: str, tmp_path: Path) -> None:
    assert cost(tmp_path, text) == minutes


def test_what_was_measured_is_shown(tmp_path: Path) -> None:
    line = cost(tmp_path, "Short.", {"one": {"seconds": 6.4, "gigabytes": 0.46}})
    assert line == "1 minute to read at 200 words a minute · runs in 6 s, 0.5 GB on two cores"


def test_what_was_not_measured_is_not_shown(tmp_path: Path) -> None:
    line = cost(tmp_path, "Short.", {"another": {"seconds": 6.4, "gigabytes": 0.46}})
    assert line == "1 minute to read at 200 words a minute"
