"""The domains of the formulas, checked with one wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray


def positive(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is finite and > 0; `where` is the function that asks."""
    _require(where, values, lambda x: np.isfinite(x) & (x > 0), "a finite number > 0")


def non_negative(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is finite and ≥ 0."""
    _require(where, values, lambda x: np.isfinite(x) & (x >= 0), "a finite number ≥ 0")


def counts(where: str, **values: ArrayLike) -> None:
    """Raise ValueError unless every value is a whole number of at least 1."""
    _require(where, values, lambda x: (x >= 1) & (x == np.round(x)), "whole numbers ≥ 1")


def _require(
    where: str,
    values: Mapping[str, ArrayLike],
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    expected: str,
) -> None:
    for name, value in values.items():
        numbers = np.asarray(value)
        if numbers.size == 0 or not np.all(holds(numbers)):
            raise ValueError(f"gradlib.theory.{where}: {name}={numbers}; expected {expected}")
