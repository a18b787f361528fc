"""An explorable carries what was measured, and nothing but what can be drawn, told and changed."""

import itertools
import json
import math
import sys
from html.parser import HTMLParser

import ipywidgets
import numpy as np
import pytest
import torch

import gradlib
from gradlib import markup
from gradlib.explore import LARGEST, MIME, explore

LABELS = {"title": "Squared gradient by layer", "y": "squared gradient"}
DEPTHS, NAMES = [5, 10, 20], ["relu", "leaky_relu"]


def measure(depth, activation="relu", residual=False):
    """A different curve for every setting."""
    layers = np.arange(1, depth + 1)
    curve = (0.5 if activation == "relu" else 0.7) ** (depth - layers) + residual
    return {
        "layer": layers,
        "measured": torch.tensor(curve * 1.00004321),
        "low": curve / 2,
        "high": [2 * value for value in curve],
        "predicted": curve,
    }


def all_controls(**changes):
    controls = {"depth": DEPTHS, "activation": NAMES, "residual": [False, True]}
    return explore(measure, **LABELS, **{**controls, **changes})


def stored(payload, index):
    """The columns of one setting, read back from a payload."""
    changing = iter(json.loads(payload["settings"][index]))
    return {
        column["label"]: json.loads(column["values"]) if "values" in column else next(changing)
        for column in payload["columns"]
    }


def test_every_setting_carries_its_own_measurement():
    payload = all_controls().payload
    settings = list(itertools.product(DEPTHS, NAMES, [False, True]))
    assert len(payload["settings"]) == len(settings)
    for index, setting in enumerate(settings):
        columns = stored(payload, index)
        for name, values in measure(*setting).items():
            assert columns[name] == pytest.approx([float(f"{value:.4g}") for value in values], rel=1e-12)


def test_values_keep_four_significant_digits_and_counts_stay_whole():
    payload = explore(
        lambda n: {"width": [16384, 20000], "a": [math.pi * n, 123456], "b": [1.23456e-30, -2.0]},
        **LABELS,
        n=[1, 2],
    ).payload
    assert stored(payload, 1) == {"width": [16384, 20000], "a": [6.283, 123456], "b": [1.235e-30, -2]}


def test_what_is_not_finite_is_left_out_and_the_summary_says_so():
    payload = explore(
        lambda n: {"x": [1, 2, 3], "measured": [math.nan, -math.inf, n], "predicted": [0, 1, 2]},
        **LABELS,
        log_y=True,
        n=[1, 2],
    ).payload
    assert stored(payload, 1)["measured"] == [None, None, 2]
    assert "not finite: 2 of 6" in payload["summaries"][1]
    assert "logarithmic axis has no zero: 1 of 6" in payload["summaries"][1]
    assert payload["y_domain"] == [1, 2]


def test_a_column_that_never_changes_is_stored_once():
    payload = explore(
        lambda n: {"x": [1, 2], "measured": [n, n], "predicted": [7, 8]}, **LABELS, n=[1, 2]
    ).payload
    assert [column.get("values") for column in payload["columns"]] == ["[1,2]", None, "[7,8]"]
    assert payload["settings"] == ["[[1,1]]", "[[2,2]]"]


def test_columns_are_drawn_as_their_names_say():
    columns = explore(
        lambda n: {
            "x": [1, n],
            "measured relu": [1, 2],
            "predicted relu": [1, 2],
            "measured_leaky_relu": [1, 2],
            "predicted leaky_relu": [1, 2],
            "bound": [1, 2],
        },
        **LABELS,
        n=[2, 3],
    ).payload["columns"]
    assert [(column["role"], column["label"]) for column in columns] == [
        ("x", "x"),
        ("measured", "measured relu"),
        ("predicted", "predicted relu"),
        ("measured", "measured leaky relu"),
        ("predicted", "predicted leaky relu"),
        ("series", "bound"),
    ]
    assert [column["colour"] for column in columns[1:5]] == ["relu", "relu", "leaky_relu", "leaky_relu"]
    series = {(column["series"], column["shape"], column["dashes"]) for column in columns[1:]}
    assert len(series) == 3, "one shape and one kind of dashes for each series"
    assert len({shape for _, shape, _ in series}) == len({dashes for *_, dashes in series}) == 3


