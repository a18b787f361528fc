"""A teacher's way: from the folder that the course system exported to the file that it imports."""

from __future__ import annotations

import csv
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell
from small import HONEST, SMALL, notebook, submission

from gradlib_homework import __main__ as command
from gradlib_homework import gradebook, report
from gradlib_homework.assignment import read_assignment
from gradlib_homework.collection import Submission, collect
from gradlib_homework.examination import grade
from gradlib_homework.sandbox import Limits

GOOD = notebook(submission())
PARTLY = notebook(submission({"scale": "def scale(values, factor):\n    return [3, 6]"}))
HOSTILE = notebook(submission({"extent": "import os\ndef extent(values):\n    os._exit(0)"}))

CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,small (777),Other (5)
    Points Possible,,,,,25,10
"Weiß, Ada",101,s101,ada,A,,9
"O'Neil, Bo",102,s102,bo,A,,8
"Cruz, Cy",103,s103,cy,B,,7
"Absent, Al",104,s104,al,B,,6
"""
MOODLE = """Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Last modified (submission),Last modified (grade),Feedback comments
Participant 201,Ada Weiß,ada@x.org,Submitted for grading,,25.00,Yes,today,-,
Participant 202,Bo O'Neil,bo@x.org,Submitted for grading,,25.00,Yes,today,-,
Participant 203,Cy Cruz,cy@x.org,Submitted for grading,3,25.00,Yes,today,-,
Participant 204,Al Absent,al@x.org,No submission,,25.00,Yes,-,-,
"""  # noqa: E501


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


LAYOUTS = {
    "Canvas": {
        "weissada_101_9001_small.ipynb": GOOD,
        "oneilbo_LATE_102_9002_small.ipynb": b"{}",
        "oneilbo_102_9007_small-1.ipynb": PARTLY,
        "cruzcy_103_9003_my homework.ipynb": HOSTILE,
        "extraeve_109_9005_small-2.ipynb": b"",
        "wrongway_110_9006_essay.pdf": b"%PDF",
    },
    "Moodle": {
        "Ada Weiß_201_assignsubmission_file_/small.ipynb": GOOD,
        "Ada Weiß_201_assignsubmission_file_/scratch.ipynb": b"{}",
        "Ada Weiß_201_assignsubmission_onlinetext_/onlinetext.html": b"<p>Good morning.",
        "Bo O'Neil_202_assignsubmission_file_any name.ipynb": PARTLY,  # where it exports no folders
        "Cy Cruz_203_assignsubmission_file_/deep/er/small.ipynb": HOSTILE,
        "Eve Extra_209_assignsubmission_file_/notes.txt": b"see mail",
        "Flo Two_210_assignsubmission_file_/a.ipynb": GOOD,
        "Flo Two_210_assignsubmission_file_/b.ipynb": GOOD,
    },
    "nbgrader": {
        "ada/small/small.ipynb": GOOD,
        "ada/small/.ipynb_checkpoints/small-checkpoint.ipynb": b"{}",
        "ada/other/other.ipynb": b"{}",
        "bo/small/small.ipynb": PARTLY,
        "cy/small/small.ipynb": HOSTILE,
        "eve/small/notes.txt": b"",
    },
    "plain": {"ada.ipynb": GOOD, "bo/any.ipynb": PARTLY, "cy.ipynb": HOSTILE, "eve.ipynb": b"no"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_read(layout: str, tmp_path: Path) -> None:
    found = collect(fill(tmp_path, {**LAYOUTS[layout], ".DS_Store": b"", "__MACOSX/._x.ipynb": b""}), "small")
    contents = [one.content for one in found]
    assert contents.count(GOOD) == contents.count(PARTLY) == contents.count(HOSTILE) == 1
    refused = {one.student: one.refused for one in found if one.refused}
    match layout:
        case "Canvas":
            assert [one.id for one in found] == ["103", "109", "102", "101", "110"]
            assert refused == {"wrongway": "there is no notebook"}
        case "Moodle":
            assert all(one.moodle for one in found)
            assert refused == {
                "Eve Extra": "there is no notebook",
                "Flo Two": "there is 2 notebooks, and none is named small.ipynb",
            }
        case "nbgrader":
            assert refused == {"eve": "there is no notebook"}


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(SMALL)
    folder = fill(tmp_path / "in", {"good.ipynb": GOOD})
    (folder / "link.ipynb").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    elsewhere = fill(tmp_path / "elsewhere", {"small.ipynb": SMALL}).absolute()
    (folder / "Eve_3_assignsubmission_file_").symlink_to(elsewhere)
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "odd.ipynb").mkdir()
    found = {one.student: one.refused for one in collect(folder, "small")}
    assert found["good"] == ""
    assert all(found[name] for name in ("link", "pipe", "odd.ipynb", "Eve"))
    assert SMALL not in [one.content for one in collect(folder, "small")]


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Grade what Canvas exported, read what came of it, give points by hand, grade again."""
    folder = fill(tmp_path / "in", LAYOUTS["Canvas"])
    (tmp_path / "small.ipynb").write_bytes(SMALL)
    (tmp_path / "canvas.csv").write_text(CANVAS)
    words = ["grade", str(tmp_path / "small.ipynb"), str(folder), "--to", str(tmp_path / "out")]
    words += ["--gradebook", str(tmp_path / "canvas.csv")]
    command.main(words)
    said = capsys.readouterr().out
    assert "Waiting for points by hand: 3." in said
    assert "3 graded (4 new" in said and "not graded: extraeve: the file is empty" in said
    assert "not in" in said and "extraeve" in said

    grades = {row[0]: row for row in rows(tmp_path / "out" / "grades.csv")}
    head = grades.pop("student")
    points = head.index("points")
    assert {name: row[points] for name, row in grades.items()} == {
        "weissada": "20",
        "oneilbo": "14",
        "cruzcy": "10",
        "extraeve": "",
        "wrongway": "",
    }
    assert grades["extraeve"][head.index("status")] == "not graded: the file is empty"
    assert grades["weissada"][head.index("status")] == "waits for points by hand"

    filled = rows(tmp_path / "out" / "grades-canvas.csv")
    assert filled[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "small (777)"]
    assert [row[-1] for row in filled[1:]] == ["25", "20", "14", "10", ""]

    feedback = (tmp_path / "out" / "feedback" / "oneilbo-102.html").read_text()
    assert "14 of 25 points; 5 are still to be given by hand." in feedback
    assert "Five numbers go in and come out" in feedback
    assert "<h2>Question 1: Scale: 4 of 10 points</h2>" in feedback
    assert "<h2>Question 3: In words: 5 points are still to be given by hand</h2>" in feedback
    assert "HIDDEN_VALUES" not in feedback and "<script" not in feedback
    assert "This is not a zero" in (tmp_path / "out" / "feedback" / "extraeve-109.html").read_text()

    summary = (tmp_path / "out" / "summary.html").read_text()
    assert "cruzcy: it ended the Python process" in summary
    assert "extraeve: the file is empty" in summary
    assert "1×: five numbers go in and come out" in summary

    assert "<td>waits for points by hand</td><td>5</td>" in summary

    hand = tmp_path / "out" / "by-hand.csv"
    lines = rows(hand)
    for line in lines:
        if line[0] == "oneilbo":
            line[lines[0].index("points")] = "3,5"
            line[lines[0].index("comment")] = "<b>Good</b> reasons."
    with hand.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    capsys.readouterr()
    command.main(words)
    said, bars = capsys.readouterr()
    assert "3 graded (0 new" in said and "Waiting for points by hand: 2." in said
    assert bars == ""
    assert [row[-1] for row in rows(tmp_path / "out" / "grades-canvas.csv")[1:]] == [
        "25",
        "20",
        "17.5",
        "10",
        "",
    ]
    feedback = (tmp_path / "out" / "feedback" / "oneilbo-102.html").read_text()
    assert "<strong>17.5 of 25 points.</strong>" in feedback
    assert "<h2>Question 3: In words: 3.5 of 5 points</h2>" in feedback
    assert "&lt;b&gt;Good&lt;/b&gt; reasons." in feedback
    assert "3.5" in hand.read_text()
    assert "<td>3.50</td><td>5</td>" in (tmp_path / "out" / "summary.html").read_text()


