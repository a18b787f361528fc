"""The built book on a local server, and a real browser."""

from collections.abc import Iterator
from pathlib import Path

import browser as chromium
import pytest
from playwright.sync_api import Browser, sync_playwright
from visit import HTML, Visit, Visitor, pages, server, visits


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book."""
    assert (HTML / "index.html").is_file(), "there is no built book; run `make book` first"
    return HTML


@pytest.fixture(scope="session")
def site(html: Path) -> Iterator[str]:
    """Address of a server that has the built book."""
    with server(html) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = chromium.start(playwright)
        assert started is not None, chromium.HELP
        yield started
        started.close()


# A group stays on one worker, so that a page is opened once for all that looks at it.
@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in pages()]
)
def name(request: pytest.FixtureRequest) -> str:
    """Each page of the book in turn."""
    return request.param


@pytest.fixture(scope="session")
def downloaded(name: str, html: Path, browser: Browser) -> Iterator[Visit]:
    """The page as a file of the downloaded book, double-clicked; once for all tests, in their order."""
    with visits(browser, html.as_uri()) as open_page:
        yield open_page(name)


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Visitor]:
    with visits(browser, site) as open_page:
        yield open_page
