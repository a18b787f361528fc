"""The project is well beyond its code: style, types, workflows, citation, versions, size."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import size
import yaml
from execution import ROOT

import gradlib

BIN = Path(sys.executable).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MADE = {
    ".git",
    ".coverage",
    ".venv",
    "_build",
    "build",
    "dist",
    "node_modules",
    "__pycache__",
    ".ipynb_checkpoints",
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def succeeds(*command: str | Path) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def files() -> Iterator[Path]:
    """Every file of the project, without what the commands make."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in MADE and not name.endswith((".egg-info", "_cache"))
        ]
        yield from (Path(folder) / name for name in names if name not in MADE)


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_the_code_follows_the_style(check: list[str]) -> None:
    succeeds(BIN / "ruff", *check, ".")


def test_the_types_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mypy looks for packages by their folders' names, and two live in folders with plainer ones."""
    for package, folder in PYPROJECT["tool"]["setuptools"]["package-dir"].items():
        (tmp_path / package).symlink_to(ROOT / folder, target_is_directory=True)
    monkeypatch.setenv("MYPYPATH", str(tmp_path))
    succeeds(BIN / "mypy")


def test_gradlib_can_be_read_in_a_day() -> None:
    assert size.total() <= size.MOST, "`python scripts/size.py` shows which module has grown"


def test_docstrings_comments_and_blank_lines_are_not_counted() -> None:
    source = (
        '"""A module."""\n\n# why\nx = 1  # one\n"""What x is."""\n\n\ndef f():\n    """Returns\n    x."""\n'
    )
    assert size.lines(source + "    return (\n        x\n    )\n") == 5


# ——— what the world sees ———


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_form_that_github_reads(workflow: Path) -> None:
    succeeds(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow)


def test_no_workflow_gives_away_more_than_it_needs() -> None:
    succeeds(BIN / "zizmor", "--offline", "--no-progress", *WORKFLOWS)


def test_every_workflow_says_which_failure_it_exists_for() -> None:
    for workflow in WORKFLOWS:
        assert re.search(r"^# Fails when ", workflow.read_text(), re.MULTILINE), workflow.name


def test_the_citation_can_be_read() -> None:
    succeeds(BIN / "check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff")


def test_one_version_everywhere() -> None:
    project = PYPROJECT["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert gradlib.__version__ == project["version"] == str(citation["version"])


def test_constraints_name_a_version_for_every_dependency() -> None:
    project = PYPROJECT["project"]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.match(r"[\w.-]+", requirement).group().lower() for requirement in wanted}
    assert names - pinned == set()


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    places = "|".join(re.escape(f"{place}{os.sep}") for place in (ROOT, Path.home()) if place.name)
    told = [
        path.relative_to(ROOT)
        for path in files()
        if re.search(rf"(?<![\w./-])(?:{places})", path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert told == []


# ——— `make repository` ———


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project in a folder of its own."""
    for path in files():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return tmp_path


def name_repository(copy: Path, url: str) -> None:
    subprocess.run([sys.executable, "scripts/repository.py", url], cwd=copy, check=True)


def contents(copy: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}


def test_naming_the_repository_and_unnaming_it_changes_nothing(copy: Path) -> None:
    before = contents(copy)
    name_repository(copy, "https://github.com/someone/some-book")
    named = {path.name for path, text in contents(copy).items() if text != before[path]}
    assert "_config.yml" in named
    assert {path.name for path in (copy / "notebooks").glob("*.ipynb")} <= named
    name_repository(copy, "")
    assert contents(copy) == before