ADA = Submission("ada", "0101", GOOD)


def by_hand(folder: Path, separator: str = ",", points: str = "3", id: str = "0101") -> Path:
    path = folder / "by-hand.csv"
    lines = [report.HAND, ["ada", id, "why", "5", points, "", "because"]]
    path.write_text("".join(separator.join(line) + "\n" for line in lines))
    return path


def test_a_spreadsheet_may_separate_by_semicolons(tmp_path: Path) -> None:
    path = by_hand(tmp_path, separator=";", points="3,5")
    assert report.read_by_hand(path, [ADA]) == {("ada", "0101"): [("why", 5, 3.5, "", "because")]}


def test_points_by_hand_are_for_the_answer_that_they_were_given_for(tmp_path: Path) -> None:
    given = report.read_by_hand(by_hand(tmp_path), [ADA])
    same, other = ({"written": {"why": answer}, "tests": []} for answer in ("because", "be\r\ncause"))
    assert report.entry_of(ADA, same, given).by_hand == {"why": (3.0, "")}
    entry = report.entry_of(ADA, other, given)
    assert entry.by_hand == {} and entry.changed


@pytest.mark.parametrize("now", [{"written": {"words": "Other words"}, "tests": []}, {"refused": "?"}, None])
@pytest.mark.parametrize("points", [2.0, None])
def test_what_a_teacher_wrote_is_never_lost(
    tmp_path: Path, now: dict[str, Any] | None, points: float | None
) -> None:
    """Another answer, or none that can be read, for some runs; and then the old one again."""
    asked = read_assignment(SMALL)
    before = {"written": {"words": "Old words"}, "tests": []}
    entries = [report.Entry(ADA, before, {"words": (points, "No reason given.")})]
    path = tmp_path / "by-hand.csv"
    report.write_by_hand(entries, asked, path)
    for result in (now, now, before):
        entry = report.entry_of(ADA, result, report.read_by_hand(path, [ADA]))
        report.write_by_hand([entry], asked, path)
        kept = [row for row in rows(path) if "No reason given." in row]
        assert len(kept) == 1 and "Old words" in kept[0]
        assert kept[0][-1].startswith("does not count") == (result is now)
        assert entry.changed == (result is now and points is not None)
    assert entry.by_hand == {"words": (points, "No reason given.")}
    assert not list(tmp_path.glob("*.tmp"))


