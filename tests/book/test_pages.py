"""Every page of the built book, on a phone and on a laptop, in both themes, with the network cut."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from execution import ROOT
from visit import LAPTOP, PHONE, Visit, visits

SCREENSHOTS = ROOT / "_build" / "screenshots"
MOST_RAW, MOST_GZIPPED = 2_000_000, 700_000
MOST_SHIFT = 0.05
# Formulas and code have thousands of pieces that differ in nothing that contrast depends on: one of each
# kind stays, or measuring takes minutes.
ONE_OF_A_KIND = """() => {
    const background = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? background(element.parentElement) : colour;
    };
    const seen = new Set();
    const leaves = document.querySelectorAll("article :is(pre, .katex) :not(:has(*))");
    for (const leaf of leaves) {
        const { color, fontSize, fontWeight } = getComputedStyle(leaf);
        const kind = [color, fontSize, fontWeight, background(leaf)].join();
        leaf.classList.toggle("alike", seen.has(kind));
        seen.add(kind);
    }
    for (const leaf of leaves) {
        leaf.style.display = leaf.matches(".alike") ? "none" : "";
    }
}"""


@pytest.fixture(scope="module", params=[PHONE, LAPTOP])
def width(request):
    return request.param


@pytest.fixture(scope="module")
def seen(name, width, browser, site):
    """The page at one width, opened and read through once for all the tests below, in their order."""
    with visits(browser, site) as open_page:
        yield open_page(name, width=width)


def test_a_page_asks_for_nothing_outside_the_book(seen):
    assert seen.offsite == []


def test_a_page_loads_without_an_error(seen):
    assert seen.errors == []


def test_a_page_is_small_enough_for_a_slow_connection(seen):
    largest = sorted((len(body), url) for url, body in seen.bodies.items())[-5:]
    assert seen.raw_bytes <= MOST_RAW, largest
    assert seen.gzipped_bytes <= MOST_GZIPPED, largest


def test_nothing_jumps_while_a_page_is_read(seen):
    shifts = seen.page.evaluate("window.shifts")
    assert sum(shift["value"] for shift in shifts) < MOST_SHIFT, shifts


def test_every_figure_has_words(seen):
    """An image, and a drawing that is not decoration, says what it shows."""
    silent = seen.page.evaluate(
        """() => [...document.querySelectorAll("article img, article svg, header img")]
            .filter((image) => !image.closest("button, [aria-hidden=true]"))
            .filter((image) => image.tagName === "IMG"
                ? !image.alt.trim()
                : image.getAttribute("role") !== "img" || !(image.getAttribute("aria-label")
                    || image.querySelector(":scope > title")?.textContent)?.trim())
            .map((image) => image.outerHTML.slice(0, 200))"""
    )
    assert silent == []


# From here on, what was folded is open; at the end it is dark.


def test_no_page_needs_sideways_scrolling(seen):
    seen.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    too_wide = seen.page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
            [...document.querySelectorAll("article *")]
                .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
                .map((element) => element.outerHTML.slice(0, 120)).slice(0, 5)
                .concat(`the page is ${document.documentElement.scrollWidth} px wide`)"""
    )
    assert too_wide == []


# Colours do not depend on the width, so contrast is measured in light on a laptop, in dark on a phone.


def test_a_page_is_accessible(seen, name, width):
    keep_picture(seen, f"{name}-light-{width}")
    found = violations(seen, {"rules": {"color-contrast": {"enabled": False}}})
    assert found + (poor_contrast(seen) if width == LAPTOP else []) == []


def test_a_page_is_as_readable_in_the_dark(seen, name, width):
    # Without motion, or colours halfway through their change would be measured.
    seen.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    seen.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    keep_picture(seen, f"{name}-dark-{width}")
    if width == PHONE:
        assert poor_contrast(seen) == []


def keep_picture(seen: Visit, name: str) -> None:
    """Of the whole page, for people to judge; CI stores it."""
    path = SCREENSHOTS / f"{name.replace('/', '-')}.jpg"
    seen.page.screenshot(path=path, full_page=True, type="jpeg", quality=80)


def poor_contrast(seen: Visit) -> list[str]:
    seen.page.evaluate(ONE_OF_A_KIND)
    found = violations(seen, {"runOnly": ["color-contrast"]})
    seen.page.evaluate("document.querySelectorAll('.alike').forEach((leaf) => { leaf.style.display = ''; })")
    return found


def violations(seen: Visit, options: dict[str, Any]) -> list[str]:
    """What axe-core finds, in words."""
    options = {"resultTypes": ["violations"], "preload": False, **options}
    return [described(found) for found in Axe().run(seen.page, options=options).response["violations"]]


def described(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    return f"{violation['help']}, at {len(nodes)} places, such as {nodes[0]['html'][:200]}"
