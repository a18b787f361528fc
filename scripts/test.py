"""Check everything: the code, the stored outputs, and the pages in a real browser."""

import subprocess
import sys
import time

import browser
from stages import ROOT, Result, Stage, conclude, run

STAGES = [
    Stage("code", ["tests", "--ignore=tests/book", "--cov=gradlib"]),
    Stage("notebooks", ["--nbval", "notebooks"]),
    Stage("pages", ["tests/book"]),
]


def build() -> Result:
    began = time.monotonic()
    status = subprocess.run([sys.executable, "scripts/build.py"], cwd=ROOT).returncode
    return Result("book", time.monotonic() - began, broke=status != 0)


if __name__ == "__main__":
    browser.ensure()
    conclude([build(), *map(run, STAGES)])
