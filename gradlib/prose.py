"""Sentences whose numbers come from the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral

from IPython.display import Markdown, display

SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"


def number(value: float) -> str:
    """A number as a reader wants it: whole numbers in full, others with three significant digits.

    3011 → '3,011', 0.05574 → '0.0557', 1.3e-12 → '1.3 × 10⁻¹²'.
    """
    if isinstance(value, Integral):
        return f"{value:,}".replace("-", "−")
    mantissa, _, exponent = f"{float(value):.3g}".partition("e")
    if not exponent:
        return mantissa.replace("-", "−")
    if exponent in ("+03", "+04"):
        return f"{float(f'{value:.3g}'):,.0f}".replace("-", "−")
    return f"{mantissa}\u00a0×\u00a0{power_of_ten(int(exponent))}".replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """−6 → '10⁻⁶': plain text, which needs no math fonts."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", SUPERSCRIPTS))


def spoken(text: str) -> str:
    """Powers of ten in words, for what is read aloud: '1.2e-24' → '1.2 times ten to the minus 24'."""

    def in_words(match: re.Match[str]) -> str:
        exponent = int(match[2].translate(str.maketrans(SUPERSCRIPTS, "-0123456789")))
        if -3 <= exponent <= 3:
            return f"{float(match[1]) * 10.0**exponent:g}"
        return f"{match[1]} times ten to the {exponent}".replace("-", "minus ")

    return re.sub(rf"(\d+(?:\.\d+)?)(?:e|\s×\s10)([+-]\d+|[{SUPERSCRIPTS}]+)", in_words, text)


def say(sentence: str, *values: float, **named: float) -> None:
    """Print a sentence of the book whose numbers come from the run.

    sentence: Markdown with `{}` or `{name}` where the numbers go; each is written by `number`.
    """
    written = {name: number(value) for name, value in named.items()}
    display(Markdown(sentence.format(*map(number, values), **written)))


def table(heads: Sequence[str], rows: Iterable[Sequence[str | float]]) -> None:
    """Show a small table: text as it stands, numbers written by `number`.

    heads: one for each column. The first column names the row; the others are set to the right.
    """
    display(Markdown(as_markdown(heads, rows)))


def as_markdown(heads: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """The text of a `table`."""
    lines = [
        [cell if isinstance(cell, str) else number(cell) for cell in line]
        for line in [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