def test_controls_suit_their_values():
    controls = all_controls(depth=range(5, 10), activation=["relu", "leaky_relu"]).payload["controls"]
    assert controls == [
        {"label": "depth", "kind": "slider", "values": ["5", "6", "7", "8", "9"], "start": 2},
        {"label": "activation", "kind": "menu", "values": ["relu", "leaky relu"], "start": 0},
        {"label": "residual", "kind": "checkbox", "values": ["off", "on"], "start": 0},
    ]


def test_the_sentence_is_told_for_every_setting():
    told = explore(
        measure,
        **LABELS,
        say=lambda columns, depth, activation: f"{activation} {depth}: {columns['predicted'][0]:g}",
        depth=[2, 3],
        activation=NAMES,
    ).payload["summaries"]
    assert told == ["relu 2: 0.5", "leaky_relu 2: 0.7", "relu 3: 0.25", "leaky_relu 3: 0.49"]


def test_without_a_sentence_the_ends_are_told():
    summary = explore(measure, **LABELS, depth=[2, 3]).payload["summaries"][1]
    assert summary == "From layer 1 to 3: measured from 0.25 to 1, predicted from 0.25 to 1."
    lowest = explore(lambda n: {"x": [1, 2], "lowest loss": [n, 2 * n]}, **LABELS, n=[1, 2])
    assert lowest.payload["summaries"][0] == "From x 1 to 2: lowest loss from 1 to 2."


def test_five_hundred_settings_of_fifty_values_fit():
    rng = np.random.default_rng(0)

    def fifty(a, b):
        values = np.exp(rng.normal(-20, 20, (4, 10)))
        return {
            "layer": range(1, 11),
            **dict(zip(("measured", "low", "high", "predicted"), values, strict=True)),
        }

    big = explore(fifty, **LABELS, say=sentence_of_eighty, a=range(25), b=range(20))
    assert len(big.payload["settings"]) == 500
    assert len(markup.compact(big.payload)) <= LARGEST


def sentence_of_eighty(columns, a, b):
    return f"At {a} and {b} the squared gradient is {gradlib.number(columns['measured'][0])} here.".ljust(
        80, "-"
    )


def test_recording_stores_data_picture_and_words_without_a_progress_bar(monkeypatch, capfd):
    monkeypatch.setenv("GRADLIB_RECORD", "1")
    gradlib.plot.use_style()
    explorable = all_controls()
    bundle = explorable._repr_mimebundle_()
    assert set(bundle) == {MIME, "image/svg+xml", "text/plain"}
    assert bundle["text/plain"].startswith(
        "Squared gradient by layer, at depth 10, activation relu, residual off. From layer 1 to 10"
    )
    assert bundle == all_controls()._repr_mimebundle_(), "two runs store the same"
    assert capfd.readouterr() == ("", "")


def test_a_person_gets_a_page_that_needs_nothing_else(monkeypatch):
    monkeypatch.delenv("GRADLIB_RECORD", raising=False)
    html = all_controls()._repr_mimebundle_()["text/html"]
    seen = Elements(html)
    assert seen.count("gradlib-explorable") == 1
    assert seen.sources == []
    assert "GradlibChart=" in html
    for name in gradlib.plot.COLOURS:
        assert f"--gl-{name}:" in html


def test_no_text_escapes_into_the_page():
    attack = "</script><script>alert(1)</script><b title='\">&"
    explorable = explore(
        lambda kind: {attack: [1, 2], f"measured {attack}": [1, 2]},
        title=attack,
        y=attack,
        say=lambda columns, kind: attack,
        kind=[attack, "plain"],
    )
    html = markup.element(explorable.payload, "<svg></svg>")
    seen = Elements(html)
    assert seen.count("script") == 1
    assert seen.count("b") == 0
    assert json.loads(seen.data)["title"] == attack


