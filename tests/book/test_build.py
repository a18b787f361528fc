"""A book with holes in it is not built."""

from pathlib import Path

import build
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook


def test_a_notebook_saved_without_its_outputs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "01-holes.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1", execution_count=None)]), path)
    monkeypatch.setattr(build, "chapters", lambda: [path])
    with pytest.raises(SystemExit, match=r"01-holes.ipynb has cells that were not run; run `make refresh`"):
        build.main()
