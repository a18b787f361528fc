"""Every page of the built book, on a phone and on a laptop, in both themes, with the network cut."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from visit import LAPTOP, PHONE, choose_theme, visits

MOST_RAW, MOST_GZIPPED = 2_000_000, 700_000
MOST_SHIFT = 0.05
# Drawings, formulas and code have thousands of pieces that differ in nothing that a rule finds fault with. Of
# a drawing its title stays, of the others one piece of each kind, or measuring takes minutes.
ONE_OF_A_KIND = """() => {
    const background = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? background(element.parentElement) : colour;
    };
    const first = new Map();
    const isAlike = (piece) => {
        const { color, fontSize, fontWeight } = getComputedStyle(piece);
        // The contrast of what is hidden, and of a single character, is not measured.
        const isMeasured = piece.getClientRects().length > 0 && piece.textContent.length > 1;
        const look = [piece.localName, color, fontSize, fontWeight, background(piece)];
        const kind = [isMeasured, ...look].join();
        first.set(kind, first.get(kind) ?? piece);
        return first.get(kind) !== piece;
    };
    const all = (selector) => [...document.querySelectorAll(selector)];
    const meansMore = ":is(a, button, input, [role], [tabindex], [aria-label])";
    const leaves = () => all(`article :is(pre, .katex) :not(:has(*), ${meansMore})`);
    all("article svg[role=img] > :not(title)")
        .filter((part) => !part.matches(`${meansMore}, :has(${meansMore})`))
        .forEach((part) => part.remove());
    for (let alike; (alike = leaves().filter(isAlike)).length;) {
        alike.forEach((leaf) => leaf.remove());
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


# From here on, what was folded is open; at the end most of the page is gone.


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


# Colours do not depend on the width, so their contrast is measured in light on a laptop, in dark on a phone.


def test_a_page_is_accessible(seen, width):
    if width == PHONE:
        choose_theme(seen.page, "dark")
    seen.page.evaluate(ONE_OF_A_KIND)
    found = Axe().run(seen.page, options={"resultTypes": ["violations"], "preload": False})
    assert [described(violation) for violation in found.response["violations"]] == []


def described(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    return f"{violation['help']}, at {len(nodes)} places, such as {nodes[0]['html'][:200]}"
