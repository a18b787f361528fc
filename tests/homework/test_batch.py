"""A folder of submissions, on any executor: resumed, repeated, and never stopped by one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
from distributed import Client, LocalCluster
from small import HONEST, SMALL, notebook, submission

from gradlib_homework import __main__ as command
from gradlib_homework import batch
from gradlib_homework.assignment import HOMEWORK, read_assignment
from gradlib_homework.process import Ended, Process, processor_seconds
from gradlib_homework.sandbox import BACKENDS, Bubblewrap, Container, Limits, NoSandbox

WRONG = "def scale(values, factor):\n    return values  # {}"
ENDS = "import os\ndef scale(values, factor):\n    os._exit({})"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.ipynb"
    path.write_bytes(SMALL)
    return path


def mixed(count: int) -> list[bytes]:
    """Right, wrong, unanswered, hostile and broken submissions, no two the same."""
    found = []
    for n in range(count):
        kind = n % 5
        if kind == 4:
            found.append(f"broken {n}".encode())
        else:
            source = (HONEST["scale"], WRONG.format(n), f"scale = {n}", ENDS.format(n))[kind]
            found.append(notebook(submission({"scale": f"{source}\n# {n}"})))
    return found


class AtOnce(Executor):
    """Runs a call as it is submitted; the smallest executor there can be."""

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


def points(result: dict[str, Any]) -> Any:
    return result.get("refused") or sum(test["points"] for test in result["tests"])


def run(submissions: list[bytes], executor: Executor, path: Path, workers: int = 2) -> list[Any]:
    record = batch.Record(path)
    for _ in batch.grade_all(SMALL, submissions, executor, record, workers=workers):
        pass
    return [points(record.results[batch.name(SMALL, one, Limits())]) for one in submissions]


EXPECTED = [20, 10, 10, 10, "the file is not a Jupyter notebook"]


def test_any_executor_gives_the_same_marks_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    submissions = mixed(5)
    for name, executor in {"at-once": AtOnce(), "threads": ThreadPoolExecutor(2)}.items():
        assert run(submissions, executor, tmp_path / name) == EXPECTED
    before = (tmp_path / "threads").read_bytes()
    assert run(submissions, executor, tmp_path / "threads") == EXPECTED
    assert (tmp_path / "threads").read_bytes() == before


def test_a_dask_cluster_gives_the_same_marks(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_busy = Mock(wraps=batch.grade_all)
    monkeypatch.setattr(batch, "grade_all", kept_busy)
    folder = tmp_path / "submissions"
    folder.mkdir()
    for n, content in enumerate(mixed(10)):
        (folder / f"student{n}.ipynb").write_bytes(content)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            assert len(client.scheduler_info()["workers"]) == 2
        grade = ["grade", str(small), str(folder), "--workers", "1"]
        command.main([*grade, "--to", str(tmp_path / "dask"), "--scheduler", cluster.scheduler_address])
        assert kept_busy.call_args.kwargs["workers"] == 2, "those of the cluster"
    command.main([*grade, "--to", str(tmp_path / "here")])
    assert "8 graded (10 new" in capsys.readouterr().out
    for name in ("grades.csv", "summary.html", "by-hand.csv", "feedback/student3.html"):
        assert (tmp_path / "dask" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_a_line_that_was_cut_off_is_graded_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    run(mixed(2), AtOnce(), path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[: len(second) // 2])
    assert run(mixed(2), AtOnce(), path) == EXPECTED[:2]
    assert len(path.read_bytes().splitlines()) == 2


def test_an_error_of_the_grader_is_no_result(tmp_path: Path) -> None:
    class Failing(AtOnce):
        def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(ZeroDivisionError())
            return future

    record = batch.Record(tmp_path / "results.jsonl")
    assert list(batch.grade_all(SMALL, mixed(2), Failing(), record, workers=2)) == []
    assert record.results == {}
    assert run(mixed(2), AtOnce(), tmp_path / "results.jsonl") == EXPECTED[:2]


def test_a_dead_grading_process_does_not_stop_the_batch(tmp_path: Path) -> None:
    record = batch.Record(tmp_path / "results.jsonl")
    tried: list[int] = []

    def dies_twice(executor: Executor) -> Iterator[str]:
        tried.append(executor._max_workers)  # type: ignore[attr-defined]
        if len(tried) < 3:
            executor.submit(os._exit, 1).result()
        yield from batch.grade_all(SMALL, mixed(1), AtOnce(), record, workers=1)

    assert len(list(batch.until_done(dies_twice, workers=2))) == 1
    assert tried == [2, 2, 1]
    with pytest.raises(BrokenExecutor):
        batch.local_executor(1).submit(os._exit, 1).result()


def test_stopped_and_taken_up_again(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C, and then worse: SIGKILL. What was graded stays, and nothing is left running."""
    folder, target = tmp_path / "submissions", tmp_path / "graded"
    folder.mkdir()
    for n, content in enumerate(mixed(20)):
        (folder / f"student{n:02}.ipynb").write_bytes(content)
    words = [sys.executable, "-m", "gradlib_homework", "grade", small, folder, "--to", target]
    words += ["--workers", "1"]
    done = 0
    for stop in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # What runs in the background of a shell ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            while done_so_far(target) < done + 3:
                assert process.poll() is None, "it ended before it was stopped"
                time.sleep(0.05)
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(stop)
            said, _ = process.communicate(timeout=60)
        if stop == signal.SIGINT:
            assert "the same command goes on from there" in said and process.returncode == 130
        _, alive = psutil.wait_procs(family, timeout=20)
        assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
        assert done_so_far(target) > done
        done = done_so_far(target)
    command.main(list(map(str, words[3:])))
    assert f"16 graded ({20 - done} new" in capsys.readouterr().out
    files = [path for path in target.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    command.main(list(map(str, words[3:])))
    assert {path: path.read_bytes() for path in files} == before
    assert len((target / "results.jsonl").read_bytes().splitlines()) == 20


def done_so_far(target: Path) -> int:
    path = target / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@contextmanager
def largest_child() -> Iterator[list[int]]:
    """The most resident bytes of a process that is started here meanwhile, known at the end."""
    others, most, over = psutil.Process().children(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for child in psutil.Process().children():
                if child not in others and child.name() != "bwrap":
                    with suppress(psutil.Error):
                        most[0] = max(most[0], child.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def test_a_hundred_in_one_batch(
    small: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """And then a few of an assignment of the book's, which import PyTorch."""
    relu = HOMEWORK / "03-relu" / "03-relu.ipynb"
    references = [relu.read_bytes() + b" " * n for n in range(3)]
    full = sum(cell.points for cell in read_assignment(references[0]).cells if cell.kind == "test")
    told = []
    for path, handed_in, expected in [
        (small, mixed(100), EXPECTED * 20),
        (relu, references, [full] * len(references)),
    ]:
        folder, target = tmp_path / f"{path.stem} in", tmp_path / f"{path.stem} out"
        folder.mkdir()
        for n, content in enumerate(handed_in):
            (folder / f"student{n:02}.ipynb").write_bytes(content)
        began = time.monotonic()
        with largest_child() as most:
            command.main(["grade", str(path), str(folder), "--to", str(target), "--workers", "2"])
        seconds = (time.monotonic() - began) / len(handed_in)
        results = [json.loads(line) for line in (target / "results.jsonl").read_bytes().splitlines()]
        assert sorted(map(str, map(points, results))) == sorted(map(str, expected))
        assert all(result["peak"] for result in results if "peak" in result)
        inside = max(result.get("peak", 0) for result in results)
        told.append(
            f"{len(handed_in)} of {path.stem}, {seconds:.2f} s each, most memory of a sandbox "
            f"{inside >> 20} MiB, of a process of the grader {most[0] >> 20} MiB"
        )
    record_property("batch", f"a batch with two workers: {'; '.join(told)}")


def test_without_a_sandbox_nothing_is_graded(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.ipynb").write_bytes(notebook(submission()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"only in a sandbox.*there is no bwrap.*apt install bubblewrap"):
        command.main(["grade", str(small), str(tmp_path / "in"), "--to", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=r"podman does not work here: there is no such command"):
        command.main(
            ["grade", str(small), str(tmp_path / "in"), "--to", str(tmp_path / "out"), "--backend", "podman"]
        )
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_a_sandbox_that_does_not_start_is_refused_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Bubblewrap.command

    def broken(self: Bubblewrap, limits: Limits) -> list[str]:
        return [*real(self, limits)[:1], "--ro-bind", "/no-such-folder", "/x", "true"]

    monkeypatch.setattr(Bubblewrap, "command", broken)
    with pytest.raises(NoSandbox, match="no-such-folder"):
        Process(BACKENDS["bubblewrap"], Limits())


def test_an_unknown_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the numbers of system calls are others, and a filter would refuse the wrong ones."""
    real = Bubblewrap.command
    elsewhere = (
        "import platform, runpy, sys; platform.machine = lambda: 'z80'; sys.path.insert(0, '/inside'); "
        "runpy.run_path('/inside/worker.py', run_name='__main__')"
    )

    def on_a_z80(self: Bubblewrap, limits: Limits) -> list[str]:
        *start, _, limits_of_a_process = real(self, limits)
        return [*start, "-c", elsewhere, limits_of_a_process]

    monkeypatch.setattr(Bubblewrap, "command", on_a_z80)
    with pytest.raises(NoSandbox, match="no filter of system calls for z80"):
        Process(BACKENDS["bubblewrap"], Limits())


def test_a_container_is_started_without_network_and_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an engine that only keeps its arguments, and runs the worker; and at the end it is told to end."""
    engine = tmp_path / "podman"
    inside = Path(batch.__file__).parent / "inside"
    engine.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n[ $1 = run ] || exit\n'
        f'for last; do :; done\nexec {sys.executable} -s {inside}/worker.py "$last"\n'
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Process(Container("podman"), Limits()) as process:
        assert process.ask({"run": "x = 1", "seed": 0}, 10) == {"id": 2, "value": None}
    started, ended = (tmp_path / "arguments").read_text().splitlines()
    for wall in (
        "--pull=never",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "no-new-privileges",
        "--pids-limit",
        "--cpus 1",
    ):
        assert wall in started
    name = started.split("--name ")[1].split()[0]
    assert ended == f"kill {name}"


def test_the_sandbox_starts_without_the_grader_s_environment() -> None:
    """An ordinary user's processes inside can read that of process 1, which is bubblewrap."""
    with Process(BACKENDS["bubblewrap"], Limits()) as process:
        family = process.family()
        assert {one.name() for one in family[:2]} == {"bwrap"}
        assert [Path(f"/proc/{one.pid}/environ").read_bytes() for one in family[:2]] == [b"", b""]


def test_a_second_processor_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there are processors to spare: a busy machine may have no second one to give."""
    began = time.monotonic()

    def two_at_once(family: list[psutil.Process]) -> dict[psutil.Process, float]:
        return {one: 2 * (time.monotonic() - began) for one in family[:1]}

    monkeypatch.setattr("gradlib_homework.process.processor_seconds", two_at_once)
    monkeypatch.setattr("gradlib_homework.process.MOST_AHEAD", 6)
    with Process(BACKENDS["bubblewrap"], Limits()) as process, pytest.raises(Ended, match="processors"):
        process.ask({"run": "import time; time.sleep(60)", "seed": 0}, 60)


def test_processor_seconds_are_those_of_all_processes() -> None:
    spin = "import os\nfor _ in range(2):\n    if os.fork() == 0:\n        while True: pass"
    with Process(BACKENDS["bubblewrap"], Limits()) as process:
        process.ask({"run": spin, "seed": 0}, 10)
        deadline = time.monotonic() + 60
        while sum(used > 0.2 for used in processor_seconds(process.family()).values()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
