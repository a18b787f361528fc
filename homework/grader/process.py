"""One sandboxed process: a request in, an answer out, in time; and at the end nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import tempfile
import threading
import time
from typing import Any, NoReturn

import psutil

from gradlib_homework.inside import wire
from gradlib_homework.sandbox import Backend, Limits, NoSandbox

WATCH_EVERY = 0.1
END_WITHIN = 30
START_WITHIN = 120
"""seconds until the first answer"""
MOST_AHEAD = 3
"""processor seconds that a sandbox may be ahead of the clock. One thread never is; a student may use a few
for a moment, but whoever goes on with more than one takes the time of the neighbours."""


class Ended(Exception):
    """The process is no more; the reason is one of the keys of `REASONS`."""


REASONS = {
    "time": "it took too long",
    "memory": "it needed too much memory",
    "processors": "it kept more than one processor busy",
    "exit": "it ended the Python process",
    "forged": "it wrote into the grader's channel",
    "size": "it answered with too much data",
    "restarts": "it was ended too many times before",
    "budget": "no time was left for it: the cells and calls before it used up the notebook's time",
}


class Process:
    """A worker in a sandbox. A context manager: on leaving, every process of the sandbox is ended."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.backend, self.limits = backend, limits
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by `end`
        self.popen = backend.start(limits, self.errors)
        assert self.popen.stdin and self.popen.stdout
        self.into, self.out = self.popen.stdin.fileno(), self.popen.stdout.fileno()
        for stream in (self.into, self.out):
            os.set_blocking(stream, False)
        self.requests = 0
        self.peak = 0
        self.last_words = ""
        """what the sandbox itself had to say, known when it has ended"""
        self.excess = ""
        """the reason why the watch has ended it"""
        self.over = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()
        try:
            self.ask({"run": "", "seed": 0}, START_WITHIN)
        except Ended as ended:
            raise NoSandbox(f"The sandbox did not start ({ended}). {self.last_words}") from None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The worker's answer. Raises Ended if none comes in time, or one that no worker writes."""
        self.requests += 1
        line = json.dumps({**request, "id": self.requests}).encode() + b"\n"
        answer = self.exchange(line, time.monotonic() + seconds)
        try:
            found = wire.parse(answer)
        except wire.Unreadable:
            self.fail("forged")
        if type(found) is not dict or found.get("id") != self.requests:
            self.fail("forged")
        return found

    def exchange(self, line: bytes, deadline: float) -> bytes:
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.out, selectors.EVENT_READ)
            selector.register(self.into, selectors.EVENT_WRITE)
            while not received.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0:
                    self.fail("time")
                for key, _ in selector.select(left):
                    if key.fd == self.into:
                        try:
                            line = line[os.write(self.into, line) :]
                        except BrokenPipeError:
                            self.fail("exit")
                        if not line:
                            selector.unregister(self.into)
                    else:
                        if not (piece := os.read(self.out, 1 << 16)):
                            self.fail("exit")
                        received += piece
                        if len(received) > wire.MOST_BYTES + 1000:
                            self.fail("size")
        return received

    def fail(self, reason: str) -> NoReturn:
        self.end()
        raise Ended(self.excess or reason)

    def watch(self) -> None:
        """Limits of the system hold for one process; this holds for all of a sandbox together."""
        ahead, used, now = 0.0, dict[psutil.Process, float](), time.monotonic()
        while not self.over.wait(WATCH_EVERY) and not self.excess:
            family = self.family()
            before, used, then, now = used, processor_seconds(family), now, time.monotonic()
            gained = sum(seconds - before.get(process, 0) for process, seconds in used.items())
            ahead = max(0.0, ahead + gained - (now - then))
            if self.weigh(family) > self.limits.memory:
                self.excess = "memory"
            elif ahead > MOST_AHEAD:
                self.excess = "processors"
            if self.excess:
                self.popen.kill()

    def weigh(self, family: list[psutil.Process]) -> int:
        """Resident bytes of all these processes."""
        resident = 0
        for process in family:
            with contextlib.suppress(psutil.Error):
                resident += process.memory_info().rss
        self.peak = max(self.peak, resident)
        return resident

    def family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.popen.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []

    def end(self) -> None:
        """End every process of the sandbox, and wait until the last is gone."""
        if self.over.is_set():
            return
        self.over.set()
        family = self.family()
        self.weigh(family)
        self.backend.end(self.popen)
        deadline = time.monotonic() + END_WITHIN
        while any(map(is_alive, family)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the sandbox of process {self.popen.pid} does not end")
            time.sleep(0.002)
        self.errors.seek(0)
        self.last_words = self.errors.read(2000).decode(errors="replace").strip()
        assert self.popen.stdin and self.popen.stdout
        for stream in (self.popen.stdin, self.popen.stdout, self.errors):
            stream.close()


def processor_seconds(family: list[psutil.Process]) -> dict[psutil.Process, float]:
    """Each one's own: what a child took was counted while it lived, also one that nobody waits for."""
    found = {}
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            found[process] = times.user + times.system
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs, or waits; a zombie has given back everything, and is gone when its parent looks."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
