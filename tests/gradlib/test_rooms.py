"""Prediction and measurement never import each other, so that their agreement means something."""

import ast
from pathlib import Path

import pytest

import gradlib

PACKAGE = Path(gradlib.__file__).parent
BUILD = {"activations", "data", "initialize", "nets", "recurrent", "residual", "transformer"}
MEASURE = {"flow", "jacobian", "lattice", "paths", "through_time", "training"}
SHOW = {"explore", "markup", "plot", "prose", "setup"}
PREDICT = {"theory"}


def rooms_used_by(room: str) -> set[str]:
    """Names of gradlib's modules that the files of `room` import, wherever in the file they do."""
    folder = PACKAGE / room
    files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    names: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file.name}: a relative import hides which room it enters"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {".".join(part[1:2]) for part in parts if part[0] == "gradlib"} - {room}


def test_every_module_belongs_to_a_room():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/*.py")
    }
    assert modules - {"__init__"} == BUILD | MEASURE | SHOW | PREDICT


def test_prediction_uses_nothing_of_the_library():
    assert rooms_used_by("theory") == set()


@pytest.mark.parametrize("room", sorted(BUILD | MEASURE | SHOW))
def test_only_readers_bring_prediction_and_measurement_together(room):
    used = rooms_used_by(room)
    assert not used & PREDICT
    assert "" not in used  # `import gradlib` would bring all of it
    if room in BUILD:
        assert used <= BUILD
