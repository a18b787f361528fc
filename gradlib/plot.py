"""One look for every figure: measured is points, predicted is a line, the spread over seeds is a band."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any
from xml.sax.saxutils import escape

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from gradlib.prose import power_of_ten, spoken

# Chosen for the common forms of colour blindness; the built book maps each to a light and a dark value.
COLOURS = {
    "ink": "#1f2933",
    "muted": "#66727f",
    "grid": "#dfe4ea",
    "measured": "#1f6fb2",
    "predicted": "#c8500a",
    "gradient": "#1d5fa8",
    "length": "#8a5a1c",
    "sigmoid": "#8f3fb0",
    "tanh": "#0b7f74",
    "relu": "#b3263e",
    "leaky_relu": "#d0761b",
    "elu": "#4d7c0f",
    "selu": "#3550c7",
    "gelu": "#a1307f",
    "silu": "#0e7490",
    "identity": "#5b6470",
}
DIGITS = 4


def use_style() -> None:
    """Set matplotlib's defaults to the book's look, with output that does not vary from run to run."""
    ink, muted = COLOURS["ink"], COLOURS["muted"]
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "savefig.transparent": True,
            "svg.fonttype": "none",
            "svg.hashsalt": "gradlib",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": muted,
            "axes.labelcolor": ink,
            "axes.titlesize": 10,
            "axes.titlecolor": ink,
            "axes.titlelocation": "left",
            "axes.unicode_minus": True,
            "text.color": ink,
            "xtick.color": muted,
            "ytick.color": muted,
            "xtick.labelcolor": ink,
            "ytick.labelcolor": ink,
            "axes.grid": True,
            "grid.color": COLOURS["grid"],
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "legend.frameon": False,
            "axes.formatter.use_mathtext": False,
        }
    )


def axes(x: str, y: str, log_y: bool = False, columns: int = 1, share_y: bool = True) -> tuple[Figure, Any]:
    """A figure with `columns` panels side by side (a single Axes, or an array of them).

    x, y: axis labels, with their unit. log_y: powers of ten on the vertical axis. share_y: one vertical
    axis for all panels.
    """
    figure, panels = plt.subplots(1, columns, sharey=share_y)
    for panel in np.atleast_1d(panels):
        panel.set_xlabel(x)
        if log_y:
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(power_of_ten_tick)
    np.atleast_1d(panels)[0].set_ylabel(y)
    return figure, panels


def power_of_ten_tick(value: float, _position: int) -> str:
    """How a logarithmic axis writes its ticks; those too small for a number stay empty."""
    return power_of_ten(round(np.log10(value))) if value > 0 else ""


def rounded(values: ArrayLike) -> NDArray[np.float64]:
    """`values` to four significant digits, so that a drawing does not depend on the processor."""
    array = np.asarray(values, dtype=float)
    return np.array([float(f"{value:.{DIGITS - 1}e}") for value in array.ravel()], dtype=float).reshape(
        array.shape
    )


def predicted(
    panel: Axes, x: ArrayLike, y: ArrayLike, label: str = "predicted", colour: str = "predicted"
) -> None:
    """Draw what theory says as a line."""
    panel.plot(rounded(x), rounded(y), color=COLOURS[colour], label=label, zorder=3)


def measured(
    panel: Axes,
    x: ArrayLike,
    samples: ArrayLike,
    label: str = "measured",
    colour: str = "measured",
    marker: str = "o",
) -> None:
    """Draw what was measured: the median over seeds as points, lowest to highest seed as a band.

    samples: (seeds, len(x)), or (len(x),) for a single run, which has no band.
    """
    runs = np.atleast_2d(np.asarray(samples, dtype=float))
    x, middle = rounded(x), rounded(np.median(runs, axis=0))
    panel.plot(x, middle, marker, color=COLOURS[colour], label=label, zorder=4)
    if len(runs) > 1:
        _band(panel, x, runs, colour)


def curve(
    panel: Axes, samples: ArrayLike, label: str = "measured", colour: str = "measured", every: int = 5
) -> None:
    """Draw training curves, too dense for points: median over seeds as a line, all seeds as a band.

    samples: (seeds, steps); drawn at one step in `every`.
    """
    runs = np.asarray(samples, dtype=float)[:, ::every]
    steps = np.arange(runs.shape[1]) * every
    panel.plot(steps, rounded(np.median(runs, axis=0)), color=COLOURS[colour], label=label, zorder=3)
    _band(panel, steps, runs, colour)


def _band(panel: Axes, x: ArrayLike, runs: NDArray[np.float64], colour: str) -> None:
    """The spread over seeds, lowest to highest."""
    low, high = rounded(runs.min(axis=0)), rounded(runs.max(axis=0))
    panel.fill_between(x, low, high, color=COLOURS[colour], alpha=0.2, linewidth=0, zorder=2)


def svg(figure: Figure, alt: str) -> str:
    """`figure` as SVG text that is the same at every run, with `alt` as its accessible name.

    Powers of ten in `alt` are put into words. Raises ValueError without alt text: every figure of the
    book has one.
    """
    if not alt.strip():
        raise ValueError("gradlib.plot: alt is empty; describe what the figure shows, with its values")
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    document = stream.getvalue()
    opening = document.index("<svg")
    end = document.index(">", opening)
    name = escape(spoken(alt))
    return f'{document[opening:end]} role="img"><title>{name}</title>{document[end + 1 :].rstrip()}\n'


def show(figure: Figure, alt: str, caption: str) -> None:
    """Publish `figure` with its alternative text and its caption, both written from measured values.

    alt: what a reader who cannot see it needs, in words and numbers. caption: Markdown, what to look at.
    """
    display({"image/svg+xml": svg(figure, alt), "text/plain": spoken(alt)}, raw=True)
    display({"text/markdown": caption, "text/plain": caption}, raw=True, metadata={"gradlib": "caption"})


def assert_agrees(measured: ArrayLike | Sequence[float], predicted: ArrayLike, within: float) -> None:
    """Check theory against measurement: every relative error of the mean over seeds stays `within`.

    measured: (seeds, …); predicted: the rest of that shape, or one number. within: a relative
    tolerance, 0.05 for 5 %. Prints it where they agree; raises AssertionError where they do not.
    """
    mean = np.asarray(measured, dtype=float).mean(axis=0)
    error = float(np.max(np.abs(mean / np.asarray(predicted, dtype=float) - 1)))
    tolerance = f"{100 * within:.3g} %"
    if not error <= within:  # a plain assert would vanish under python -O
        raise AssertionError(f"measured differs from predicted by {100 * error:.3g} %, over {tolerance}")
    print(f"measured and predicted agree within {tolerance}")
