"""Every control answers to the keyboard alone, and changes what is shown, without a server too."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page
from visit import Visit


@pytest.fixture
def page(downloaded: Visit) -> Page:
    return downloaded.page


def test_the_tab_key_reaches_every_control(page):
    stops = page.evaluate(
        """() => {
            const content = document.querySelector("main");
            const all = (selector) => [...content.querySelectorAll(selector)]
                .filter((element) => element.checkVisibility() && !element.disabled);
            // Of the radio buttons of one question the Tab key stops at one.
            const group = (control) => control.type === "radio" ? control.name : control;
            window.missed = new Map(all("input, select, button, summary").map((it) => [group(it), it]));
            addEventListener("focusin", ({ target }) => window.missed.delete(group(target)));
            // A press takes its time, and there are hundreds of links between the controls.
            all("a").forEach((link) => { link.tabIndex = -1; });
            content.tabIndex = -1;
            content.focus();
            return all("a, input, select, button, summary, [tabindex]").length;
        }"""
    )
    while stops and page.evaluate("window.missed.size"):
        page.keyboard.press("Tab")
        stops -= 1
    missed = page.evaluate("[...window.missed.values()].map((control) => control.outerHTML.slice(0, 120))")
    assert missed == []


def test_every_control_of_an_explorable_changes_what_is_shown(page):
    for explorable in page.locator("gradlib-explorable").all():
        for control in explorable.locator("input, select").all():
            before = shown(explorable)
            assert any(shown(explorable) != before for _ in each_value_by_keyboard(control)), (
                f"{control.evaluate('(it) => it.outerHTML')} of {explorable.inner_text()[:80]!r} is dead"
            )


def shown(explorable: Locator) -> tuple[str, str]:
    """The chart and the sentence below it, once they are drawn."""
    explorable.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return (
        explorable.locator(".gl-chart").inner_html(),
        explorable.locator(".gl-summary").inner_text(),
    )


def each_value_by_keyboard(control: Locator) -> Iterator[None]:
    """Steps through the values of a control with keys alone."""
    kind = control.get_attribute("type")
    if kind == "checkbox":
        control.press("Space")
        yield
        return
    steps = control.evaluate("(it) => it.options ? it.options.length : it.max - it.min + 1")
    for key in ["Home", *["ArrowRight" if kind == "range" else "ArrowDown"] * (steps - 1)]:
        control.press(key)
        yield


def test_an_explorable_shows_the_data_that_it_draws(page):
    for explorable in page.locator("gradlib-explorable").all():
        explorable.locator("summary").press("Enter")
        table = explorable.locator("table")
        table.wait_for()
        assert table.locator("tbody tr").count() > 1
        before = table.inner_text()
        assert any(
            table.inner_text() != before
            for control in explorable.locator("input, select").all()
            for _ in each_value_by_keyboard(control)
        )


def test_every_answer_of_a_quiz_has_its_feedback(page):
    for quiz in page.locator(".quiz").all():
        feedback = []
        for number, option in enumerate(quiz.locator(".quiz-option").all()):
            quiz.locator("input").first.focus()
            for key in ["Space", *["ArrowDown"] * number, "Enter"]:
                page.keyboard.press(key)
            status = quiz.get_by_role("status")
            is_right = option.get_attribute("data-correct") == "true"
            assert status.inner_text().startswith("Correct." if is_right else "Not this one.")
            feedback.append(status.inner_text())
            quiz.get_by_role("button", name="Try again").press("Enter")
            assert status.inner_text() == ""
        assert len(set(feedback)) == len(feedback) > 1


def test_a_quiz_remembers_the_answer(page):
    quizzes = page.locator(".quiz").all()
    for quiz in quizzes:
        quiz.locator("input").first.press("Space")
        page.keyboard.press("Enter")
    if quizzes:
        again = page.context.new_page()
        again.goto(page.url)
        answered = [tab.locator(".quiz").get_by_role("status").all_inner_texts() for tab in (page, again)]
        again.close()
        assert answered[0] == answered[1] != [""] * len(quizzes)


def test_every_control_belongs_to_something_that_is_tested(page):
    strangers = page.evaluate(
        """() => [...document.querySelectorAll("article :is(input, select, textarea, button)")]
            .filter((control) => !control.closest("gradlib-explorable, .quiz, form[action]"))
            .filter((control) => !control.matches(".copybtn"))
            .map((control) => control.outerHTML.slice(0, 120))"""
    )
    assert strangers == []