def test_another_answer_gets_points_beside_those_of_the_old_one(tmp_path: Path) -> None:
    asked = read_assignment(SMALL)
    path = tmp_path / "by-hand.csv"
    old, new = ({"written": {"words": words}, "tests": []} for words in ("old", "new"))
    report.write_by_hand([report.Entry(ADA, old, {"words": (2.0, "")})], asked, path)
    report.write_by_hand([report.entry_of(ADA, new, report.read_by_hand(path, [ADA]))], asked, path)
    path.write_text(path.read_text().replace("words,5,,,new", "words,5,4,,new"))
    given = report.read_by_hand(path, [ADA])
    entry = report.entry_of(ADA, new, given)
    assert entry.by_hand == {"words": (4.0, "")} and not entry.changed
    assert report.entry_of(ADA, old, given).by_hand == {"words": (2.0, "")}


def test_an_interrupted_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, text: str, **_: Any) -> None:
        path.write_bytes(text.encode()[:10])
        raise KeyboardInterrupt

    path = by_hand(tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(KeyboardInterrupt):
        gradebook.write(path, [["of", "another", "student"]])
    assert path.read_bytes() == before


def test_a_comment_survives_a_spreadsheet_and_every_further_run(tmp_path: Path) -> None:
    asked = read_assignment(SMALL)
    result = {"written": {"words": "=1+1\nis two"}, "tests": []}
    entry = report.Entry(ADA, result, {"words": (2.0, "- no reason given")})
    for _ in range(3):
        report.write_by_hand([entry], asked, tmp_path / "by-hand.csv")
        entry = report.entry_of(ADA, result, report.read_by_hand(tmp_path / "by-hand.csv", [ADA]))
        assert entry.by_hand == {"words": (2.0, "- no reason given")}


def test_a_table_that_is_not_in_utf_8_is_named(tmp_path: Path) -> None:
    path = by_hand(tmp_path)
    path.write_bytes(path.read_text().replace("because", "weil ja, natürlich").encode("cp1252"))
    with pytest.raises(gradebook.Unreadable, match="is not in UTF-8; save it once more"):
        report.read_by_hand(path, [ADA])


@pytest.mark.parametrize("points", ["six", "6", "-1", "nan"])
def test_what_is_no_points_is_named(tmp_path: Path, points: str) -> None:
    with pytest.raises(
        report.NoPoints, match=f"ada has '{points}' points in why; expected a number from 0 to 5"
    ):
        report.read_by_hand(by_hand(tmp_path, points=points), [ADA])


def test_points_of_nobody_are_not_lost_in_silence(tmp_path: Path) -> None:
    """Spreadsheets take leading zeros off."""
    with pytest.raises(report.NoPoints, match="there is no submission of ada, id '101'"):
        report.read_by_hand(by_hand(tmp_path, id="101"), [ADA])


def test_a_lost_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "by-hand.csv").write_text("student,id,points\n")
    with pytest.raises(report.NoPoints, match="lost its columns answer, comment, possible, question"):
        report.read_by_hand(tmp_path / "by-hand.csv", [ADA])


