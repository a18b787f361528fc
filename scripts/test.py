"""Check everything: the code, the stored outputs, the homework, and the pages in a real browser."""

import subprocess
import sys
import time

import browser
import bubblewrap
from stages import ROOT, Result, Stage, conclude, run

STAGES = [
    # Two workers with two threads each would fight for two cores.
    Stage(
        "code",
        ["tests", "--ignore=tests/book", "--ignore=tests/homework", "--cov=gradlib", "--dist=worksteal"],
        {"OMP_NUM_THREADS": "1"},
    ),
    Stage("notebooks", ["--nbval", "notebooks", "--dist=loadfile"]),
    Stage("homework", ["tests/homework", "--dist=worksteal"]),
    Stage("pages", ["tests/book", "--dist=loadgroup"]),
]


def build() -> Result:
    began = time.monotonic()
    status = subprocess.run([sys.executable, "scripts/build.py"], cwd=ROOT).returncode
    return Result("book", time.monotonic() - began, broke=status != 0)


if __name__ == "__main__":
    browser.ensure()
    bubblewrap.ensure()
    conclude([build(), *map(run, STAGES)])
