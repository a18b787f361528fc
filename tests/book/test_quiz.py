"""Quizzes: what the directive makes of its source, and what it refuses."""

import re
from pathlib import Path

import pytest
from execution import ROOT
from playwright.sync_api import Browser, Locator, expect
from small_book import build

GOOD = """\
```{quiz} What does one layer do to the *squared* gradient?
:name: one-layer
It has $n$ units.
- [ ] It multiplies it by $1/4$.
  That is the **largest** slope.

  And there is a second paragraph.
- [x] It multiplies it by about 0.06.
  Yes.
- [ ] Nothing.
  Something.
```
"""
BAD = {
    "no right answer": (GOOD.replace("[x]", "[ ]"), "0 options are marked [x]; mark exactly one"),
    "two right answers": (GOOD.replace("[ ]", "[x]", 1), "2 options are marked [x]"),
    "no options": ("```{quiz} Why?\n:name: why\n```\n", "0 options are marked [x]"),
    "no feedback": (GOOD.replace("  Yes.\n", ""), "no feedback below the option 'It multiplies it by about"),
    "no name": (GOOD.replace(":name: one-layer\n", ""), "there is no :name:"),
    "a name twice": (GOOD + "\n" + GOOD, "the name 'one-layer' is taken by a quiz in index"),
    "no question": (GOOD.replace(" What does one layer do to the *squared* gradient?", ""), "1 argument"),
}


def build_quizzes(folder: Path, **pages: str) -> tuple[str, str]:
    """The HTML of the page `index`, and the warnings."""
    warnings = build(
        folder,
        {f"{name}.md": f"# Page\n\n{text}" for name, text in pages.items()},
        extensions=["myst_nb", "gradlib_book.mathematics", "gradlib_book.quiz"],
        myst_enable_extensions=["dollarmath"],
        html_math_renderer="katex_located",
        katex_prerender=True,
        html_static_path=[str(ROOT / "book" / "static")],
    )
    return (folder / "html" / "index.html").read_text(), warnings


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quiz")
    _, warnings = build_quizzes(folder, index=GOOD, other="Nothing is asked here.")
    assert "ERROR" not in warnings
    return folder / "html"


@pytest.fixture
def quiz(built: Path, browser: Browser) -> Locator:
    page = browser.new_page()
    page.goto((built / "index.html").as_uri())
    yield page.locator(".quiz")
    page.close()


def test_question_options_and_feedback_are_markdown(built: Path) -> None:
    html = (built / "index.html").read_text()
    legend = re.search(r"<legend>(.*?)</legend>", html, re.DOTALL)[1]
    assert "<em>squared</em>" in legend
    assert 'class="katex"' in legend
    assert "<strong>largest</strong>" in html
    assert "second paragraph" in html
    assert re.findall(r'data-correct="(\w+)"', html) == ["false", "true", "false"]


def test_only_a_page_with_a_quiz_loads_the_script(built: Path) -> None:
    assert "quiz.js" in (built / "index.html").read_text()
    assert "quiz.js" not in (built / "other.html").read_text()


@pytest.mark.parametrize("fault", BAD)
def test_a_faulty_quiz_is_an_error_that_names_the_place(fault: str, tmp_path: Path) -> None:
    source, complaint = BAD[fault]
    _, warnings = build_quizzes(tmp_path, index=source)
    assert complaint in warnings
    assert re.search(r"index\.md:\d+: ERROR", warnings)


def test_a_name_is_taken_in_the_whole_book(tmp_path: Path) -> None:
    _, warnings = build_quizzes(tmp_path, another=GOOD, index=GOOD + "\n```{toctree}\nanother\n```\n")
    assert "index.md:3: ERROR: quiz: the name 'one-layer' is taken by a quiz in another" in warnings


def test_a_wrong_answer_does_not_give_the_right_one_away(quiz: Locator) -> None:
    quiz.get_by_label("Nothing.").check()
    quiz.get_by_role("button", name="Check").click()
    expect(quiz.get_by_role("status")).to_have_text(re.compile("Not this one.*Something."))
    expect(quiz.locator(".quiz-feedback:visible")).to_have_count(0)
    expect(quiz.get_by_label("about 0.06")).to_be_disabled()


def test_the_right_answer_explains_the_others(quiz: Locator) -> None:
    quiz.get_by_label("about 0.06").check()
    quiz.get_by_role("button", name="Check").click()
    expect(quiz.get_by_role("status")).to_have_text(re.compile("Correct.*Yes."))
    expect(quiz.locator(".quiz-feedback:visible")).to_have_count(2)


def test_try_again_starts_from_nothing(quiz: Locator) -> None:
    quiz.get_by_label("Nothing.").check()
    quiz.get_by_role("button", name="Check").click()
    quiz.get_by_role("button", name="Try again").click()
    expect(quiz.get_by_role("status")).to_be_empty()
    expect(quiz.locator("input:checked")).to_have_count(0)
    expect(quiz.get_by_role("button", name="Try again")).to_be_hidden()
    quiz.page.reload()
    expect(quiz.get_by_role("status")).to_be_empty()


def test_check_asks_for_an_answer_first(quiz: Locator) -> None:
    quiz.get_by_role("button", name="Check").click()
    expect(quiz.get_by_role("status")).to_be_empty()
    assert quiz.locator("input").first.evaluate("radio => radio.validity.valueMissing")


def test_a_quiz_works_where_storage_is_switched_off(built: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('off') } })"
    )
    page.goto((built / "index.html").as_uri())
    page.get_by_label("Nothing.").check()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("Something.")
    page.close()
