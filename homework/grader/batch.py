"""Grade a folder of submissions: on any executor, safe to interrupt, never the same work twice.

What is known of each submission is a line of `results.jsonl`, under a name that says from which assignment,
which bytes and which grader it came. Every other file follows from that one.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gradlib_homework import VERSION
from gradlib_homework.sandbox import Limits, NoSandbox

AHEAD = 4
"""submissions that wait in the executor for each that is being graded; more would only fill memory"""
ADDRESS_SPACE = 16 << 30
"""of a grading process: if a student's answer leads a test to make something huge, the test fails"""

Result = dict[str, Any]


def name(assignment: bytes, submission: bytes, limits: Limits) -> str:
    parts = (VERSION.encode(), assignment, submission, json.dumps(asdict(limits)).encode())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def grade(*given: Any) -> Result:
    """`examination.grade`, and with it PyTorch, imported only where it runs."""
    from gradlib_homework import examination

    return examination.grade(*given)


class Record:
    """The results so far, in a file that grows by whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[str, Result] = {}
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if whole != lines:  # the last run was stopped in the middle of a line
            path.write_bytes(b"".join(whole))
        for line in whole:
            result = json.loads(line)
            self.results[result.pop("name")] = result

    def add(self, key: str, result: Result) -> None:
        self.results[key] = result
        with self.path.open("ab") as file:
            file.write(json.dumps({"name": key, **result}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def grade_all(
    assignment: bytes,
    submissions: Iterable[bytes],
    executor: Executor,
    record: Record,
    *,
    workers: int,
    backend: str = "bubblewrap",
    limits: Limits | None = None,
) -> Iterator[str]:
    """Grade what is not in `record` yet, and yield the name of each as its result arrives.

    An error of the grader itself is no result: it is left out, and tried again in the next run. Raises
    NoSandbox, and BrokenExecutor when the executor can run nothing any more.
    """
    limits = limits or Limits()
    named = {name(assignment, content, limits): content for content in submissions}
    todo = iter([(key, content) for key, content in named.items() if key not in record.results])
    running: dict[Future[Result], str] = {}
    while True:
        for key, content in todo:
            running[executor.submit(grade, assignment, content, backend, limits)] = key
            if len(running) >= AHEAD * workers:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            key = running.pop(future)
            try:
                record.add(key, future.result())
            except (BrokenExecutor, NoSandbox):
                raise
            except Exception:
                continue
            yield key


def local_executor(workers: int) -> ProcessPoolExecutor:
    """Processes of this machine that end with this one, and leave Ctrl-C to it."""
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=prepare, initargs=(os.getpid(),)
    )


def prepare(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import ctypes
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (ImportError, OSError, ValueError, AttributeError):
        return  # not Linux: without these the batch is as right, only less tidy when it is killed
    if os.getppid() != parent:
        os._exit(1)


def until_done(run: Callable[[Executor], Iterator[str]], workers: int) -> Iterator[str]:
    """Run a batch on local processes; if one of them dies, go on with new ones, at the end one at a time."""
    for processes in (workers, workers, 1):
        executor = local_executor(processes)
        try:
            yield from run(executor)
            return
        except BrokenExecutor:
            continue
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
