"""The line under a chapter's title: minutes from the words, seconds and memory from what was measured."""

import json
import re
from pathlib import Path

import pytest
from small_book import build

SIX_HUNDRED_WORDS = "word " * 600
UNREAD = "```python\n" + "code = 1\n" * 500 + "```\n"


def cost(folder: Path, text: str, times: dict[str, object] | None = None) -> str | None:
    """The line on the page of the chapter `one`, whose text is `text`."""
    pages = {
        "index.md": "# Book\n\n```{toctree}\nnotebooks/one\n```\n",
        "notebooks/one.md": f"# One\n\n{text}",
    }
    if times is not None:
        pages["book/run-times.json"] = json.dumps(times)
    build(folder, pages, extensions=["myst_nb", "gradlib_book.chapter"], nb_execution_mode="off")
    line = re.search(r'<p class="chapter-cost">(.*?)</p>', (folder / "html/notebooks/one.html").read_text())
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