class Elements(HTMLParser):
    """Which elements a piece of HTML has, what they load, and the text of its data."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.sources, self.data = [], [], ""
        self.feed(html)

    def count(self, tag):
        return self.tags.count(tag)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [
            value for name, value in attrs if name in ("src", "srcset") or (tag, name) == ("link", "href")
        ]
        self.in_data = ("type", "application/json") in attrs

    def handle_endtag(self, tag):
        self.in_data = False

    def handle_data(self, text):
        if self.tags and self.in_data:
            self.data += text


def test_live_controls_measure_anew_at_values_between():
    live = all_controls().live()
    depth, activation, residual, carrier = live.children
    assert [type(control) for control in (depth, activation, residual)] == [
        ipywidgets.IntSlider,
        ipywidgets.Dropdown,
        ipywidgets.Checkbox,
    ]
    depth.value, activation.value, residual.value = 7, "leaky_relu", True
    wanted = measure(7, "leaky_relu", residual=True)
    for name, values in wanted.items():
        assert live.columns[name] == pytest.approx(np.asarray(values, dtype=float), rel=5e-4)
    drawn = json.loads(Elements(carrier.value).data)
    assert stored(drawn, 0)["predicted"] == pytest.approx(live.columns["predicted"])
    assert (depth.min, depth.max) == (5, 20)


def test_a_live_slider_over_fractions_takes_any_fraction():
    live = explore(
        lambda scale: {"x": [1, 2], "measured": [scale, 2 * scale]}, **LABELS, scale=[0.5, 1, 4]
    ).live()
    slider = live.children[0]
    slider.value = 1.2345
    assert isinstance(slider, ipywidgets.FloatSlider)
    assert list(live.columns["measured"]) == [1.234, 2.469]


@pytest.mark.parametrize(
    ("measured", "controls", "message"),
    [
        (measure, {}, r"no control is given"),
        (measure, {"depth": []}, r"control 'depth' = \[\] must list at least two values"),
        (measure, {"depth": 5}, r"control 'depth' = 5 must list at least two values"),
        (lambda n: {"x": [], "measured": []}, {"n": [1, 2]}, r"at n=1 returned columns of lengths \{'x': 0"),
        (measure, {"depth": [5]}, r"control 'depth' = \[5\] must list at least two values"),
        (measure, {"depth": [5, 5]}, r"control 'depth' = \[5, 5\] must list at least two values, each once"),
        (measure, {"activation": "relu"}, r"control 'activation' = 'relu' must list"),
        (measure, {"depth": [5, 20, 10]}, r"control 'depth' = \[5, 20, 10\] must increase"),
        (
            measure,
            {"depth": [5, "ten"]},
            r"control 'depth' = \[5, 'ten'\] must hold",
        ),
        (measure, {"columns": [5, 10]}, r"control 'columns' = \[5, 10\]: the name is taken"),
        (lambda n: {"x": [1, 2], "measured": [1]}, {"n": [1, 2]}, r"measure at n=1 returned .*'measured': 1"),
        (lambda n: {"x": [1, 2]}, {"n": [1, 2]}, r"measure at n=1 returned .* at least one other column"),
        (lambda n: {"x": [1], f"y{n}": [1]}, {"n": [1, 2]}, r"at n=2 returned columns \['x', 'y2'\], at n=1"),
        (lambda n: {"x": [1], "low": [1]}, {"n": [1, 2]}, r"column 'low' needs its partner 'high'"),
        (
            lambda n: {"x": range(30_000), "measured": [n + 0.1234] * 30_000},
            {"n": [1, 2]},
            r"2 settings make \d\d\d,\d\d\d bytes, more than 250,000",
        ),
    ],
)
def test_what_cannot_be_explored_is_refused_in_words(measured, controls, message):
    with pytest.raises(ValueError, match=f"gradlib.explore: .*{message}"):
        explore(measured, **LABELS, **controls)


def test_live_shows_its_controls_and_a_chart_that_follows_them(monkeypatch):
    shown = []
    module = sys.modules["gradlib.explore"]
    monkeypatch.setattr(module, "display", lambda value, **options: shown.append(value))
    live = all_controls().live()
    live._ipython_display_()
    widgets, chart = shown
    assert widgets["application/vnd.jupyter.widget-view+json"]["model_id"] == live.model_id
    assert live.name in chart.data and Elements(chart.data).count("gradlib-explorable") == 1
