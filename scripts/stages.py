"""Run pytest in stages, and end with one line for each and one for all."""

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "_build" / "results"
# More workers than four would need more memory than many machines have.
WORKERS = min(4, max(2, os.cpu_count() or 2))
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", str(WORKERS)]
NOTEBOOKS = ["--nbval", "notebooks", "--dist=loadfile"]


@dataclass(frozen=True)
class Stage:
    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """added to that of this process"""
    address_space: int | None = None
    """bytes that each process may map, where the system holds it to them; None for no limit"""


@dataclass(frozen=True)
class Result:
    name: str
    seconds: float
    tests: int = 0
    failed: int = 0
    skipped: int = 0
    broke: bool = False
    """whether something went wrong that is no failed test"""


def run(stage: Stage) -> Result:
    print(f"\n——— {stage.name} ———", flush=True)
    report = RESULTS / f"{stage.name.replace(' ', '-')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)

    def limit() -> None:
        if stage.address_space and sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (stage.address_space, stage.address_space))

    began = time.monotonic()
    status = subprocess.run(
        [*PYTEST, *stage.arguments, f"--junitxml={report}"],
        cwd=ROOT,
        env={**os.environ, **stage.environment},
        preexec_fn=limit,
    ).returncode
    seconds = time.monotonic() - began
    if not report.exists():
        return Result(stage.name, seconds, broke=True)
    counts = ElementTree.parse(report).getroot()[0].attrib
    failed = int(counts["failures"]) + int(counts["errors"])
    return Result(
        stage.name,
        seconds,
        tests=int(counts["tests"]),
        failed=failed,
        skipped=int(counts["skipped"]),
        # Pytest ends with 1 for a failed test, and for too little coverage.
        broke=status not in (0, 1) or (status == 1 and not failed),
    )


def conclude(results: list[Result]) -> None:
    """Print what came of each stage and of all, and end the program accordingly."""
    print()
    for result in results:
        outcome = "BROKE, see above" if result.broke else f"{result.failed} failed"
        print(
            f"{result.name:<26} {result.tests:4} tests, {outcome}, "
            f"{result.skipped} skipped, {result.seconds:.0f} s"
        )
    failed = sum(result.failed for result in results)
    passed = sum(result.tests - result.skipped for result in results) - failed
    is_good = not failed and not any(result.broke for result in results)
    print(f"{'PASSED' if is_good else 'FAILED'}: {passed} passed, {failed} failed")
    sys.exit(0 if is_good else 1)
