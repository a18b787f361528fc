"""One call that makes a notebook's numbers the same on every machine."""

from __future__ import annotations

import os

import torch
from matplotlib_inline.backend_inline import set_matplotlib_formats

from gradlib import plot


def recording() -> bool:
    """Whether outputs are made to be stored and compared, rather than for a person at a kernel."""
    return os.environ.get("GRADLIB_RECORD") == "1"


def setup(seed: int = 0) -> None:
    """Prepare a notebook: float64, a seed, deterministic algorithms, one thread, the book's figures.

    Small matrices run faster on one thread than on several that compete; set OMP_NUM_THREADS to
    choose otherwise.
    """
    torch.set_default_dtype(torch.float64)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, but loads no compiler
    # A sixth of the time of training small networks went into filling memory that is written at once.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    set_matplotlib_formats("svg")
    plot.use_style()
