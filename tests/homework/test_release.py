"""The student version is the one that nbgrader makes; the command says what it did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.apps import NbGraderAPI
from small import SMALL
from traitlets.config import Config

from gradlib_homework import __main__ as command
from gradlib_homework import release
from gradlib_homework.assignment import assignments
from gradlib_homework.checks import Wrong, close


def test_nbgrader_makes_the_same_student_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source" / "small"
    source.mkdir(parents=True)
    (source / "small.ipynb").write_bytes(SMALL)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")  # for alembic
    config = Config(release.STUBS)
    config.CourseDirectory.root = str(tmp_path)
    api = NbGraderAPI(config=config)
    outcome = api.generate_assignment("small", create=True)
    assert outcome["success"], outcome["log"]
    theirs = nbformat.read(tmp_path / "release" / "small" / "small.ipynb", as_version=4)
    ours = release.student_version(SMALL, "small")
    assert [(cell.source, cell.metadata) for cell in ours.cells] == [
        (cell.source, cell.metadata) for cell in theirs.cells
    ]


def test_a_marker_that_was_left_over_is_refused() -> None:
    broken = SMALL.replace(b"### END HIDDEN TESTS", b"### END HIDDEN")
    with pytest.raises(Exception, match=r"END HIDDEN|hidden test"):
        release.student_version(broken, "small")


def test_release_writes_both_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.ipynb"
    small.write_bytes(SMALL)
    (tmp_path / "answers.yml").write_text(
        "scale:\n- {name: forgets, says: is scaled, source: 'def scale(v, f): return v'}\n"
    )
    made = ["--students", str(tmp_path / "student"), "--teachers", str(tmp_path / "teacher")]
    command.main(["release", str(small), *made])
    page = (tmp_path / "teacher" / "small.html").read_text()
    assert "A full answer" in page and "forgets" in page and "HIDDEN_VALUES" in page
    text = (tmp_path / "student" / "small.ipynb").read_text()
    assert "HIDDEN_VALUES" not in text and "full answer" not in text
    assert "For students" in capsys.readouterr().out


def test_students_get_their_notebooks_where_there_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt install bubblewrap"):
        command.main(["release", "--students", str(tmp_path), "--teachers", str(tmp_path / "teacher")])
    assert sorted(tmp_path.glob("*.ipynb")) == [tmp_path / path.name for path in assignments()]


def test_an_unknown_assignment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"there is no assignment 99-nothing; there are .*03-relu"):
        command.main(["release", "99-nothing"])


def test_students_can_try_their_notebook_before_they_hand_it_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    notebook = release.student_version(SMALL, "small")
    notebook.cells[3].source = "def scale(values, factor):\n    return [factor * value for value in values]"
    nbformat.write(notebook, path)
    run = subprocess.run(
        [sys.executable, "-m", "gradlib_homework", "try", path], capture_output=True, text=True
    )
    assert run.returncode == 1, run.stderr
    assert "scale-public: public checks passed" in run.stdout
    assert "extent-public: Not answered yet" in run.stdout
    assert "1 of 2 public checks passed. Your mark comes from more checks than these." in run.stdout
    assert run.stderr == ""


def test_what_cannot_be_tried_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    with pytest.raises(SystemExit, match="No such file"):
        command.main(["try", str(path)])
    path.write_text("no notebook")
    with pytest.raises(SystemExit, match="the file is not a Jupyter notebook"):
        command.main(["try", str(path)])
    nbformat.write(nbformat.v4.new_notebook(), path)
    with pytest.raises(SystemExit, match="it has lost what marks its checks"):
        command.main(["try", str(path)])


def test_a_mistake_is_named_only_where_the_answer_is_that_of_the_mistake() -> None:
    """Where a tenth is allowed, an answer that is off for another reason may lie as near to the mistake."""
    with pytest.raises(Wrong, match="the factor: its root is taken"):
        close("the factor", 2.01, 4.0, within=0.1, mistakes={"its root is taken": 2.0})
    with pytest.raises(Wrong, match=r"the factor: not within 4\.0e-01"):
        close("the factor", 2.3, 4.0, within=0.1, mistakes={"its root is taken": 2.0})
