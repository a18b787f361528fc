"""Where students' code runs: bubblewrap on Linux, or a container engine. Never anywhere else.

A backend says how to start the worker inside and how to end it, and nothing more; it talks through stdin
and stdout, and no folder is shared. The reasons for each line of bubblewrap's command stand in
book/homework.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from uuid import uuid4

INSIDE = Path(__file__).parent / "inside"
UNUSED_UIDS = range(1 << 20, 1 << 30)
CONTAINER_UIDS = range(10_000, 60_000)
"""of these a rootless engine has them all"""
ENVIRONMENT = {
    "HOME": "/tmp",
    "USER": "student",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "TORCHINDUCTOR_CACHE_DIR": "/tmp",
}


class NoSandbox(RuntimeError):
    """There is no sandbox here, so nothing is run; the message says what to install."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Times are of the clock, and generous: a slow machine is no mistake."""

    seconds_a_call: float = 20
    seconds_a_cell: float = 60
    seconds: float = 300
    """for all cells and calls together"""
    memory: int = 2 << 30
    """resident bytes of all processes together"""
    address_space: int = 6 << 30
    """bytes that one process may map; PyTorch maps far more than it uses"""
    processes: int = 64
    """and threads"""
    file_bytes: int = 16 << 20
    open_files: int = 256
    scratch: int = 64 << 20
    """bytes in each of /tmp and /dev/shm"""

    def of_a_process(self) -> str:
        return json.dumps(
            {
                "RLIMIT_AS": self.address_space,
                "RLIMIT_CPU": int(self.seconds),
                "RLIMIT_NPROC": self.processes,
                "RLIMIT_FSIZE": self.file_bytes,
                "RLIMIT_NOFILE": self.open_files,
                "RLIMIT_CORE": 0,
            }
        )


