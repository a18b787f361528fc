"""A book with a warning is not built, however often one tries."""

import shutil
import subprocess
import sys
from pathlib import Path

from execution import ROOT


def test_a_warning_stays_until_its_cause_is_gone(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("build.py", "execution.py"):
        shutil.copy(ROOT / "scripts" / name, scripts)
    (tmp_path / "_config.yml").write_text("title: Small\nexecute: {execute_notebooks: 'off'}\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: front\nchapters:\n- file: page\n")
    (tmp_path / "front.md").write_text("# Front\n")
    (tmp_path / "page.md").write_text("# Page\n\nSee {doc}`nowhere`.\n")
    for _ in range(2):
        built = subprocess.run([sys.executable, scripts / "build.py"], capture_output=True, text=True)
        assert built.returncode and "nowhere" in built.stderr
        assert "The book was not built" in built.stderr
