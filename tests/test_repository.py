"""`make repository` takes the address of a repository, and nothing else."""

import os
from pathlib import Path

import pytest
import repository


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://github.com/someone/some-book", "https://github.com/someone/some-book"),
        (" https://github.com/someone/some-book.git ", "https://github.com/someone/some-book"),
        ("https://gitlab.com/someone/some.book/", "https://gitlab.com/someone/some.book"),
        ("", ""),
    ],
)
def test_an_address_is_written_in_one_form(given: str, written: str) -> None:
    assert repository.address(given) == written


@pytest.mark.parametrize(
    "given",
    [
        "github.com/someone/some-book",
        "http://github.com/someone/some-book",
        "https://example.org/someone/some-book",
        "https://user:word@github.com/someone/some-book",
        "https://github.com/someone",
        "https://github.com/someone/some-book/tree/main",
        'https://github.com/someone/"; import os; "',
    ],
)
def test_anything_else_is_refused(given: str) -> None:
    with pytest.raises(SystemExit, match="is not the address of a repository"):
        repository.address(given)


def test_when_one_file_cannot_be_written_none_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    second.write_text("old")
    write = Path.write_text

    def disk_is_full_at_the_second(path: Path, *arguments: object, **named: object) -> int:
        if path.name.startswith("second"):
            raise OSError("No space left on device")
        return write(path, *arguments, **named)

    monkeypatch.setattr(Path, "write_text", disk_is_full_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        repository.replace({first: "new", second: "new"})
    assert [first.read_text(), second.read_text()] == ["old", "old"]
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]