class Backend(Protocol):
    def start(self, limits: Limits, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """The worker, waiting for its first request. What goes wrong goes to `errors`. Raises NoSandbox."""

    def end(self, started: subprocess.Popen[bytes]) -> None:
        """End all that `start` has started."""


def library() -> Path | None:
    """The folder of gradlib, for assignments that use it."""
    found = importlib.util.find_spec("gradlib")
    return Path(found.origin).parent if found and found.origin else None


class Bubblewrap:
    """A new set of namespaces on this Linux machine (Debian's package bubblewrap)."""

    HELP = (
        "Students' code runs only in a sandbox, and bubblewrap does not work here: there is no bwrap. "
        "On Debian and Ubuntu: apt install bubblewrap (0.8 or newer). Ubuntu 24.04 also needs "
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0. Inside a container: start it with "
        "--privileged. Elsewhere: --backend podman or --backend docker."
    )

    def start(self, limits: Limits, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        if sys.platform != "linux" or not shutil.which("bwrap"):
            raise NoSandbox(self.HELP)
        return subprocess.Popen(
            self.command(limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={},  # process 1 inside is bubblewrap itself, and its environment can be read there
        )

    def end(self, started: subprocess.Popen[bytes]) -> None:
        started.kill()  # its child, process 1 of the sandbox, dies with it, and with that all others
        started.wait()

    def command(self, limits: Limits) -> list[str]:
        # Not sys.executable: that of a virtual environment may be a copy, which does not find its library.
        base = Path(sys.base_prefix).resolve()
        python = base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        shown = ["--ro-bind", "/usr", "/usr"]
        for link in ("bin", "sbin", "lib", "lib64"):
            path = Path("/", link)
            if path.is_symlink():
                shown += ["--symlink", os.readlink(path), str(path)]
            elif path.is_dir():
                shown += ["--ro-bind", str(path), str(path)]
        if not python.is_relative_to("/usr"):  # a Python of pyenv, conda or uv
            shown += ["--ro-bind", str(base), "/python"]
            python = "/python" / python.relative_to(base)
        shown += ["--ro-bind", sysconfig.get_paths()["purelib"], "/packages"]
        shown += ["--ro-bind", str(INSIDE), "/inside", "--perms", "0755", "--dir", "/library"]
        if gradlib := library():
            shown += ["--ro-bind", str(gradlib), "/library/gradlib"]
        scratch = str(limits.scratch)
        made = ["--proc", "/proc", "--dev", "/dev"]
        for folder in ("/tmp", "/dev/shm"):
            made += ["--perms", "1777", "--size", scratch, "--tmpfs", folder]
        # Only after the mounts: bubblewrap's own root and /dev are writable memory without a limit.
        made += ["--remount-ro", "/dev", "--remount-ro", "/"]
        variables = {**ENVIRONMENT, "PATH": "/usr/bin:/bin", "PYTHONPATH": "/library:/packages"}
        made += [part for name, value in variables.items() for part in ("--setenv", name, value)]
        root = os.geteuid() == 0
        return [
            shutil.which("bwrap") or "bwrap",
            *("--die-with-parent", "--new-session", "--clearenv", "--chdir", "/tmp", "--unshare-pid"),
            *("--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *(self.as_root() if root else ["--unshare-user", "--disable-userns"]),
            *(*shown, *made, "--"),
            *(self.without_rights() if root else []),
            *(str(python), "-s", "/inside/worker.py", limits.of_a_process()),
        ]

    def as_root(self) -> list[str]:
        """Root of a user namespace would still own /proc/sys, so there is none; a plain user runs inside."""
        kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
        return ["--cap-drop", "ALL", *(part for name in kept for part in ("--cap-add", name))]

    def without_rights(self) -> list[str]:
        """A user of its own for each sandbox: the kernel counts processes by user."""
        user = str(random.SystemRandom().choice(UNUSED_UIDS))
        dropped = ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        return ["/usr/bin/setpriv", "--reuid", user, "--regid", user, *dropped, "--"]


@dataclass(frozen=True)
class Container:
    """A container of podman or docker, from an image with Python, PyTorch and what assignments import."""

    engine: str
    image: str = "gradlib-homework"

    HELP = (
        "Students' code runs only in a sandbox, and {engine} does not work here: {reason}. Install it and "
        "make the image, see the teacher's guide; on Linux bubblewrap is simpler (apt install bubblewrap)."
    )

    def start(self, limits: Limits, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        if not shutil.which(self.engine):
            raise NoSandbox(self.HELP.format(engine=self.engine, reason="there is no such command"))
        name = f"homework-{uuid4().hex}"
        return subprocess.Popen(
            self.command(limits, name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=tempfile.gettempdir(),  # podman leaves a file there when memory ran out
        )

    def end(self, started: subprocess.Popen[bytes]) -> None:
        """The engine runs the container elsewhere: it would go on without the command that started it."""
        arguments = started.args
        assert isinstance(arguments, list)
        name = arguments[arguments.index("--name") + 1]
        subprocess.run([self.engine, "kill", name], capture_output=True)
        started.kill()
        started.wait()

    def command(self, limits: Limits, name: str) -> list[str]:
        user = str(random.SystemRandom().choice(CONTAINER_UIDS))
        variables = [part for item in ENVIRONMENT.items() for part in ("--env", "=".join(item))]
        return [
            *(self.engine, "run", "--name", name, "--interactive", "--rm", "--pull=never", "--read-only"),
            *("--network", "none", "--workdir", "/tmp", "--cap-drop", "ALL"),
            *("--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--cpus", "1"),
            *("--pids-limit", str(limits.processes), "--ulimit", f"nproc={limits.processes}"),
            *("--ulimit", f"nofile={limits.open_files}"),
            *("--security-opt", "no-new-privileges", "--user", f"{user}:{user}"),
            *("--tmpfs", f"/tmp:size={limits.scratch}", "--shm-size", str(limits.scratch)),
            *("--volume", f"{INSIDE}:/inside:ro", *variables),
            *(self.image, "python", "-s", "/inside/worker.py", limits.of_a_process()),
        ]


BACKENDS: dict[str, Backend] = {
    "bubblewrap": Bubblewrap(),
    "podman": Container("podman"),
    "docker": Container("docker"),
}
