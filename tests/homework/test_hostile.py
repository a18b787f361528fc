"""Submissions that want marks they did not earn, or want to do harm. Written for this suite.

Most attacks of attacks.yml are one function that does something and returns whether it worked. The answer
that comes with it is right if it worked and wrong otherwise, so a mark shows that a wall has a hole.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from nbformat.v4 import new_code_cell
from small import HONEST, SMALL, check, marked, marks, notebook, submission

from gradlib_homework import report
from gradlib_homework.assignment import read_assignment
from gradlib_homework.collection import Submission
from gradlib_homework.examination import grade
from gradlib_homework.sandbox import Limits

SHORT = Limits(seconds_a_call=4, seconds_a_cell=4, seconds=30, memory=400 << 20, processes=40)
"""limits that a hostile submission reaches within seconds"""

LOOT = "LOOT-4f1c"
"""what must not leave its place: in a file, in the environment, in hidden tests"""

PAYS = """{source}


def scale(values, factor):
    try:
        worked = attack(values, factor)
    except BaseException:
        worked = False
    return [factor * value for value in values] if worked else None
"""


EQUAL = """
class Any(BASE):
    def yes(self, *others): return True
    def me(self, *others): return self
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = __contains__ = __bool__ = yes
    __sub__ = __rsub__ = __mul__ = __abs__ = __getitem__ = __iter__ = me
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __len__(self): return 5
    def __next__(self): return self
    def __float__(self): return 0.0
"""

WRITES = """
import os, sys

def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back


def scale(values, factor):
    request = [f.f_locals["request"] for f in frames() if "id" in f.f_locals.get("request", {})][0]
    line = MESSAGE.replace("N", str(request["id"])).encode()
    for file in range(3, 20):
        try:
            os.write(file, line)
        except OSError:
            pass
    os._exit(0)
