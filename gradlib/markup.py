"""How an explorable's payload becomes a picture and a piece of HTML; explorable.js brings that to life."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from gradlib import plot

STATIC = Path(__file__).parent / "static"
ROLES = {"measured": "measured", "low": "spread over seeds", "predicted": "predicted"}
# Each shape as matplotlib's marker, and as its outline in the legend.
SHAPES = {
    "circle": ("o", "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z"),
    "square": ("s", "M-3.2-3.2h6.4v6.4h-6.4z"),
    "triangle": ("^", "M0-4.2L4 3.2H-4z"),
    "diamond": ("D", "M0-4.4L4.4 0L0 4.4L-4.4 0z"),
}


def picture(payload: dict[str, Any]) -> tuple[str, str]:
    """The setting shown first, as SVG and in words: what stands where no script runs."""
    index = _start(payload)
    changing = iter(json.loads(payload["settings"][index]))
    columns = payload["columns"]
    values = [json.loads(column["values"]) if "values" in column else next(changing) for column in columns]
    x, *drawn = (np.array(column, dtype=float) for column in values)
    setting = _setting(payload)

    figure, panel = plot.axes(columns[0]["label"], payload["y"], payload["log_y"])
    low = x
    for column, y in zip(columns[1:], drawn, strict=True):
        style = {"color": plot.COLOURS[column["colour"]], "label": column["label"]}
        if column["role"] == "low":
            low = y
        elif column["role"] == "high":
            panel.fill_between(x, low, y, alpha=0.2, linewidth=0, color=style["color"])
        elif column["role"] == "measured":
            panel.plot(x, y, SHAPES[column["shape"]][0], **style)
        else:
            dashes = tuple(float(length) for length in column["dashes"].split())
            panel.plot(x, y, linestyle=(0, dashes) if dashes else "-", **style)
    panel.update_datalim([*zip(payload["x_domain"], payload["y_domain"], strict=True)])
    panel.autoscale_view()
    panel.set_title(setting)
    panel.legend()
    words = f"{payload['title']}, at {setting}. {payload['summaries'][index]}"
    return plot.svg(figure, words), words


def element(payload: dict[str, Any], picture: str, follow: str = "") -> str:
    """HTML of an explorable: `picture` until a script takes over, and controls that wait for it.

    follow: class of the widget whose data the chart draws from then on.
    """
    title, summaries = escape(payload["title"]), [escape(summary) for summary in payload["summaries"]]
    controls = "".join(map(_control, payload["controls"]))
    return f"""<gradlib-explorable data-follow="{follow}">
<figure class="gl-card" aria-label="{title}">
<p class="gl-title">{title}</p>
<div class="gl-controls" role="group" aria-label="Settings">{controls}</div>
<ul class="gl-legend">{_legend(payload["columns"][1:])}</ul>
<p class="gl-setting">{escape(_setting(payload))}</p>
<div class="gl-chart">{picture}</div>
<figcaption class="gl-summary" aria-live="polite" data-longest="{max(summaries, key=len)}">\
<span>{summaries[_start(payload)]}</span></figcaption>
<details class="gl-data"><summary>Show data</summary></details>
{data(payload)}
</figure>
</gradlib-explorable>"""


def data(payload: dict[str, Any]) -> str:
    """The payload in a form that no text in it can break out of."""
    text = compact(payload).replace("<", r"\u003c")
    return f'<script type="application/json">{text}</script>'


def standalone(payload: dict[str, Any], picture: str, follow: str = "") -> str:
    """`element` with all it needs, for a notebook's output, which has no files beside it."""
    style, *scripts = (
        (STATIC / name).read_text(encoding="utf-8")
        for name in ("explorable.css", "chart.js", "explorable.js")
    )
    colours = "".join(f"--gl-{name}:{_both(name, value)};" for name, value in plot.COLOURS.items())
    return "".join(
        [
            f"<style>{style}gradlib-explorable{{{colours}}}</style>",
            element(payload, picture, follow),
            *(f"<script>{script}</script>" for script in scripts),
        ]
    )


def compact(payload: dict[str, Any]) -> str:
    """JSON without spaces."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _start(payload: dict[str, Any]) -> int:
    """Index of the setting shown first; the last control runs fastest."""
    index = 0
    for control in payload["controls"]:
        index = index * len(control["values"]) + control["start"]
    return index


def _setting(payload: dict[str, Any]) -> str:
    """The setting shown first, in words."""
    return ", ".join(f"{c['label']} {c['values'][c['start']]}" for c in payload["controls"])


def _both(name: str, light: str) -> str:
    """A colour for a light and a dark notebook."""
    share = {"ink": 12, "muted": 45, "grid": 12}.get(name, 65)
    dark = f"color-mix(in oklab, {light} {share}%, {'#2a2f36' if name == 'grid' else 'white'})"
    return f"light-dark({light}, {dark})"


def _control(control: dict[str, Any]) -> str:
    label, kind, start = escape(control["label"]), control["kind"], control["start"]
    values = [escape(value) for value in control["values"]]
    # Firefox would bring back the last visit's values, which the chart does not show.
    common = 'autocomplete="off"'
    if kind == "checkbox":
        checked = " checked" if values[start] == "on" else ""
        return f'<label class="gl-checkbox"><input type="checkbox" {common}{checked}> {label}</label>'
    if kind == "menu":
        options = "".join(f"<option>{value}</option>" for value in values)
        return f'<label class="gl-menu"><span>{label}</span> <select {common}>{options}</select></label>'
    return (
        f'<div class="gl-slider"><label><span>{label}</span> <input type="range" {common} min="0" '
        f'max="{len(values) - 1}" value="{start}" aria-valuetext="{values[start]}"></label> '
        f'<span class="gl-value" aria-hidden="true">{values[start]}</span></div>'
    )


def _legend(columns: list[dict[str, Any]]) -> str:
    """One entry a series; where all columns belong to one, an entry for each column."""
    alone = len({column["series"] for column in columns}) == 1
    entries: dict[str, list[dict[str, Any]]] = {}
    for column in columns:
        if column["role"] != "high":
            name = ROLES.get(column["role"], column["label"]) if alone else column["series"]
            entries.setdefault(name, []).append(column)
    told = [_swatch(columns) + escape(name) for name, columns in entries.items()]
    if not alone:
        roles = {column["role"] for column in columns}
        kinds = (("points", "measured"), ("lines", "predicted"), ("bands", "low"))
        told.append(", ".join(f"{kind}: {ROLES[role]}" for kind, role in kinds if role in roles))
    return "".join(f"<li>{entry}</li>" for entry in told if entry)


def _swatch(columns: list[dict[str, Any]]) -> str:
    """Band, line and point of one legend entry, as far as it has them; the point lies on top."""
    parts = ""
    for column in sorted(columns, key=lambda column: column["role"] == "measured"):
        point = f'class="gl-point" d="{SHAPES[column["shape"]][1]}"'
        line = f'class="gl-line" d="M-15 0h30" stroke-dasharray="{column["dashes"]}"'
        band = 'class="gl-band" d="M-15-5h30v10h-30z"'
        mark = {"measured": point, "low": band}.get(column["role"], line)
        parts += f"<path {mark}/>"
    return (
        '<svg viewBox="-15 -6 30 12" width="30" height="12" aria-hidden="true" '
        f'style="color:var(--gl-{columns[0]["colour"]})">{parts}</svg>'
    )