def test_moodle_gets_its_worksheet_back_without_empty_grades(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "in", LAYOUTS["Moodle"])
    (tmp_path / "small.ipynb").write_bytes(SMALL)
    exported = MOODLE.replace("25.00", "100.00").replace(",today,-,\n", ",today,-,Late.\n", 1) + "\n"
    (tmp_path / "moodle.csv").write_text("\ufeff" + exported, encoding="utf-8")
    command.main(
        ["grade", str(tmp_path / "small.ipynb"), str(folder), "--to", str(tmp_path / "out"),
         "--gradebook", str(tmp_path / "moodle.csv")]
    )  # fmt: skip
    head, *filled = rows(tmp_path / "out" / "grades-moodle.csv")
    assert head == MOODLE.splitlines()[0].split(",")
    found = {row[0]: (row[head.index("Grade")], row[head.index("Feedback comments")]) for row in filled}
    assert found == {
        "Participant 201": ("20", "Late.\n20 of 25 points; 5 are still to be given by hand"),
        "Participant 202": ("14", "14 of 25 points; 5 are still to be given by hand"),
        "Participant 203": ("10", "10 of 25 points; 5 are still to be given by hand"),
    }
    assert {row[head.index("Last modified (grade)")] for row in filled} == {"-"}
    assert "Grade is out of 100.00 there, and these points out of 25" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "out" / "feedback-moodle.zip") as returned:
        pages = {name: returned.read(name).decode() for name in returned.namelist()}
    assert "20 of 25 points" in pages["Ada Weiß_201_assignsubmission_file_/feedback.html"]
    assert "not a zero" in pages["Eve Extra_209_assignsubmission_file_/feedback.html"] and len(pages) == 5


