"""A question with one right answer, that works in static HTML.

    ```{quiz} What does one sigmoid layer do to the squared gradient?
    :name: quiz-sigmoid-factor
    - [ ] It multiplies it by exactly 1/4.
      That is the largest slope, not its mean square.
    - [x] It multiplies it by about 0.06.
      Yes: the mean square of the slope counts.
    ```

An option is one line; the indented lines below it are the feedback to who chooses it, and may be
any Markdown. Text before the first option continues the question. The name is what the reader's
browser remembers the answer under, so it is unique in the whole book.
"""

import re
from html import escape
from itertools import pairwise
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

OPTION = re.compile(r"- \[(?P<mark>[ xX])\]\s+(?P<text>.+)")


class quiz(nodes.General, nodes.Element):  # noqa: N801 (docutils calls visit_quiz by this name)
    """A question, then the options. Attributes: ids."""


class quiz_question(nodes.Part, nodes.Element):  # noqa: N801
    """What is asked: inline nodes, so that it can be a legend."""


class quiz_option(nodes.Part, nodes.Element):  # noqa: N801
    """A quiz_answer and a quiz_feedback. Attributes: correct."""


class quiz_answer(nodes.Part, nodes.Element):  # noqa: N801
    """The text of an option: inline nodes, so that it can be a label."""


class quiz_feedback(nodes.Part, nodes.Element):  # noqa: N801
    """What the reader learns from having chosen an option."""


class QuizDirective(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"name": str}  # noqa: RUF012 (the form that docutils has)

    def run(self) -> list[nodes.Node]:
        result = quiz()
        self.set_source_info(result)
        result += self.question()
        result += self.answers()
        right = sum(option["correct"] for option in result.findall(quiz_option))
        if right != 1:
            raise self.error(f"quiz: {right} options are marked [x]; mark exactly one")
        self.register(result)
        return [result]

    def register(self, result: quiz) -> None:
        name = self.options.get("name")
        if not name:
            raise self.error("quiz: there is no :name:, which the browser needs to remember the answer")
        first = quizzes(self.env).setdefault(name, self.env.docname)
        if first != self.env.docname or name in self.state.document.nameids:
            raise self.error(f"quiz: the name {name!r} is taken by a quiz in {first}")
        self.add_name(result)

    def question(self) -> quiz_question:
        text = self.arguments[0]
        for line in self.content:
            if OPTION.match(line):
                break
            text += "\n" + line
        return self.inline(quiz_question(), text, self.lineno)

    def answers(self) -> list[quiz_option]:
        options: list[quiz_option] = []
        starts = [at for at, line in enumerate(self.content) if OPTION.match(line)]
        for start, end in pairwise([*starts, len(self.content)]):
            line = self.content_offset + start
            match = OPTION.match(self.content[start])
            assert match is not None
            feedback = StringList(self.content[start + 1 : end])
            feedback.trim_left(2)
            if not "".join(feedback).strip():
                raise self.error(f"quiz: no feedback below the option {match['text']!r}")
            explanation = quiz_feedback()
            self.state.nested_parse(feedback, line + 1, explanation)
            answer = self.inline(quiz_answer(), match["text"], line)
            option = quiz_option("", answer, explanation, correct=match["mark"] != " ")
            options.append(option)
        return options

    def inline(self, parent: Any, text: str, line: int) -> Any:
        children, messages = self.state.inline_text(text, line)
        parent += [*children, *messages]
        return parent


def quizzes(env: BuildEnvironment) -> dict[str, str]:
    """The name of each quiz, and the document that it stands in."""
    if not hasattr(env, "gradlib_quizzes"):
        env.gradlib_quizzes = {}  # type: ignore[attr-defined]
    return env.gradlib_quizzes  # type: ignore[attr-defined]


def forget_document(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    for name in [name for name, where in quizzes(env).items() if where == docname]:
        del quizzes(env)[name]


def merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    quizzes(env).update(quizzes(other))


def rendered(translator: HTML5Translator, node: nodes.Element) -> str:
    """The HTML of what `node` holds."""
    start = len(translator.body)
    for child in node.children:
        child.walkabout(translator)
    html = "".join(translator.body[start:])
    del translator.body[start:]
    return html


def option_html(name: str, number: int, option: quiz_option, answer: str, feedback: str) -> str:
    return f"""
<div class="quiz-option" data-correct="{str(option["correct"]).lower()}">
  <input type="radio" name="{name}-choice" id="{name}-{number}" value="{number}" required>
  <label for="{name}-{number}">{answer} <span class="quiz-mark"></span></label>
  <div class="quiz-feedback" hidden>{feedback}</div>
</div>"""


def quiz_html(name: str, question: str, options: str, texts: str, verdicts: str) -> str:
    """The theme hides what is .pst-js-only where scripts are off; <noscript> takes its place."""
    return f"""
<div class="quiz" id="{name}">
  <form class="quiz-form pst-js-only">
    <fieldset>
      <legend>{question}</legend>{options}
    </fieldset>
    <div class="quiz-buttons">
      <button type="submit">Check</button>
      <button type="reset" hidden>Try again</button>
    </div>
    <div class="quiz-status" role="status"></div>
  </form>
  <noscript>
    <p>{question}</p>
    <ol>{texts}</ol>
    <details><summary>Answers</summary><ol>{verdicts}</ol></details>
  </noscript>
</div>"""


def visit_quiz_html(translator: HTML5Translator, node: quiz) -> None:
    name = escape(node["ids"][0])
    question = rendered(translator, next(node.findall(quiz_question)))
    options, texts, verdicts = "", "", ""
    for number, option in enumerate(node.findall(quiz_option)):
        answer, feedback = (rendered(translator, child) for child in option.children)
        verdict = "Correct" if option["correct"] else "Not this one"
        options += option_html(name, number, option, answer, feedback)
        texts += f"<li>{answer}</li>"
        verdicts += f"<li><strong>{verdict}.</strong> {feedback}</li>"
    translator.body.append(quiz_html(name, question, options, texts, verdicts))
    raise nodes.SkipNode


def add_script(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    if doctree is not None and next(doctree.findall(quiz), None) is not None:
        app.add_js_file("quiz.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("quiz", QuizDirective)
    app.add_node(quiz, html=(visit_quiz_html, None))
    for part in (quiz_question, quiz_option, quiz_answer, quiz_feedback):
        app.add_node(part)
    app.connect("html-page-context", add_script)
    app.connect("env-purge-doc", forget_document)
    app.connect("env-merge-info", merge)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
