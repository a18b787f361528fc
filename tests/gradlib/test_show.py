"""Figures, sentences and the set-up: the same at every run, and readable without seeing them."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from gradlib import assert_agrees, number, plot, say, setup, table
from gradlib.prose import spoken


@pytest.fixture(autouse=True)
def notebook():
    """Outputs go where a notebook's outputs go."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def drawing(values):
    plot.use_style()
    figure, panel = plot.axes("layer", "squared gradient", log_y=True)
    plot.measured(panel, [1, 2, 3], values)
    plot.predicted(panel, [1, 2, 3], [1.0, 0.1, 0.01])
    return plot.svg(figure, alt="falls from 1 to 0.01 & below")


RUNS = np.array([[1.0, 0.11, 0.012], [1.0, 0.1, 0.01], [1.0, 0.09, 0.013]])


def test_figure_is_the_same_at_every_run():
    assert drawing(RUNS) == drawing(RUNS)


def test_figure_does_not_depend_on_the_last_digits():
    assert drawing(RUNS) == drawing(RUNS * (1 + 1e-9))


def test_figure_changes_with_its_data():
    assert drawing(RUNS) != drawing(RUNS * 1.01)


def test_figure_has_an_accessible_name_and_real_text():
    root = ET.fromstring(drawing(RUNS))
    assert root.get("role") == "img"
    assert root[0].text == "falls from 1 to 0.01 & below"
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "layer" in words
    assert "10⁻²" in words


def test_figure_without_alt_text_is_refused():
    figure, _ = plot.axes("x", "y")
    with pytest.raises(ValueError, match="alt is empty"):
        plot.svg(figure, alt=" ")


def test_show_publishes_the_figure_then_its_caption():
    figure, _ = plot.axes("x", "y")
    with capture_output() as captured:
        plot.show(figure, alt="an empty plot", caption="**Look** here.")
    picture, caption = captured.outputs
    assert picture.data["image/svg+xml"].startswith("<svg")
    assert picture.data["text/plain"] == "an empty plot"
    assert caption.data["text/markdown"] == "**Look** here."


@pytest.mark.parametrize(
    ("value", "digits"), [(1.23456, 1.235), (-9.99996e-12, -1e-11), (0.0, 0.0), (123456.0, 123500.0)]
)
def test_rounded_keeps_four_digits(value, digits):
    assert plot.rounded([value])[0] == digits


def test_rounded_keeps_what_is_not_finite():
    assert np.isnan(plot.rounded([np.nan])[0])
    assert plot.rounded([np.inf])[0] == np.inf


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.05574, "0.0557"),
        (1.3e-12, "1.3\u00a0×\u00a010⁻¹²"),
        (-2.5e7, "−2.5\u00a0×\u00a010⁷"),
        (3011, "3,011"),
        (3011.4, "3,010"),
        (np.int64(20), "20"),
        (-0.5, "−0.5"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_for_people(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("falls to 1.2e-24 at layer 1", "falls to 1.2 times ten to the minus 24 at layer 1"),
        ("from 3\u00a0×\u00a010⁻¹² to 5e+03", "from 3 times ten to the minus 12 to 5000"),
        ("12.5e-3 of it", "0.0125 of it"),
        ("σ_w² = 2, x₁, 10 × 10 units", "σ_w² = 2, x₁, 10 × 10 units"),
    ],
)
def test_powers_of_ten_are_put_into_words(written, said):
    assert spoken(written) == said


def test_say_writes_its_numbers_into_the_sentence():
    with capture_output() as captured:
        say("From {} to {last}.", 1.0, last=1e-6)
    assert captured.outputs[0].data["text/markdown"] == "From 1 to 1\u00a0×\u00a010⁻⁶."


def test_a_table_keeps_text_and_writes_numbers():
    with capture_output() as captured:
        table(["", "layers", "share"], [["relu", 50, 0.05574], ["tanh", 5, "13 %"]])
    assert captured.outputs[0].data["text/markdown"].splitlines() == [
        "|  | layers | share |",
        "| --- | --: | --: |",
        "| relu | 50 | 0.0557 |",
        "| tanh | 5 | 13 % |",
    ]


def test_agreement_is_of_the_mean_over_seeds():
    measured = [[0.9, 2.1], [1.1, 1.9]]
    assert_agrees(measured, [1.0, 2.0], within=1e-9)
    with pytest.raises(AssertionError, match=r"differs from predicted by 10 %, over 5 %"):
        assert_agrees(measured, [1.0, 20 / 11], within=0.05)


def test_a_logarithmic_axis_reaches_the_smallest_numbers():
    figure, panel = plot.axes("layer", "squared gradient", log_y=True)
    plot.measured(panel, [1, 2, 3], [1e-307, 1e-150, 1.0])
    assert "10⁻²" in plot.svg(figure, alt="It vanishes.")  # of 10⁻²⁰⁰, or whichever ticks there are


def test_agreement_fails_on_what_is_not_a_number():
    with pytest.raises(AssertionError):
        assert_agrees([[float("nan")]], [1.0], within=0.1)


def test_setup_makes_numbers_repeatable():
    setup(seed=3)
    first = torch.randn(4)
    setup(seed=3)
    assert torch.equal(first, torch.randn(4))
    assert torch.get_default_dtype() == torch.float64
    assert torch.are_deterministic_algorithms_enabled()
