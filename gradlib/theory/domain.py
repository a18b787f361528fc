"""The domains of the formulas, checked with one wording."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def positive(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is finite and > 0; `where` is the function that asks."""
    for name, value in values.items():
        if not np.all(np.isfinite(value) & (np.asarray(value) > 0)):
            raise ValueError(
                f"gradlib.theory.{where}: {name}={np.asarray(value)}; expected a finite number > 0"
            )


def non_negative(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is finite and ≥ 0."""
    for name, value in values.items():
        if not np.all(np.isfinite(value) & (np.asarray(value) >= 0)):
            raise ValueError(
                f"gradlib.theory.{where}: {name}={np.asarray(value)}; expected a finite number ≥ 0"
            )


def counts(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is a whole number of at least 1."""
    for name, value in values.items():
        numbers = np.asarray(value)
        if numbers.size == 0 or not np.all((numbers >= 1) & (numbers == np.round(numbers))):
            raise ValueError(
                f"gradlib.theory.{where}: {name}={np.asarray(value)}; expected whole numbers ≥ 1"
            )
