"""The line under a chapter's title: what the chapter costs to read and to run.

Minutes come from the words on the page. Seconds and memory are measured by `make bench` and kept in
book/run-times.json; a chapter that is not in it shows none.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

WORDS_PER_MINUTE = 200  # prose with formulas in it; plain prose is read at about 240
RUN_TIMES = "book/run-times.json"


def words(document: nodes.document) -> int:
    """How many words there are to read: all text but code, outputs and displayed formulas."""
    unread = (nodes.FixedTextElement, nodes.raw, nodes.comment)
    texts = (
        text
        for text in document.findall(nodes.Text)
        if not any(isinstance(above, unread) for above in parents(text))
    )
    return sum(len(text.split()) for text in texts)


def parents(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def cost_to_run(env: BuildEnvironment) -> str:
    """'runs in 6 s, 0.5 GB on two cores', or nothing where that was not measured."""
    path = Path(env.srcdir) / RUN_TIMES
    env.note_dependency(RUN_TIMES)
    if not path.exists():
        return ""
    cost = json.loads(path.read_text()).get(Path(env.docname).name)
    if cost is None:
        return ""
    return f" · runs in {cost['seconds']:.0f} s, {cost['gigabytes']:.1f} GB on two cores"


def add_cost(app: Sphinx, document: nodes.document) -> None:
    """Put the line of costs under a chapter's title."""
    docname = app.env.docname
    if not docname.startswith("notebooks/") or docname == app.config.root_doc:
        return
    title = next(document.findall(nodes.title), None)
    if title is None:
        return
    minutes = max(1, round(words(document) / WORDS_PER_MINUTE))
    plural = "s" if minutes > 1 else ""
    reading = f"{minutes} minute{plural} to read at {WORDS_PER_MINUTE} words a minute"
    line = nodes.paragraph("", reading + cost_to_run(app.env), classes=["chapter-cost"])
    title.parent.insert(title.parent.index(title) + 1, line)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", add_cost)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
