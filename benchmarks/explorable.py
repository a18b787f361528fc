"""One redraw of an explorable with 500 settings in headless Chromium, against one frame of a screen.

A redraw is the script's work and the browser's layout of what it drew; the data that it draws from is
counted in bytes. Of three rounds the least disturbed by other programs counts. Fails beyond the promised
time or size.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from playwright.sync_api import Page, sync_playwright

import gradlib
from gradlib import markup
from gradlib.explore import LARGEST, explore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import browser

FRAME = 16.0  # ms
MOVES, ROUNDS = 200, 3
REDRAW = """([control, value]) => {
    const explorable = document.querySelector("gradlib-explorable");
    const input = explorable.controls[control];
    input.value = value;
    const start = performance.now();
    explorable.changed();
    cancelAnimationFrame(explorable.frame);
    explorable.redraw();
    explorable.chart.querySelector("svg").getBBox();
    return performance.now() - start;
}"""


def measure(depth: int, weight_scale: float) -> dict[str, np.ndarray]:
    """Fifty values, invented: ten layers of measurement, its band and a prediction."""
    layers = np.arange(1, 11)
    predicted = (weight_scale / 10) ** (10 - layers) / depth
    runs = predicted * np.random.default_rng(depth).lognormal(0, 0.3, (5, 10))
    return {
        "layer": layers,
        "measured": np.median(runs, axis=0),
        "low": runs.min(axis=0),
        "high": runs.max(axis=0),
        "predicted": predicted,
    }


def page(folder: Path, element: str) -> Path:
    """A page with one explorable, as the built book has it."""
    for name in ("chart.js", "explorable.js", "explorable.css"):
        (folder / name).write_bytes((markup.STATIC / name).read_bytes())
    file = folder / "index.html"
    file.write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="explorable.css">'
        f'<script defer src="explorable.js"></script><body style="max-width: 44rem">{element}'
    )
    return file


def redraws(page: Page) -> list[float]:
    """Milliseconds of each of many moves of the two sliders."""
    page.wait_for_selector(".gl-chart svg[aria-label]")
    moves = random.Random(0)
    return [
        page.evaluate(REDRAW, [control, moves.randrange((25, 20)[control])])
        for control in [0, 1] * (MOVES // 2)
    ]


def main() -> None:
    gradlib.setup()
    explorable = explore(
        measure,
        title="Squared gradient at each of ten layers",
        y="squared gradient, relative to the last layer",
        log_y=True,
        say=lambda columns, depth, weight_scale: (
            f"At depth {depth} and σ_w = {weight_scale}, the first layer receives "
            f"{gradlib.number(columns['measured'][0])} of the squared gradient."
        ),
        depth=range(1, 26),
        weight_scale=range(1, 21),
    )
    size = len(markup.compact(explorable.payload).encode())
    picture, _ = markup.picture(explorable.payload)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = browser.start(playwright)
        if chromium is None:
            sys.exit(browser.HELP)
        view = chromium.new_page()
        view.goto(page(Path(folder), markup.element(explorable.payload, picture)).as_uri())
        rounds = [redraws(view) for _ in range(ROUNDS)]
        chromium.close()
    slow, times = min((quantiles(times, n=20)[-1], times) for times in rounds)
    print(
        f"{len(explorable.payload['settings'])} settings of 50 values: {size:,} bytes (at most {LARGEST:,})"
    )
    print(f"one redraw: median {median(times):.1f} ms, p95 {slow:.1f} ms (at most {FRAME:.0f} ms)")
    if slow > FRAME:
        sys.exit("too slow")


if __name__ == "__main__":
    main()