def test_the_comment_in_moodle_is_the_latest_and_keeps_what_was_there() -> None:
    entry = report.Entry(ADA, {"tests": []}, {"words": (2.0, "No reason given."), "other": (None, "Draft.")})
    (mark,) = report.marks([entry], read_assignment(SMALL))
    assert mark.feedback == "2 of 25 points; 20 are still to be given by hand\nNo reason given."
    for there in ("Late.", "Late.\n0 of 25 points", f"Late.\n{mark.feedback}"):
        assert gradebook.append(there, mark.feedback) == f"Late.\n{mark.feedback}"


def canvas_filled(folder: Path, text: str, *notes: str) -> list[list[str]]:
    """What Canvas gets back for a mark of 101, and none yet for 102; `notes` is what the teacher is told."""
    (folder / "in.csv").write_text(text)
    marks = [gradebook.Mark("weissada", "101", 20.5, ""), gradebook.Mark("oneilbo", "102", None, "")]
    exported = gradebook.open_gradebook(folder / "in.csv")
    assert exported.system == "Canvas"
    assert gradebook.fill(exported, marks, "small", 25, folder / "out.csv") == [*notes]
    return rows(folder / "out.csv")


def test_a_mark_that_canvas_has_is_not_taken_away(tmp_path: Path) -> None:
    """Canvas reads an empty cell as a mark to be removed (its gradebook_importer.rb, no_change_to_value?)."""
    exported = CANVAS.replace("bo,A,,8", "bo,A,11,8").replace("al,B,,6", "al,B,EX,6")
    assert [row[-1] for row in canvas_filled(tmp_path, exported)[1:]] == ["25", "20.5", "11", "", "EX"]


def test_blank_and_short_lines_are_no_matter(tmp_path: Path) -> None:
    assert len(canvas_filled(tmp_path, f"{CANVAS}\n,,\nTest,9\n")) == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "canvas.csv cannot be read: No such file"), ("a,b\n", "neither a gradebook")],
)
def test_a_gradebook_is_looked_at_before_grading(tmp_path: Path, content: str | None, message: str) -> None:
    folder = fill(tmp_path / "in", {"ada.ipynb": GOOD})
    (tmp_path / "small.ipynb").write_bytes(SMALL)
    if content:
        (tmp_path / "canvas.csv").write_text(content)
    words = [str(tmp_path / "small.ipynb"), str(folder), "--to", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=message):
        command.main(["grade", *words, "--gradebook", str(tmp_path / "canvas.csv")])
    assert not (tmp_path / "out").exists()


def test_an_assignment_that_is_new_to_canvas_gets_its_possible_points(tmp_path: Path) -> None:
    exported, note = (
        CANVAS.replace("small (777)", "Essay (3)"),
        "it has no column small (NUMBER), so the import makes one",
    )
    head, possible, *others = canvas_filled(tmp_path, exported, note)
    assert head[-1] == "small" and possible == ["    Points Possible", "", "", "", "", "25"]
    assert [row[-1] for row in others] == ["20.5", "", "", ""]


def test_points_out_of_another_total_are_not_exported_in_silence(tmp_path: Path) -> None:
    exported = CANVAS.replace(",,,,,25,10", ",,,,,100.0,10")
    canvas_filled(tmp_path, exported, "small (777) is out of 100.0 there, and these points out of 25")


def test_the_other_forms_of_a_canvas_gradebook_are_read(tmp_path: Path) -> None:
    """First and last names apart; and semicolons, where people write the comma in numbers."""
    exported = (
        "LastName;FirstName;ID;SIS Login ID;Section;Notes;small (777)\n    Points Possible;;;;;;25,0\n"
        "Weiß;Ada;101;ada;A;late, ill;\nO'Neil;Bo;102;bo;A;;9,5\n"
    )
    assert canvas_filled(tmp_path, exported) == [
        ["LastName", "FirstName", "ID", "SIS Login ID", "Section", "small (777)"],
        ["    Points Possible", "", "", "", "", "25,0"],
        ["Weiß", "Ada", "101", "ada", "A", "20.5"],
        ["O'Neil", "Bo", "102", "bo", "A", "9,5"],
    ]


