"""Check the links of the built book that stay inside it, and list those that leave it.

The list, _build/external-links.txt, is for a check of its own: other people's sites are up or down
for reasons that have nothing to do with a change to this book.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup
from execution import ROOT

HTML = ROOT / "_build" / "html"
LIST = ROOT / "_build" / "external-links.txt"
LINKING = {"a": "href", "link": "href", "img": "src", "script": "src"}


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def pages(html: Path = HTML) -> list[Path]:
    return sorted(page for page in html.rglob("*.html") if "_static" not in page.parts)


def links(page: Path) -> Iterator[str]:
    """Every address that a page names, as the page writes it."""
    for element in parsed(page).find_all(LINKING):
        if address := element.get(LINKING[element.name]):
            yield address


def external(html: Path = HTML) -> dict[str, list[str]]:
    """Each address outside the book, and the pages that name it."""
    found = defaultdict(list)
    for page in pages(html):
        for address in links(page):
            if urlsplit(address).scheme in ("http", "https"):
                found[urldefrag(address).url].append(page.relative_to(html).as_posix())
    return dict(sorted(found.items()))


def broken(html: Path = HTML) -> list[str]:
    """Every link inside the book that leads nowhere, and every reference that became no link."""
    return [
        f"{page.relative_to(html)}: {complaint}"
        for page in pages(html)
        for complaint in [*dead_ends(page), *unresolved(page)]
    ]


def dead_ends(page: Path) -> Iterator[str]:
    for address in set(links(page)):
        if urlsplit(address).scheme:
            continue
        path, fragment = urldefrag(urljoin(page.as_uri(), address))
        target = Path(unquote(urlsplit(path).path))
        if not target.is_file():
            yield f"{address} is not there"
        elif fragment and target.suffix == ".html" and not has_anchor(target, unquote(fragment)):
            yield f"{address} has no such place on its page"


def has_anchor(page: Path, name: str) -> bool:
    return parsed(page).find(id=name) is not None


def unresolved(page: Path) -> Iterator[str]:
    """Terms, citations and cross-references that Sphinx left as plain text."""
    for reference in parsed(page).select("span.xref, code.xref, .problematic, .katex-error"):
        if reference.find_parent("a") is None:
            yield f"'{reference.get_text()[:60]}' is not resolved"


def write_list(html: Path = HTML) -> None:
    LIST.write_text("".join(f"{address}\n" for address in external(html)), encoding="utf-8")


def main() -> None:
    write_list()
    print(f"Addresses outside the book are listed in {LIST.relative_to(ROOT)}")
    if complaints := broken():
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
