"""Explorables of the built book show what was measured, whichever way they are moved."""

import itertools
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page
from visit import Visit

from gradlib import markup
from gradlib.explore import explore
from gradlib.plot import COLOURS

LABELS = {"title": "Ramps", "y": "height"}
PHONE, LAPTOP = 390, 1280
PAYLOAD = r"<gradlib-explorable.*?<script type=.application/json.[^>]*>(.*?)</script>"
FAR = "() => document.querySelector('gradlib-explorable').getBoundingClientRect().top > 3 * innerHeight"


@pytest.fixture(scope="module")
def explored(html: Path) -> list[str]:
    """Pages that have explorables."""
    found = [
        str(path.relative_to(html).with_suffix(""))
        for path in sorted(html.rglob("*.html"))
        if "<gradlib-explorable" in path.read_text()
    ]
    assert found, "no page has an explorable"
    return found


@pytest.fixture
def explorables(downloaded: Visit) -> list[Locator]:
    """Those of each page in turn, which was read through."""
    return downloaded.page.locator("gradlib-explorable").all()


def test_the_first_the_last_and_a_middle_setting_show_their_own_data(explorables):
    for explorable in explorables:
        data = payload(explorable)
        sizes = [len(control["values"]) for control in data["controls"]]
        settings = list(itertools.product(*map(range, sizes)))
        explorable.locator("details").evaluate("(table) => { table.open = true; }")
        for index in {0, len(settings) // 2, len(settings) - 1}:
            for control, place in enumerate(settings[index]):
                choose(explorable, control, place)
            next_frame(explorable)
            assert explorable.locator(".gl-summary").inner_text() == data["summaries"][index]
            assert table(explorable) == columns(data, index)
            assert drawn_points(explorable) == expected_points(data, index)


def payload(explorable: Locator) -> dict:
    return json.loads(explorable.locator("script[type='application/json']").text_content())


def choose(explorable: Locator, control: int, place: int) -> None:
    """Move one control as a pointer would, to the value in that place."""
    explorable.locator("input, select").nth(control).evaluate(
        """(input, [place, value]) => {
            if (input.type === "range") input.value = place;
            else if (input.type === "checkbox") input.checked = value === "on";
            else input.selectedIndex = place;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        [place, payload(explorable)["controls"][control]["values"][place]],
    )


def next_frame(explorable: Locator) -> None:
    explorable.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def columns(data: dict, index: int) -> list[list[float | None]]:
    """The columns of a setting, as the payload stores them."""
    changing = iter(json.loads(data["settings"][index]))
    return [json.loads(c["values"]) if "values" in c else next(changing) for c in data["columns"]]


def table(explorable: Locator) -> list[list[float | None]]:
    """The columns of the table that is shown."""
    explorable.locator("tbody tr").first.wait_for()
    rows = explorable.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((r) => [...r.cells].map((c) => c.innerText))"
    )
    return [list(map(number, column)) for column in zip(*rows, strict=True)]


def number(text: str) -> float | None:
    """What the page writes as 1.3 × 10⁻¹²."""
    if text == "not finite":
        return None
    mantissa, _, power = text.replace("−", "-").partition("\u00a0×\u00a010")
    exponent = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(f"{mantissa}e{exponent or 0}")


def drawn_points(explorable: Locator) -> int:
    return explorable.locator(".gl-chart [data-mark=dot] path, .gl-chart [data-mark=dot] circle").count()


def expected_points(data: dict, index: int) -> int:
    """How many measured values can be drawn."""
    return sum(
        value is not None and (value > 0 or not data["log_y"])
        for column, values in zip(data["columns"], columns(data, index), strict=True)
        if column["role"] == "measured"
        for value in values
    )


def test_a_slider_says_its_value_to_everyone(explorables):
    for explorable in explorables:
        data = payload(explorable)
        for control, described in enumerate(data["controls"]):
            if described["kind"] == "slider":
                choose(explorable, control, len(described["values"]) - 1)
                slider = explorable.locator("input, select").nth(control)
                assert slider.get_attribute("aria-valuetext") == described["values"][-1]
                shown = slider.locator("xpath=ancestor::*[@class='gl-slider']").locator(".gl-value")
                assert shown.inner_text() == described["values"][-1]


def test_a_chart_takes_up_the_theme_without_being_drawn_again(explorables):
    paint = "(chart) => getComputedStyle(chart.querySelector('[data-mark=line] path')).stroke"
    for explorable in explorables:
        chart = explorable.locator(".gl-chart svg").element_handle()
        colours = set()
        for theme in ("light", "dark"):
            chart.evaluate("(_, theme) => { document.documentElement.dataset.theme = theme; }", theme)
            colours.add(chart.evaluate(paint))
        assert len(colours) == 2
        assert chart.evaluate("(chart) => chart.isConnected"), "the same drawing is still in the page"


def test_a_chart_fits_a_page_that_changes_its_width(explorables):
    for width, explorable in itertools.product((PHONE, LAPTOP), explorables):
        explorable.page.set_viewport_size({"width": width, "height": 800})
        explorable.page.wait_for_function(
            "(box) => Math.abs(box.querySelector('svg').getAttribute('width') - box.clientWidth) < 1",
            arg=explorable.locator(".gl-chart").element_handle(),
        )


def test_the_chart_library_waits_until_an_explorable_comes_near(explored, browser, site):
    context = browser.new_context(viewport={"width": LAPTOP, "height": 300})
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url.partition("?")[0].rpartition("/")[2]))
    far = 0
    for name in explored:
        asked.clear()
        page.goto(f"{site}/{name}.html", wait_until="networkidle")
        if page.evaluate(FAR):
            far += 1
            assert "chart.js" not in asked
            with page.expect_response(lambda response: "chart.js" in response.url):
                page.locator("gradlib-explorable").first.scroll_into_view_if_needed()
    context.close()
    assert far, "no page has an explorable far from its beginning"


def test_a_chart_that_does_not_load_says_so(explored, browser, site):
    page = browser.new_page()
    page.route("**/chart.js*", lambda route: route.abort())
    page.goto(f"{site}/{explored[0]}.html")
    explorable = page.locator("gradlib-explorable").first
    explorable.scroll_into_view_if_needed()
    explorable.get_by_text("The chart did not load. The table below has its data.").wait_for()
    page.close()


def test_pages_without_explorables_load_nothing_for_them(explored, html):
    others = [
        path for path in html.rglob("*.html") if str(path.relative_to(html).with_suffix("")) not in explored
    ]
    assert others
    assert [path for path in others if "explorable." in path.read_text()] == []


def test_drawings_share_a_page_without_sharing_names(html):
    """A page's drawings are parts of one document: ids are unique, and no style reaches beyond its own."""
    for path in html.rglob("*.html"):
        text = path.read_text()
        ids = [part.partition('"')[0] for part in text.split(' id="')[1:]]
        assert sorted(ids) == sorted(set(ids)), path.name
        assert "*{stroke" not in text, path.name


def test_drawings_have_the_page_s_colours(html):
    for path in html.rglob("*.html"):
        for drawing in re.findall(r"<svg[^>]* role=.img.*?</svg>", path.read_text(), flags=re.DOTALL):
            fixed = re.sub(r"var\(--gl-\w+, #[0-9a-f]{6}\)", "", drawing)
            assert [colour for colour in COLOURS.values() if colour in fixed] == [], path.name


def test_captions_belong_to_their_figures(html):
    pages = [path.read_text() for path in html.rglob("*.html")]
    assert {tag for page in pages for tag in re.findall(r"<(\w+) class=.figure-caption", page)} == {
        "figcaption"
    }


def test_an_explorable_is_found_by_its_title(explored, html, visit, site):
    page = visit("search").page
    for name in explored:
        payloads = re.findall(PAYLOAD, (html / f"{name}.html").read_text(), flags=re.DOTALL)
        assert payloads
        for data in payloads:
            page.goto(f"{site}/search.html?q={quote(json.loads(data)['title'])}")
            page.locator(f"#search-results a[href*='{Path(name).name}']").first.wait_for()


def test_a_notebook_s_output_needs_no_file_beside_it(browser, tmp_path):
    page = output(
        browser, tmp_path, explore(ramp, **LABELS, slope=[1, 2, 3])._repr_mimebundle_()["text/html"]
    )
    explorable = page.locator("gradlib-explorable")
    choose(explorable, 0, 2)
    explorable.locator("summary").click()
    assert table(explorable) == [[1, 2], [3, 6]]
    assert drawn_points(explorable) == 2


def test_a_page_may_hold_several_outputs(browser, tmp_path):
    """The second is met by a browser that knows explorables already, and before all of it is read."""
    outputs = [explore(ramp, **LABELS, slope=[n, n + 1])._repr_mimebundle_()["text/html"] for n in (1, 5)]
    page = output(browser, tmp_path, "".join(outputs))
    for explorable, slope in zip(page.locator("gradlib-explorable").all(), (2, 6), strict=True):
        choose(explorable, 0, 1)
        explorable.locator("summary").click()
        assert table(explorable) == [[1, 2], [slope, 2 * slope]]


def test_the_chart_draws_what_a_live_widget_carries(browser, tmp_path):
    live = explore(ramp, **LABELS, slope=[1, 2, 3]).live()
    html = markup.standalone(live.payload, "", follow=live.name)
    page = output(browser, tmp_path, f'{html}<div class="{live.name}"></div>')
    explorable = page.locator("gradlib-explorable")
    explorable.locator("summary").click()
    assert table(explorable) == [[1, 2], [2, 4]]
    live.children[0].value = 3
    page.locator(f".{live.name}").evaluate(
        "(widget, html) => { widget.innerHTML = html; }", live.carrier.value
    )
    next_frame(explorable)
    assert table(explorable) == [[1, 2], [3, 6]]
    assert drawn_points(explorable) == 2


def ramp(slope):
    return {"x": [1, 2], "measured": [slope, 2 * slope]}


def output(browser: Browser, folder: Path, html: str) -> Page:
    """A page with nothing but a cell's output."""
    file = folder / "output.html"
    file.write_text(f'<!doctype html><meta charset="utf-8">{html}')
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".gl-chart svg[aria-label]")
    return page
