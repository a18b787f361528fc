"""Making .venv deletes nothing that somebody else put there."""

from pathlib import Path

import install
import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .venv to be made in a folder of its own; making it only leaves a file there."""
    path = tmp_path / ".venv"
    monkeypatch.setattr(install, "HOME", path)
    monkeypatch.setattr(install, "MARK", path / install.MARK.name)
    monkeypatch.setattr(install.venv, "create", lambda home, with_pip: (home / "made").touch())
    return path


def test_an_environment_of_somebody_else_is_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "precious").touch()
    with pytest.raises(SystemExit, match="did not make it, so it does not delete it"):
        install.make_venv()
    assert (home / "precious").exists()


def test_what_a_link_leads_to_is_left_alone(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / install.MARK.name).touch()
    home.symlink_to(elsewhere)
    with pytest.raises(SystemExit, match="did not make it"):
        install.make_venv()
    assert (elsewhere / install.MARK.name).exists()


def test_a_half_made_environment_is_made_anew(home: Path) -> None:
    install.make_venv()
    (home / "half").touch()
    install.make_venv()
    assert sorted(path.name for path in home.iterdir()) == [install.MARK.name, "made"]
