"""predict passes over nothing in silence, and its rows say what is there, of which file."""

import json
import os
import shutil

import pytest

from aaclip_lite.__main__ import main
from aaclip_lite.commands import predict
from aaclip_lite.course import plots
from aaclip_lite.files.keep import only_one
from tests.faults import places


def rows_of(folder):
    lines = (folder / "verdicts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def photos(folder, number, first=0):
    return [places.picture(folder / f"{i}.png", first + i) for i in range(number)]


@pytest.fixture
def close(monkeypatch):
    """close(folder): it cannot be read, for root too."""
    scan = os.scandir
    closed = []

    def refuse(path="."):
        if os.path.basename(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return closed.append


# ---- what cannot be read, or is left out ---------------------------------------------------------


def test_a_folder_that_cannot_be_read_is_told_and_passes_no_gate(run, tmp_path, close):
    photos(tmp_path / "today", 1)
    photos(tmp_path / "today" / "line2", 1)
    close("line2")
    code, text, errors = run("today", "--fail-on-anomaly")
    assert code == 2 and len(text.splitlines()) == 1  # the others are judged
    assert "skipped: today/line2: a folder that cannot be read (Permission denied)" in errors
    assert "error: 1 folder could not be read, the first: today/line2" in errors


def test_a_folder_in_which_nothing_can_be_read_is_no_empty_one(run, tmp_path, close):
    photos(tmp_path / "today", 1)
    close("today")
    code, _, errors = run("today")
    assert code == 2 and "today: a folder that cannot be read" in errors
    code, _, errors = run(*photos(tmp_path / "more", 1), "--references", "today")
    assert code == 2 and "today: a folder that cannot be read" in errors


def test_a_picture_that_may_not_be_looked_at_is_unreadable_not_left_out(run, tmp_path, monkeypatch):
    photos(tmp_path / "today", 2)
    look = os.stat

    def refuse(path, *args, **options):
        if os.path.basename(path) == "1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, *args, **options)

    monkeypatch.setattr(os, "stat", refuse)
    code, text, errors = run("today")
    assert code == 2 and "1 of 2 pictures could not be read" in errors and "UNREADABLE" in text
    assert "today/1.png: cannot be read (Permission denied); make it readable" in errors


@pytest.mark.parametrize("option", ["--references", "--calibrate"])
def test_what_is_left_out_of_the_sound_parts_is_named(run, tmp_path, option):
    photos(tmp_path / "good", 6)
    shutil.copy(tmp_path / "good/0.png", tmp_path / "good/0_mask.png")
    (tmp_path / "good/phone.HEIC").write_bytes(b"0")
    code, _, errors = run(places.picture(tmp_path / "part.png", 50), option, "good")
    assert code == 0 and "skipped: good/phone.HEIC: .heic is not read" in errors
    assert "skipped: good/0_mask.png: the mask of the picture beside it" in errors


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_that_broke_off_is_to_be_copied_again(run, tmp_path, ending):
    part = places.picture(tmp_path / f"part.{ending}", 1, (64, 64))
    part.write_bytes(part.read_bytes()[:-400])
    code, _, errors = run(part)
    assert code == 2 and "copy it again from the camera" in errors and "save it" not in errors
    part.write_bytes(b"no picture")
    assert "save it again as PNG or JPEG" in run(part)[2]


# ---- references that are inspected ---------------------------------------------------------------


def test_inspecting_the_references_is_noted_and_refused_by_the_gate(run, tmp_path):
    photos(tmp_path / "good", 6)
    shutil.copytree(tmp_path / "good", tmp_path / "today")  # known again under other names, too
    part = places.picture(tmp_path / "today/part.png", 50)
    same = ("today", "--references", "good")
    code, text, errors = run(*same)
    assert code == 0 and len(text.splitlines()) == 7
    assert "note: 6 of 7 pictures are the references of bolt, which look like themselves" in errors
    code, text, errors = run(*same, "--fail-on-anomaly")
    assert (code, text) == (2, "") and "--fail-on-anomaly: 6 of 7 pictures are" in errors
    assert "references" not in run(part, "--references", "good")[2]


# ---- rows ----------------------------------------------------------------------------------------


def test_pictures_of_one_relative_path_are_two_pictures(run, tmp_path, monkeypatch):
    for number, day in enumerate(("monday", "tuesday")):
        photos(tmp_path / day / "today", 1, number)
        monkeypatch.chdir(tmp_path / day)
        assert run("today", "--out", tmp_path / "heat")[0] == 0
    rows = rows_of(tmp_path / "heat")
    days = ("monday", "tuesday")
    assert [row["file"] for row in rows] == [str(tmp_path / f"{day}/today/0.png") for day in days]
    assert rows[0]["sheet"] != rows[1]["sheet"] and len(list(tmp_path.glob("heat/*.png"))) == 2


def test_a_drawing_that_another_row_names_is_not_drawn_over(run, tmp_path):
    for number, day in enumerate(("monday", "tuesday")):
        photos(tmp_path / day / "cam1/today", 1, number)
        assert run(tmp_path / day, "--out", "heat")[0] == 0
    first, second = rows_of(tmp_path / "heat")
    assert first["sheet"] != second["sheet"]
    before = (tmp_path / first["sheet"]).read_bytes()
    assert run(tmp_path / "tuesday", "--out", "heat")[0] == 0  # the same name as before, no third
    assert {row["sheet"] for row in rows_of(tmp_path / "heat")} == {first["sheet"], second["sheet"]}
    assert (tmp_path / first["sheet"]).read_bytes() == before


def test_one_file_is_judged_once_whatever_it_is_called(run, tmp_path):
    (part,) = photos(tmp_path / "today", 1)
    (tmp_path / "link.png").symlink_to(part)
    code, text, _ = run("today", "./today/../today/0.png", tmp_path / "today", "link.png")
    assert code == 0 and len(text.splitlines()) == 1 and "today/0.png" in text


def test_rows_say_product_and_detector_and_unreadable_ones_have_every_key(run, tmp_path, detector):
    photos(tmp_path / "today", 2)
    (tmp_path / "today/1.png").write_bytes(b"")
    assert run("today", "--out", "heat", "--no-drawings")[0] == 2
    good, bad = rows_of(tmp_path / "heat")
    assert (good["product"], good["detector"]) == ("bolt", detector)
    assert set(bad) == {*good, "error"}
    assert bad["score"] is bad["threshold"] is bad["is_anomalous"] is None


def test_a_row_promises_no_drawing_that_is_not_there(run, tmp_path, monkeypatch):
    photos(tmp_path / "today", 3)
    assert run("today", "--out", "heat")[0] == 0  # drawings of an earlier run count for nothing
    save = plots.save
    drawn = []

    def stop_at_second(figure, path):
        if drawn:
            raise KeyboardInterrupt
        drawn.append(save(figure, path))

    with monkeypatch.context() as patched:
        patched.setattr(plots, "save", stop_at_second)
        assert run("today", "--out", "heat")[0] == 130
    rows = rows_of(tmp_path / "heat")
    assert ["sheet" in row for row in rows] == [True, False, False]
    assert all(not (tmp_path / row["sheet_planned"]).exists() for row in rows[1:])
    assert run("today", "--out", "heat")[0] == 0
    rows = rows_of(tmp_path / "heat")
    assert all((tmp_path / row["sheet"]).is_file() for row in rows)
    assert not any("sheet_planned" in row for row in rows)


def test_rows_are_on_the_disk_while_others_are_judged_and_drawings_can_be_left_off(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(predict, "CHUNK", 2)
    photos(tmp_path / "today", 5)
    found = []
    judged = predict.Command._judged

    def look(self, *given):
        found.append(len(rows_of(tmp_path / "heat")))
        return judged(self, *given)

    monkeypatch.setattr(predict.Command, "_judged", look)
    code, text, _ = run("today", "--out", "heat", "--no-drawings", "--json")
    assert code == 0 and found == [0, 2, 4] and json.loads(text) == rows_of(tmp_path / "heat")
    assert not list(tmp_path.glob("heat/*.png")) and "sheet" not in text
    code, _, errors = run("today", "--no-drawings")
    assert code == 2 and "--no-drawings has a meaning with --out only" in errors


def test_two_runs_at_once_do_not_share_a_folder(run, tmp_path, monkeypatch):
    photos(tmp_path / "today", 1)
    assert run("today", "--out", "heat")[0] == 0
    with only_one(tmp_path / "heat"):
        # held by this process, it would be let in
        monkeypatch.setattr("aaclip_lite.files.keep._HELD", set())
        code, text, errors = run("today", "--out", "heat")
    assert (code, text) == (2, "") and "heat is being written by another process" in errors
    assert len(rows_of(tmp_path / "heat")) == 1


def test_other_words_than_the_line_s_give_no_verdict_and_no_promise(run, tmp_path):
    places.picture(tmp_path / "part.png")
    code, text, _ = run("part.png", "--words", "a photo of a dog")
    assert code == 0 and "no verdict" in text and "drawn with other words" in text
    assert "will be called" not in text
    assert run("part.png", "--words", "a photo of a dog", "--fail-on-anomaly")[0] == 2


def test_a_product_that_a_saved_detector_does_not_know_is_an_error(detector, capsys, tmp_path):
    part = places.picture(tmp_path / "part.png")
    assert main(["predict", str(part), "--detector", detector, "--product", "Bolt"]) == 2
    errors = capsys.readouterr().err
    assert "--product Bolt: detector" in errors and "knows bolt" in errors
