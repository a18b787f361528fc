"""A machine without a browser gets one or an explanation; the pages never go untested in silence."""

import browser
import pytest
from playwright.sync_api import Playwright

BROKEN = "/bin/false"


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "candidates", lambda playwright: [BROKEN])


def test_a_browser_that_does_not_start_is_passed_over(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = browser.candidates

    def broken_first(playwright: Playwright) -> list[str]:
        return [BROKEN, *found(playwright)]

    monkeypatch.setattr(browser, "candidates", broken_first)
    monkeypatch.setattr(browser, "installers", lambda: pytest.fail("there was a browser"))
    browser.ensure()
    assert f"{BROKEN} does not start" in capsys.readouterr().err


@pytest.mark.usefixtures("no_browser")
def test_without_a_browser_each_way_to_install_one_is_tried(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    ways = [("the first way", [["false"]]), ("the second way", [["true"]])]
    monkeypatch.setattr(browser, "installers", lambda: ways)
    with pytest.raises(SystemExit, match="Install Chromium or Google Chrome"):
        browser.ensure()
    said = capsys.readouterr().out
    assert "the first way" in said
    assert "the second way" in said


def test_debian_is_asked_only_by_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert [name for name, _ in browser.installers()] == ["Playwright's own build"]
