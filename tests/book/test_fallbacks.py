"""The book without a server, without scripts, and on paper."""

from pathlib import Path

import pytest
from playwright.sync_api import Page
from visit import PHONE


@pytest.fixture
def explorables(name: str, html: Path) -> int:
    """How many explorables the page has."""
    return (html / f"{name}.html").read_text().count("<gradlib-explorable")


def test_a_page_needs_no_server(downloaded):
    """Nor do its explorables and quizzes; where the tests of controls came before, they were all moved."""
    assert (downloaded.offsite, downloaded.errors) == ([], [])


def test_on_paper_explorables_are_figures(downloaded, explorables):
    downloaded.page.emulate_media(media="print")
    assert_only_figures(downloaded.page, explorables)


def test_without_scripts_figures_and_answers_stand_for_what_moves(name, visit, explorables):
    page = visit(name, scripts=False).page
    assert_only_figures(page, explorables)
    for quiz in page.locator(".quiz").all():
        assert not quiz.locator("form").is_visible()
        quiz.locator("summary").click()
        assert quiz.locator("details li").first.is_visible()


def assert_only_figures(page: Page, explorables: int) -> None:
    visible = "gradlib-explorable .gl-chart svg:visible"
    assert page.locator(visible).count() == explorables
    assert page.locator("gradlib-explorable :is(input, select):visible").count() == 0, "dead controls"


def test_where_storage_is_switched_off_the_theme_still_answers(visit):
    off = "Object.defineProperty(window, 'localStorage', { get() { throw Error('off') } })"
    seen = visit("book/how-to-read", width=PHONE, before=off)
    assert seen.errors == []
    seen.page.locator("button.theme-switch-button:visible").first.click()
    seen.page.wait_for_function("document.documentElement.dataset.mode === 'dark'")
    seen.page.locator("button.primary-toggle:visible").first.click()
    assert seen.page.locator(".bd-sidebar-primary a").first.is_visible()


@pytest.mark.parametrize("where", ["a server", "a folder"])
def test_search_finds_the_chapter_on_saturation(where, html, site, visit):
    base = site if where == "a server" else html.as_uri()
    page = visit("search", base=base).page
    page.goto(f"{base}/search.html?q=saturation")
    page.locator("#search-results li").first.wait_for()
    found = page.locator("#search-results li a").evaluate_all("(links) => links.map((link) => link.href)")
    assert any("sigmoid-saturation" in address for address in found)
