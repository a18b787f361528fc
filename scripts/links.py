"""Check the links of the built book that stay inside it, and list those that leave it.

The list, _build/external-links.txt, is for a check of its own: other people's sites are up or down
for reasons that have nothing to do with a change to this book.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from execution import ROOT

HTML = ROOT / "_build" / "html"
LIST = ROOT / "_build" / "external-links.txt"
LINKING = {"a": "href", "link": "href", "img": "src", "script": "src"}
FAILED = {"problematic", "katex-error"}  # classes of what docutils and KaTeX could not make sense of


class Page(HTMLParser):
    """What a page links to, can be linked to at, and left without a link."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.anchors: set[str] = set()
        self.unresolved: list[str] = []
        self._links_open = 0
        self._awaits_text = False
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors.add(values.get("id") or "")
        if address := values.get(LINKING.get(tag, "")):
            self.addresses.add(address)
        self._links_open += tag == "a"
        classes = set((values.get("class") or "").split())
        self._awaits_text |= bool(classes & FAILED or ("xref" in classes and not self._links_open))

    def handle_endtag(self, tag: str) -> None:
        self._links_open -= tag == "a"

    def handle_data(self, data: str) -> None:
        if self._awaits_text and data.strip():
            self.unresolved.append(data)
            self._awaits_text = False


parsed = cache(Page)


def pages(html: Path = HTML) -> list[Path]:
    return sorted(page for page in html.rglob("*.html") if "_static" not in page.parts)


def external(html: Path = HTML) -> dict[str, list[str]]:
    """Each address outside the book, and the pages that name it."""
    found = defaultdict(list)
    for page in pages(html):
        for address in parsed(page).addresses:
            if urlsplit(address).scheme in ("http", "https"):
                found[urldefrag(address).url].append(page.relative_to(html).as_posix())
    return dict(sorted(found.items()))


def broken(html: Path = HTML) -> list[str]:
    """Every link inside the book that leads nowhere, and every reference that became no link."""
    return [
        f"{page.relative_to(html)}: {complaint}"
        for page in pages(html)
        for complaint in [
            *dead_ends(page),
            *(f"'{text[:60]}' is not resolved" for text in parsed(page).unresolved),
        ]
    ]


def dead_ends(page: Path) -> Iterator[str]:
    for address in sorted(parsed(page).addresses):
        if urlsplit(address).scheme:
            continue
        path, fragment = urldefrag(urljoin(page.as_uri(), address))
        target = Path(unquote(urlsplit(path).path))
        if not target.is_file():
            yield f"{address} is not there"
        elif target.suffix == ".html" and unquote(fragment) not in parsed(target).anchors | {""}:
            yield f"{address} has no such place on its page"


def write_list(html: Path = HTML) -> None:
    LIST.write_text("".join(f"{address}\n" for address in external(html)), encoding="utf-8")


def main() -> None:
    write_list()
    print(f"Addresses outside the book are listed in {LIST.relative_to(ROOT)}")
    if complaints := broken():
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
