"""Explorables: a measurement taken at every setting of its controls, for a reader to move through."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any
from uuid import uuid4

import ipywidgets
import numpy as np
from IPython.display import HTML, display
from numpy.typing import NDArray
from tqdm import tqdm

from gradlib import markup, plot
from gradlib.prose import number
from gradlib.setup import recording

Setting = Mapping[str, Any]
Columns = dict[str, NDArray[np.float64]]
Measure = Callable[..., Mapping[str, Iterable[float]]]
Say = Callable[..., str]

MIME = "application/vnd.gradlib.explorable+json"
LARGEST = 250_000  # bytes of data that one explorable may add to a page
SLOW = 0.05  # seconds; a slower measurement waits until the reader lets go of the slider

# A column whose name begins with one of these is drawn so; any other is a series of its own, a line.
ROLES = ("measured", "low", "high", "predicted")
# What tells series apart without colour: points by their shape, lines by their dashes.
SHAPES = (("circle", ""), ("square", "7 4"), ("triangle", "2 3"), ("diamond", "10 3 2 3"))
SPARE_COLOURS = ("selu", "leaky_relu", "tanh", "gelu", "elu", "sigmoid")


@dataclass(frozen=True)
class Control:
    """One thing the reader can change: a menu, a checkbox or a slider over `values`."""

    name: str
    values: tuple[Any, ...]
    kind: str

    @classmethod
    def over(cls, name: str, values: Iterable[Any]) -> Control:
        """The control that suits `values`. Raises ValueError where none does."""
        given = f"gradlib.explore: control {name!r} = {values!r}"
        is_list = isinstance(values, Iterable) and not isinstance(values, str)
        values = tuple(getattr(values, "tolist", lambda: values)()) if is_list else ()
        if len(values) < 2 or len(set(values)) < len(values):
            raise ValueError(f"{given} must list at least two values, each once")
        if name == "columns":
            raise ValueError(f"{given}: the name is taken by the first argument of `say`; choose another")
        if all(isinstance(value, bool) for value in values):
            return cls(name, values, "checkbox")
        if all(isinstance(value, str | bool | None) for value in values):
            return cls(name, values, "menu")
        if not all(isinstance(value, Real) for value in values):
            raise ValueError(f"{given} must hold either numbers (a slider) or names (a menu)")
        if any(right <= left for left, right in itertools.pairwise(values)):
            raise ValueError(f"{given} must increase, as a slider does")
        return cls(name, values, "slider")

    @property
    def start(self) -> int:
        """Index of the value shown first: the middle of a slider, the first of anything else."""
        return (len(self.values) - 1) // 2 if self.kind == "slider" else 0

    @property
    def described(self) -> dict[str, Any]:
        """What the page needs to know of the control."""
        texts = [_text(value) for value in self.values]
        return {"label": _text(self.name), "kind": self.kind, "values": texts, "start": self.start}

    def widget(self, quick: bool) -> ipywidgets.ValueWidget:
        """The control for a running kernel, where a slider takes every value between its ends.

        quick: whether to measure while a slider moves, or only once it rests.
        """
        options = {"description": _text(self.name), "value": self.values[self.start]}
        if self.kind == "checkbox":
            return ipywidgets.Checkbox(**options)
        if self.kind == "menu":
            return ipywidgets.Dropdown(options=[(_text(value), value) for value in self.values], **options)
        low, high = self.values[0], self.values[-1]
        options |= {"min": low, "max": high, "continuous_update": quick}
        if all(isinstance(value, Integral) for value in self.values):
            return ipywidgets.IntSlider(**options)
        return ipywidgets.FloatSlider(step=(high - low) / 200, readout_format=".3g", **options)


@dataclass
class Explorable:
    """What `explore` returns: it draws itself in a notebook and in the built book.

    `payload` is what travels: the axes, the controls, and every setting's columns and summary.
    """

    measure: Measure
    controls: Sequence[Control]
    title: str
    y: str
    log_y: bool
    say: Say | None

    def __post_init__(self) -> None:
        names = [control.name for control in self.controls]
        combinations = itertools.product(*(control.values for control in self.controls))
        settings = [dict(zip(names, values, strict=True)) for values in combinations]
        started = time.perf_counter()
        # On stdout, where a notebook shows the bar as a line that ends empty; a widget would stay behind.
        bar = tqdm(settings, self.title, leave=False, file=sys.stdout, delay=1, disable=recording())
        measured = [self.columns(setting) for setting in bar]
        self.seconds = (time.perf_counter() - started) / len(settings)
        self.payload = self.described(settings, measured)
        self.payload["controls"] = [control.described for control in self.controls]
        size = len(markup.compact(self.payload).encode())
        if size > LARGEST:
            raise ValueError(
                f"gradlib.explore: {len(settings)} settings make {size:,} bytes, more than {LARGEST:,}; "
                "give a control fewer values, or the columns fewer points"
            )

    def columns(self, setting: Setting) -> Columns:
        """What `measure` returns at `setting`, rounded to four significant digits."""
        columns = {
            str(name): np.array([_rounded(float(value)) for value in values])
            for name, values in self.measure(**setting).items()
        }
        sizes = {len(values) for values in columns.values()}
        if len(columns) < 2 or len(sizes) > 1 or 0 in sizes:
            lengths = ", ".join(f"{name!r}: {len(values)}" for name, values in columns.items())
            raise ValueError(
                f"gradlib.explore: measure at {_words(setting)} returned columns of lengths {{{lengths}}}; "
                "return the x axis and at least one other column, with one value per point"
            )
        return columns

    def summary(self, setting: Setting, columns: Columns) -> str:
        """One setting in words, the values that the chart cannot draw included."""
        sentence = self.say(columns, **setting) if self.say else _ends(columns)
        values = np.concatenate(list(columns.values())[1:])
        if lost := int(np.sum(~np.isfinite(values))):
            sentence += f" Not drawn, because not finite: {lost} of {values.size} values."
        if self.log_y and (flat := int(np.sum(np.isfinite(values) & (values <= 0)))):
            sentence += f" Not drawn, because a logarithmic axis has no zero: {flat} of {values.size} values."
        return sentence

    def described(self, settings: Sequence[Setting], measured: list[Columns]) -> dict[str, Any]:
        """What a chart of `settings` needs. A column that never changes is stored once."""
        names = list(measured[0])
        for setting, columns in zip(settings, measured, strict=True):
            if list(columns) != names:
                raise ValueError(
                    f"gradlib.explore: measure at {_words(setting)} returned columns {list(columns)}, at "
                    f"{_words(settings[0])} {names}; return the same columns at every setting"
                )
        described = _described(names)
        for name, column in zip(names, described, strict=True):
            written = {_written(columns[name]) for columns in measured}
            if len(written) == 1:
                column["values"] = written.pop()
        changing = [name for name, column in zip(names, described, strict=True) if "values" not in column]
        return {
            "title": self.title,
            "y": self.y,
            "log_y": self.log_y,
            # The axes stand still while the reader moves a control, so that only the data moves.
            "x_domain": _extent([columns[names[0]] for columns in measured]),
            "y_domain": _extent([columns[name] for columns in measured for name in names[1:]], self.log_y),
            "columns": described,
            # One line of text a setting: short in a stored notebook, and readable in its history.
            "settings": [
                f"[{','.join(_written(columns[name]) for name in changing)}]" for columns in measured
            ],
            "summaries": [self.summary(*pair) for pair in zip(settings, measured, strict=True)],
        }

    def live(self) -> Live:
        """Widgets for a running kernel: any value within the controls' range, measured at each move."""
        return Live(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        picture, alt = markup.picture(self.payload)
        bundle = {MIME: self.payload, "image/svg+xml": picture, "text/plain": alt}
        if not recording():
            bundle["text/html"] = markup.standalone(self.payload, picture)
        return bundle


class Live(ipywidgets.VBox):
    """The explorable's controls as widgets, and its chart; `columns` holds what was measured last."""

    def __init__(self, explorable: Explorable) -> None:
        self.explorable = explorable
        quick = explorable.seconds < SLOW
        self.widgets = {control.name: control.widget(quick) for control in explorable.controls}
        # Browsers show an HTML widget's text without running it: it carries the data to the chart.
        self.name = f"gl-live-{uuid4().hex}"
        self.carrier = ipywidgets.HTML().add_class(self.name)
        super().__init__([*self.widgets.values(), self.carrier])
        for widget in self.widgets.values():
            widget.observe(self.measure, "value")
        self.measure()

    def measure(self, _change: Any = None) -> None:
        """Measure at the widgets' present values, and hand the result to the chart."""
        setting = {name: widget.value for name, widget in self.widgets.items()}
        self.columns = self.explorable.columns(setting)
        self.payload = {**self.explorable.described([setting], [self.columns]), "controls": []}
        self.carrier.value = markup.data(self.payload)

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        axes = {name: self.explorable.payload[name] for name in ("x_domain", "y_domain")}
        display(HTML(markup.standalone(self.payload | axes, "", follow=self.name)))


def explore(
    measure: Measure,
    *,
    title: str,
    y: str,
    log_y: bool = False,
    say: Say | None = None,
    **controls: Iterable[Any],
) -> Explorable:
    """Measure at every combination of `controls`, for a reader to move through.

    measure(**setting) returns named columns of equal length. The first is the x axis. Names that
    begin with `measured` are drawn as points, `low` and `high` as the band between them, `predicted`
    as a line; what follows names the series (`measured relu`, `predicted relu`). Any other column
    is a line of its own. Values keep four significant digits.
    y: label of the vertical axis, with its unit; log_y gives it powers of ten.
    say(columns, **setting) returns the sentence that puts a setting into words: a screen reader
    speaks it, everyone else reads it below the chart. Without it, the ends of each column are told.
    controls: increasing numbers make a slider, names a menu, False and True a checkbox. A slider
    starts in the middle, the others at their first value.

    Raises ValueError where a control, a column or the amount of data does not allow this.
    """
    if not controls:
        raise ValueError("gradlib.explore: no control is given; name at least one, as in depth=[5, 10, 20]")
    chosen = [Control.over(name, values) for name, values in controls.items()]
    return Explorable(measure, chosen, title, y, log_y, say)


def _described(names: list[str]) -> list[dict[str, Any]]:
    """Role, series, colour and shape of each column, from its name."""
    x, *labels = map(_text, names)
    parts = [label.partition(" ") for label in labels]
    roles = [
        (role, series) if role in ROLES else ("series", f"{role} {series}".strip())
        for role, _, series in parts
    ]
    groups = list(dict.fromkeys(series for _, series in roles))
    described: list[dict[str, Any]] = [{"label": x, "role": "x"}]
    for label, (role, series) in zip(labels, roles, strict=True):
        partner = {"low": "high", "high": "low"}.get(role)
        if partner and (partner, series) not in roles:
            raise ValueError(
                f"gradlib.explore: column {label!r} needs its partner {partner!r} to make a band"
            )
        index = groups.index(series)
        if (colour := series.replace(" ", "_")) not in plot.COLOURS:
            usual = {"predicted": "predicted", "series": "ink"}.get(role, "measured")
            colour = usual if len(groups) == 1 else SPARE_COLOURS[index % len(SPARE_COLOURS)]
        shape, dashes = SHAPES[index % len(SHAPES)]
        look = {"colour": colour, "shape": shape, "dashes": dashes}
        described.append({"label": label, "role": role, "series": series, **look})
    return described


def _extent(columns: list[NDArray[np.float64]], positive: bool = False) -> list[float]:
    """Least and greatest value that can be drawn, never the same."""
    values = np.concatenate(columns)
    values = values[np.isfinite(values) & ((values > 0) | (not positive))]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 1.0)
    if low == high:
        return [low / 2, high * 2] if positive else [low - 0.5, high + 0.5]
    return [low, high]


def _ends(columns: Columns) -> str:
    """A sentence for want of a better one: how each column but the bands begins and ends."""
    ends = {_text(name): f"{number(v[0])} to {number(v[-1])}" for name, v in columns.items()}
    (x, across), *drawn = ends.items()
    told = [f"{name} from {end}" for name, end in drawn if name.partition(" ")[0] not in ("low", "high")]
    return f"From {x} {across}: {', '.join(told)}."


def _rounded(value: float) -> float:
    """Four significant digits; counts and widths stay whole."""
    return value if value.is_integer() and abs(value) < 1e6 else float(f"{value:.4g}")


def _written(values: NDArray[np.float64]) -> str:
    """A column as JSON: null for what is not finite, no zeros in exponents."""
    written = (f"{value:.6g}" if np.isfinite(value) else "null" for value in values)
    return f"[{','.join(written)}]".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _text(value: Any) -> str:
    """A name or a control's value as a reader sees it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(value):.4g}"
    return "none" if value is None else str(value).replace("_", " ")


def _words(setting: Setting) -> str:
    """A setting as it is written in Python."""
    return ", ".join(f"{name}={value!r}" for name, value in setting.items())