@pytest.mark.parametrize("head", ["a,b", MOODLE.splitlines()[0].replace("Grade,", "Bewertung,", 1)])
def test_an_unknown_gradebook_is_refused(tmp_path: Path, head: str) -> None:
    (tmp_path / "other.csv").write_text(f"{head}\n")
    with pytest.raises(gradebook.Unreadable, match=r"neither a gradebook of Canvas.* Moodle in English"):
        gradebook.open_gradebook(tmp_path / "other.csv")


def test_names_that_are_formulas_or_markup_stay_text(tmp_path: Path) -> None:
    names = ["=cmd()", "@SUM(A1)", "<script>alert(1)</script>", "..", "a&b"]
    folder = tmp_path / "in"
    for number, name in enumerate(names):
        fill(folder, {f"{name.replace('/', '_')}_{number}_assignsubmission_file_/small.ipynb": b""})
    (tmp_path / "small.ipynb").write_bytes(SMALL)
    command.main(["grade", str(tmp_path / "small.ipynb"), str(folder), "--to", str(tmp_path / "out")])
    cells = [row[0] for row in rows(tmp_path / "out" / "grades.csv")]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    pages = sorted((tmp_path / "out").rglob("*.html"))
    assert len(pages) == len(names) + 1
    assert all("<script" not in page.read_text() for page in pages)
    assert all("default-src 'none'" in page.read_text() for page in pages)


def test_twins_and_oddities_are_named_for_the_teacher(tmp_path: Path) -> None:
    odd = submission({"scale": "import socket\nimport os\ndef scale(v, f):\n    os._exit(0)"})
    folder = fill(tmp_path / "in", {"ada.ipynb": GOOD, "bo.ipynb": GOOD, "cy.ipynb": notebook(odd)})
    fill(folder, {"di.ipynb": notebook([new_code_cell(source) for source in HONEST.values()])})
    sly = submission(
        {"scale": "import gc\nopen('/proc/1/mem')\nimport subprocess", "scale-public": "assert True"}
    )
    fill(folder, {"ed.ipynb": notebook(sly)})
    (tmp_path / "small.ipynb").write_bytes(SMALL)
    command.main(["grade", str(tmp_path / "small.ipynb"), str(folder), "--to", str(tmp_path / "out")])
    summary = (tmp_path / "out" / "summary.html").read_text()
    assert "The same file, byte by byte: ada, bo" in summary
    assert "it mentions os._exit, socket" in summary
    assert "<li>ed: it mentions proc/, subprocess</li>" in summary, "also where no process ended"
    assert "<li>ed: The cell scale-public was changed; the one of the assignment counts.</li>" in summary
    assert "di:" not in summary
    assert "before you give no points: ada, bo, cy, di, ed." in summary


def test_nothing_worth_a_look_is_said() -> None:
    page = report.summary_page([], read_assignment(SMALL), "small").partition("Worth a look")[2]
    assert "<p>None.</p>" in page and "<ul>" not in page


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("a weight of one", "A weight of one"),
        ("the x", "The x"),
        ("a = 3 holds", "a = 3 holds"),
        ("x is", "x is"),
    ],
)
def test_feedback_starts_with_a_capital_unless_it_is_a_symbol(told: str, shown: str) -> None:
    assert report.sentence(told) == shown


def test_a_cell_that_runs_over_its_time_is_told_so() -> None:
    cell = f"{HONEST['scale']}\nwhile True:\n    pass"
    result = grade(SMALL, notebook(submission({"scale": cell})), limits=Limits(seconds_a_cell=1))
    assert result["tests"][0]["told"].endswith(
        "there is no scale: the cell that defines it was stopped: it took too long."
    )


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no folder; unpack"):
        command.main(["grade", "03-relu", str(tmp_path / "x.zip")])
