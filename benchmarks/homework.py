"""Grading one submission against importing PyTorch once; fails above the promised ratio.

A submission is graded in a sandbox of its own, and PyTorch is imported in it: that is the floor. Both are
measured in turn, one at a time, so that both see the same load.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import nbformat

from gradlib_homework import release
from gradlib_homework.examination import grade

ASSIGNMENT = Path(release.__file__).parents[1] / "03-relu" / "03-relu.ipynb"
REPEATS, PROMISED = 5, 3.0


def seconds_to_import() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return perf_counter() - began


def main() -> None:
    content = ASSIGNMENT.read_bytes()
    untouched = nbformat.writes(release.student_version(content, ASSIGNMENT.stem)).encode()
    grade(content, content)  # the first call pays for imports here, as that of each worker does
    for name, submission in {"all answers right": content, "nothing answered": untouched}.items():
        seconds, floors, peak = [], [], 0
        for _ in range(REPEATS):
            floors.append(seconds_to_import())
            result = grade(content, submission)
            seconds.append(result["seconds"])
            peak = max(peak, result["peak"])
        ratio = median(spent / floor for spent, floor in zip(seconds, floors, strict=True))
        print(
            f"{ASSIGNMENT.stem}, {name}: {median(seconds):.1f} s a submission with one worker, "
            f"{ratio:.2f} × importing PyTorch (promised {PROMISED} ×), {peak >> 20} MiB in the sandbox"
        )
        if ratio > PROMISED:
            raise SystemExit(f"benchmarks/homework.py: {ratio:.1f} × is above the promised {PROMISED} ×")


if __name__ == "__main__":
    main()
