"""Check everything: the code, the stored outputs, the homework, and the pages in a real browser."""

import subprocess
import sys
import time

import browser
import bubblewrap
from stages import NOTEBOOKS, ROOT, Result, Stage, conclude, run

OF_THE_PROJECT = [str(path) for path in sorted((ROOT / "tests").glob("test_*.py"))]
STAGES = [
    # Two workers with two threads each would fight for two cores.
    Stage(
        "code and homework",
        # The slowest first, so that both workers end together.
        [
            "tests/homework",
            "tests/notebooks",
            *OF_THE_PROJECT,
            "tests/gradlib",
            "--cov=gradlib",
            "--dist=worksteal",
        ],
        {"OMP_NUM_THREADS": "1"},
    ),
    # Float64 sums differ in their last digits between vector instructions; four printed digits must not.
    # Outputs are stored by all instructions of a machine, so they are compared with those of the plainest
    # processor, MKL's compatible path and one thread, in the address space of a small Binder machine.
    Stage(
        "notebooks",
        NOTEBOOKS,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
        address_space=2 * 2**30,
    ),
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