"""


@dataclass(frozen=True)
class Attack:
    name: str
    family: str
    source: str
    """of the cell that answers the first question"""
    extent: bool
    """whether the second question, answered honestly, still counts"""


def read(entry: dict[str, Any]) -> Attack:
    source = entry.get("source", "")
    if "attack" in entry:
        body = indent(entry["attack"], "    ")
        source = PAYS.format(source=f"def attack(values, factor):\n{body}")
    if "writes" in entry:
        source = WRITES.replace("MESSAGE", repr(entry["writes"].strip() + "\n"))
    if "equal" in entry:
        source = EQUAL.replace("BASE", entry["equal"]) + source
    return Attack(entry["name"], entry["family"], source, entry.get("extent", True))


LARGE = [
    {
        "name": "a deep answer",
        "writes": '{"id": N, "value": ' + '{"list": [' * 50_000 + "]}" * 50_000 + "}\n",
    },
    {"name": "a number of many digits", "writes": '{"id": N, "value": ' + "9" * 3_000_000 + "}"},
    {
        "name": "an answer of many parts",
        "writes": '{"id": N, "value": {"list": [' + "1," * 400_000 + "1]}}\n",
    },
    {"name": "deep source", "source": "x = " + "(" * 5000 + ")" * 5000},
    {"name": "large source", "source": "x = 1\n" * 100_000},
]
ATTACKS = [
    *map(read, yaml.safe_load((Path(__file__).parent / "attacks.yml").read_text())),
    *(read({"family": "output", **entry}) for entry in LARGE),
]


@dataclass
class Machine:
    """What may come to harm."""

    secret: Path
    port: int
    marker: str
    """names a server of this machine, and a process that is left behind"""
    reached: list[str]

    def fill(self, attack: Attack) -> str:
        """The source, with what is to be attacked put in."""
        source = attack.source.replace("SECRET", str(self.secret)).replace("PORT", str(self.port))
        return source.replace("MARKER", self.marker).replace("SERVER", self.marker)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    secret = tmp_path_factory.mktemp("instructor") / "results.jsonl"
    secret.write_text(LOOT)
    secret.chmod(0o666)
    secret.parent.chmod(0o777)
    reached: list[str] = []
    marker = f"left-behind-{uuid4().hex}"
    servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    servers[1].bind(f"\0{marker}")
    servers[1].listen()

    def listen(server: socket.socket) -> None:
        while True:
            try:
                server.accept()
            except OSError:
                return
            reached.append(str(server.family))

    for server in servers:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
    yield Machine(secret, servers[0].getsockname()[1], marker, reached)
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        server.close()


def left_behind(marker: str) -> list[str]:
    mine = psutil.Process().children(recursive=True)
    found = [process.name() for process in mine if process.name() == "bwrap"]
    for process in psutil.process_iter(["cmdline"]):
        if marker in (process.info["cmdline"] or []):
            found.append(marker)
    return found


def feedback(result: dict[str, Any]) -> str:
    entry = report.Entry(Submission("somebody", content=b"{}"), result)
    return report.feedback_page(entry, read_assignment(SMALL), "small")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_it_earns_nothing_and_harms_nothing(
    attack: Attack,
    machine: Machine,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADER_TOKEN", LOOT)
    source = machine.fill(attack)
    result = grade(SMALL, notebook(submission({"scale": source})), limits=SHORT)
    got = marks(result)
    fair = got["scale"] == 0 and (got["extent"] == 10 or not attack.extent)
    harm = [
        *(["network"] if machine.reached else []),
        *(["files"] if machine.secret.read_text() != LOOT else []),
        *left_behind(machine.marker),
        *(["memory"] if result["peak"] > SHORT.memory * 1.5 else []),
        *(["secrets"] if LOOT in feedback(result) or "HIDDEN_VALUES" in feedback(result) else []),
    ]
    record_property("hostile", [attack.family, not fair, bool(harm)])
    assert fair, (got, result)
    assert harm == []


def test_the_honest_twin_of_every_attack_is_paid(machine: Machine) -> None:
    """The scheme can tell: an attack that works earns full marks."""
    result = grade(
        SMALL,
        notebook(submission({"scale": PAYS.format(source="def attack(v, f): return True")})),
        limits=SHORT,
    )
    assert marks(result) == {"scale": 10, "extent": 10}


@pytest.mark.parametrize(
    "name",
    [
        "a server of this machine",
        "an abstract socket",
        "the instructor's files",
        "the grader's environment",
        "files of people",
        "other processes",
        "files without a name",
        "one large file",
    ],
)
def test_without_walls_such_an_attack_works(
    name: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the sandbox that stops it, and not a slip of the pen in the attack."""
    monkeypatch.setenv("GRADER_TOKEN", LOOT)
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    source = machine.fill(attack) + "\nassert scale([1], 2) == [2]"
    subprocess.run([sys.executable, "-c", source], check=True)
    Path("/tmp/attack").unlink(missing_ok=True)
    machine.reached.clear()


def test_questions_of_ones_own_earn_nothing() -> None:
    cells = submission({"scale": "def scale(values, factor): return values"})
    cells += [
        marked(new_code_cell("assert True"), "scale-more", grade=True, points=1000),
        marked(new_code_cell("assert True"), "mine", grade=True, points=1000),
        marked(new_code_cell("scale = 1"), "scale-public", solution=True),
        check("extent-more", 1000, "assert True"),
    ]
    for cell in cells:
        if cell.id == "scale-public":
            cell.source = "assert True"
            cell.metadata["nbgrader"]["points"] = 1000
    result = grade(SMALL, notebook(cells), limits=SHORT)
    assert marks(result) == {"scale": 0, "extent": 10}
    assert sum(test["of"] for test in result["tests"]) == 20
    assert HONEST["extent"] in [cell.source for cell in cells]


def test_there_are_attacks_of_every_family() -> None:
    assert len(ATTACKS) >= 50
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.family for attack in ATTACKS} == {
        "endings",
        "files",
        "forged marks",
        "leaks",
        "memory",
        "network",
        "output",
        "processes",
        "rights",
        "secrets",
    }
