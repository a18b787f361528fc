"""A notebook opened where gradlib is missing: it says how to get it, or gets it, and then runs."""

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from execution import ROOT, code_cells
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHAPTER = ROOT / "notebooks" / "00-neighbours.ipynb"  # the one that takes least
ALREADY_THERE = ["torch", "numpy", "matplotlib", "ipywidgets", "ipykernel"]  # as in Colab
URL = "https://github.com/someone/some-book"


@dataclass(frozen=True)
class Environment:
    """A Python of its own, and the kernel that runs in it."""

    python: Path
    variables: dict[str, str]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that has what Colab has, and nothing else of ours."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home / "venv", with_pip=True)
    (site_packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    for name in with_requirements(ALREADY_THERE):
        link_distribution(metadata.distribution(name), site_packages)
    kernel = home / "jupyter" / "kernels" / "bare"
    kernel.mkdir(parents=True)
    python = home / "venv" / "bin" / "python"
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "bare"}))
    variables = {
        "JUPYTER_PATH": str(home / "jupyter"),
        "GRADLIB_RECORD": "1",
        # Pip adds to this environment; what is linked into it must stay as it is.
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    return Environment(python, {**os.environ, **variables})


def with_requirements(names: list[str]) -> set[str]:
    """`names`, and the names of all that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or [])
            waiting += [
                one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
    return found


def link_distribution(distribution: metadata.Distribution, site_packages: Path) -> None:
    """Links take no time and no space; PyTorch alone is most of a gigabyte."""
    tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for top in tops:
        link = site_packages / top
        if not link.exists():
            link.symlink_to(distribution.locate_file(top))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The project as somebody publishes it: named, and in git."""
    made = shutil.ignore_patterns(".git", ".venv", "_build", "*.egg-info", "*_cache", "__pycache__")
    copy = shutil.copytree(ROOT, tmp_path / "published", ignore=made)
    subprocess.run([sys.executable, "scripts/repository.py", URL], cwd=copy, check=True)
    git = ["git", "-C", copy, "-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Publish"]):
        subprocess.run([*git, *command], check=True)
    return copy


def first_cell(notebook: Path) -> str:
    return code_cells(nbformat.read(notebook, as_version=4))[0].source


def test_without_gradlib_the_first_cell_says_how_to_install_it(bare: Environment, tmp_path: Path) -> None:
    result = subprocess.run(
        [bare.python, "-c", first_cell(CHAPTER)], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode != 0
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: gradlib is not installed.")
    assert "pip install -c constraints.txt -e ." in last


def test_in_colab_the_first_cell_installs_gradlib_and_the_chapter_gives_what_is_stored(
    bare: Environment, repository: Path, tmp_path: Path
) -> None:
    chapter = tmp_path / CHAPTER.name
    notebook: NotebookNode = nbformat.read(repository / "notebooks" / CHAPTER.name, as_version=4)
    cell = code_cells(notebook)[0]
    assert URL in cell.source
    cell.source = cell.source.replace(URL, f"file://localhost{repository}")
    nbformat.write(notebook, chapter)

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-kernel-name=bare", chapter],
        cwd=tmp_path,
        env=bare.variables,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stdout


def test_what_binder_installs_exists(bare: Environment) -> None:
    result = subprocess.run(
        [bare.python, "-m", "pip", "install", "-q", "--dry-run", "-r", "binder/requirements.txt"],
        cwd=ROOT,
        env=bare.variables,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
