"""Notebooks are compared as they were recorded, and the run ends with what each one cost."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from execution import peak_bytes
from nbval.plugin import IPyNbCell


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """The kernel starts with a notebook's first cell, and takes over the environment of that moment."""
    recorded = {"GRADLIB_RECORD": "1"} if isinstance(item, IPyNbCell) else {}
    with mock.patch.dict(os.environ, recorded):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    result = yield
    if isinstance(item, IPyNbCell):
        kernel = item.parent.kernel.km.provisioner.process
        item.user_properties.append(("kernel bytes", peak_bytes(kernel.pid)))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell_costs(terminalreporter)
    tell_attacks(terminalreporter)


def tell_attacks(terminalreporter: pytest.TerminalReporter) -> None:
    """What the hostile submissions to the homework grader came to, and what a batch cost."""
    attacks: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    costs = []
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        told = dict(report.user_properties)
        if "batch" in told:
            costs.append(told["batch"])
        if "hostile" in told:
            family, unfair, harmed = told["hostile"]
            attacks[family].append((unfair, harmed))
    if attacks or costs:
        terminalreporter.section("homework")
    for cost in costs:
        terminalreporter.line(cost)
    if attacks:
        attacks["all of them"] = [outcome for family in attacks.values() for outcome in family]
    for family, outcomes in attacks.items():
        unfair, harmed = map(sum, zip(*outcomes, strict=True))
        terminalreporter.line(
            f"{family:<20} {len(outcomes):4} hostile submissions, {unfair} wrongly graded, {harmed} harmed"
        )


def tell_costs(terminalreporter: pytest.TerminalReporter) -> None:
    seconds: dict[str, float] = defaultdict(float)
    peak: dict[str, int] = {}
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        path = Path(getattr(report, "nodeid", "").split("::")[0])
        if path.suffix != ".ipynb":
            continue
        seconds[path.stem] += report.duration
        if held := dict(report.user_properties).get("kernel bytes"):
            peak[path.stem] = max(held, peak.get(path.stem, 0))
    if seconds:
        terminalreporter.section("time and peak memory of each notebook")
    for name in sorted(seconds):
        memory = f"{peak[name] / 1e9:6.2f} GB" if name in peak else "memory not known"
        terminalreporter.line(f"{name:<36} {seconds[name]:6.1f} s {memory}")
