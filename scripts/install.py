"""Make .venv and install the project in it, once: python3 scripts/install.py book test

The arguments are extras of pyproject.toml. Nothing happens when they are installed already in the
versions that constraints.txt asks for. A .venv that is half made, or was moved, is made anew; one that
this script did not make is used as it is, or left alone.

TORCH_INDEX in the environment names an index to take PyTorch from; see the Makefile.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
MARK = HOME / ".made-by-the-book"
OLDEST = (3, 11)


def wanted() -> str:
    """A digest of all that decides what gets installed, and of where: scripts hold their path."""
    digest = hashlib.sha256(str(HOME).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def stamp(extra: str) -> Path:
    return HOME / f".installed-{extra}"


def is_installed(extra: str) -> bool:
    return stamp(extra).is_file() and stamp(extra).read_text() == wanted()


def is_sound() -> bool:
    """Whether .venv has a Python with pip, and is still where its scripts say."""
    if not (PYTHON.exists() and (BIN / "pip").exists()):
        return False
    if str(HOME) not in (BIN / "pip").read_text(errors="replace"):
        return False
    return subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0


def make_venv() -> None:
    if HOME.is_symlink() or (HOME.exists() and not MARK.exists()):
        sys.exit(
            f"There is no working Python with pip in {HOME}, and this command did not make it, so it does "
            "not delete it. Move it away, or mend it; then run the command again."
        )
    print("Making .venv", flush=True)
    if HOME.exists():
        shutil.rmtree(HOME)
    HOME.mkdir()
    MARK.touch()
    try:
        venv.create(HOME, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit(
            "This Python cannot make a virtual environment. On Debian and Ubuntu: "
            "apt install python3-venv. Then run the command again."
        )


def pip_install(extras: list[str]) -> None:
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["-c", "constraints.txt", "-e", f".[{','.join(extras)}]"]
    if index := os.environ.get("TORCH_INDEX"):
        command += ["--extra-index-url", index]
    print(f"Installing gradlib and what the extras {', '.join(extras)} need", flush=True)
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        lines = [show_progress(line) for line in pip.stdout]
    if pip.returncode:
        sys.exit("".join(lines[-30:]) + "Installing failed; the last lines of pip are above.")


def show_progress(line: str) -> str:
    """Show what takes its time, large downloads above all; the rest of pip's report is noise."""
    words = line.split()
    if words[:1] == ["Downloading"] and words[-1:] in (["MB)"], ["GB)"]):
        print(f"  {words[1].rpartition('/')[2]} {words[-2]} {words[-1]}", flush=True)
    elif words[:2] == ["Installing", "collected"]:
        print(f"  unpacking {line.count(',') + 1} packages", flush=True)
    return line


def main(extras: list[str]) -> None:
    if sys.version_info < OLDEST:
        sys.exit(
            f"The book needs Python {'.'.join(map(str, OLDEST))} or newer, and "
            f"{sys.executable} is {sys.version.split()[0]}. Try: make PYTHON=python3.12 book"
        )
    if not is_sound():
        make_venv()
    if all(is_installed(extra) for extra in extras):
        return
    pip_install(extras)
    for extra in extras:
        stamp(extra).write_text(wanted())


if __name__ == "__main__":
    main(sys.argv[1:])
