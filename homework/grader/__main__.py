"""Make assignments and grade them: `homework release`, `homework grade`, `homework try`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from gradlib_homework.assignment import HOMEWORK, assignments

FOR_STUDENTS = HOMEWORK / "student"
FOR_TEACHERS = Path("_build/homework")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="homework", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    release = commands.add_parser("release", help="make the student version and the teacher's pack")
    release.add_argument("assignments", nargs="*", help="a name such as 03-relu, or a notebook; all, if none")
    release.add_argument("--students", type=Path, default=FOR_STUDENTS, metavar="FOLDER")
    release.add_argument("--teachers", type=Path, default=FOR_TEACHERS, metavar="FOLDER")
    release.set_defaults(run=run_release)

    grade = commands.add_parser("grade", help="grade a folder that Canvas, Moodle or nbgrader exported")
    grade.add_argument("assignment", help="a name such as 03-relu, or the instructor's notebook")
    grade.add_argument("submissions", type=Path, help="the folder, unpacked")
    grade.add_argument("--to", type=Path, metavar="FOLDER", help="default: graded/NAME")
    grade.add_argument(
        "--gradebook", type=Path, action="append", default=[], metavar="CSV",
        help="exported by Canvas (gradebook) or Moodle (grading worksheet), to be filled in",
    )  # fmt: skip
    grade.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: all cores, here or of the cluster"
    )
    grade.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster to grade on")
    grade.add_argument(
        "--backend",
        choices=("bubblewrap", "podman", "docker"),
        default="bubblewrap",
        help="the sandbox",
    )
    grade.set_defaults(run=run_grade)

    check = commands.add_parser("try", help="for students: run the public checks of a notebook, here")
    check.add_argument("notebook", type=Path)
    check.set_defaults(run=run_try)

    options = parser.parse_args(arguments)
    options.run(options)


def find(assignment: str) -> Path:
    path = Path(assignment)
    path = path if path.suffix == ".ipynb" else HOMEWORK / assignment / f"{assignment}.ipynb"
    if not path.is_file():
        there = ", ".join(known.stem for known in assignments())
        sys.exit(f"homework: there is no assignment {assignment}; there are {there}")
    return path


def run_release(options: argparse.Namespace) -> None:
    from gradlib_homework import release
    from gradlib_homework.sandbox import NoSandbox

    paths = [find(name) for name in options.assignments] or assignments()
    for path in paths:
        release.write(options.students / path.name, release.released(path))
    print(f"For students: {options.students}/NAME.ipynb.", flush=True)
    try:
        for path in tqdm(paths, unit="assignment"):
            release.write(options.teachers / f"{path.stem}.html", release.pack(path))
    except NoSandbox as error:
        sys.exit(f"homework: {error}")
    print(f"For you alone: {options.teachers}/NAME.html.")


def run_try(options: argparse.Namespace) -> None:
    from gradlib_homework.assignment import NotANotebook
    from gradlib_homework.trial import try_out

    try:
        sys.exit(not try_out(options.notebook))
    except (OSError, NotANotebook) as error:
        sys.exit(f"homework: {options.notebook}: {error}")


def run_grade(options: argparse.Namespace) -> None:
    from gradlib_homework import assignment, batch, collection, gradebook, report
    from gradlib_homework.process import Process
    from gradlib_homework.sandbox import BACKENDS, Limits, NoSandbox

    path = find(options.assignment)
    content, name, limits = path.read_bytes(), path.stem, Limits()
    if not options.submissions.is_dir():
        sys.exit(f"homework: {options.submissions} is no folder; unpack what the course system exported")
    asked = assignment.read_assignment(content)
    try:
        # Say at once what is wrong with one, not after a night.
        exported = {source: gradebook.open_gradebook(source) for source in options.gradebook}
    except gradebook.Unreadable as error:
        sys.exit(f"homework: {error}")
    submissions = collection.collect(options.submissions, name)
    target = options.to or Path("graded", name)
    (target / "feedback").mkdir(parents=True, exist_ok=True)
    record = batch.Record(target / "results.jsonl")
    given = [submission.content for submission in submissions if not submission.refused]
    known = {batch.name(content, one, limits) for one in given}
    new = len(known - set(record.results))
    try:
        if new and not options.scheduler:
            Process(BACKENDS[options.backend], limits).end()  # or say at once that there is no sandbox
        run = partial(
            batch.grade_all,
            content,
            given,
            record=record,
            backend=options.backend,
        )
        began = time.monotonic()
        for _ in tqdm(graded(options, run) if new else (), total=new, unit="notebook", disable=not new):
            pass
    except NoSandbox as error:
        sys.exit(f"homework: {error}")
    except KeyboardInterrupt:
        print(f"\nStopped. {len(known & set(record.results))} of {len(known)} are graded; "
              "the same command goes on from there.", flush=True)  # fmt: skip
        os._exit(130)  # without waiting for what is being graded; its sandboxes end with their parents
    seconds = time.monotonic() - began

    try:
        by_hand = report.read_by_hand(target / "by-hand.csv", submissions)
    except gradebook.Unreadable as error:
        sys.exit(f"homework: {error}")
    entries = [
        report.entry_of(
            one,
            None if one.refused else record.results.get(batch.name(content, one.content, limits)),
            by_hand,
        )
        for one in submissions
    ]
    for entry in entries:
        page = report.feedback_page(entry, asked, name)
        (target / "feedback" / entry.file).write_text(page, encoding="utf-8")
    report.write_for_moodle(entries, target / "feedback", target / "feedback-moodle.zip")
    report.write_grades(entries, asked, target / "grades.csv")
    report.write_by_hand(entries, asked, target / "by-hand.csv")
    (target / "summary.html").write_text(report.summary_page(entries, asked, name), encoding="utf-8")
    for source, book in exported.items():
        filled = target / f"grades-{book.system.lower()}.csv"
        notes = gradebook.fill(book, report.marks(entries, asked), name, asked.possible, filled)
        print(f"For {book.system}: {filled}")
        for note in notes:
            print(f"  {source}: {note}")
    refused = [entry for entry in entries if entry.refused]
    print(f"{len(entries) - len(refused)} graded ({new} new, {seconds:.0f} s), {len(refused)} not graded.")
    for entry in refused:
        print(f"  not graded: {entry.submission.student}: {entry.refused}")
    for entry in entries:
        if entry.changed:
            print(
                f"  another answer than the one that has points by hand, or none: {entry.submission.student}"
            )
    if waiting := sum(not entry.refused and report.waiting(entry, asked.graded) > 0 for entry in entries):
        print(f"Waiting for points by hand: {waiting}.")
    print(f"Grades, feedback, summary and answers to grade by hand: {target}")


def graded(options: argparse.Namespace, run: partial[Iterator[str]]) -> Iterator[str]:
    from gradlib_homework.batch import until_done

    workers = options.workers
    if options.scheduler:
        from distributed import Client

        with Client(options.scheduler) as client:
            workers = max(workers, sum(client.nthreads().values()))  # more may join later
            yield from run(executor=client.get_executor(pure=False, retries=1), workers=workers)
    else:
        yield from until_done(lambda executor: run(executor=executor, workers=workers), workers)


if __name__ == "__main__":
    main()
