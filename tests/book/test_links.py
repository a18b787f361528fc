"""Nothing in the book points nowhere."""

from pathlib import Path

import links
import pytest


def test_links_anchors_citations_and_terms_lead_somewhere(html: Path) -> None:
    assert links.broken(html) == []


def test_addresses_outside_the_book_are_listed_for_a_check_of_their_own(html: Path) -> None:
    links.write_list(html)
    assert "https://arxiv.org/abs/1611.01232\n" in links.LIST.read_text()


GOOD = '<h1 id="top">Top</h1><a href="other.html#place">there</a> <a href="https://example.org/">out</a>'
OTHER = '<p id="place">here</p>'


@pytest.mark.parametrize(
    ("page", "complaints"),
    [
        (GOOD, []),
        ('<a href="gone.html">there</a>', ["page.html: gone.html is not there"]),
        ('<a href="#nowhere">up</a>', ["page.html: #nowhere has no such place on its page"]),
        ('<a href="other.html#gone">there</a>', ["page.html: other.html#gone has no such place on its page"]),
        ('<img src="lost.svg" alt="Lost">', ["page.html: lost.svg is not there"]),
        ('<span class="xref std std-term">chaos</span>', ["page.html: 'chaos' is not resolved"]),
    ],
)
def test_a_broken_link_is_named(page: str, complaints: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "other.html").write_text(OTHER)
    assert links.broken(tmp_path) == complaints
