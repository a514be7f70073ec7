"""predict --out: no input is overwritten, no verdict lost, no drawing outside the folder."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from aaclip_lite.__main__ import main
from aaclip_lite.commands import predict
from aaclip_lite.course import plots
from tests.faults import places


def rows_of(folder):
    lines = (folder / "verdicts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def below(folder):
    """All files but the lock that shows who writes the folder."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return sorted(str(p.relative_to(folder)) for p in files)


def test_bf16_gives_the_same_verdict_from_a_close_score(run, tmp_path):
    places.picture(tmp_path / "part.png")
    rows = [json.loads(run("part.png", "--json", *more)[1])[0] for more in ([], ["--bf16"])]
    assert rows[0]["is_anomalous"] == rows[1]["is_anomalous"]
    assert rows[0]["score"] != rows[1]["score"] == pytest.approx(rows[0]["score"], rel=0.1)


@pytest.mark.parametrize("name", ["part.png", "part.heat.png", "part.png.heat.png"])
def test_the_photo_is_never_overwritten(run, tmp_path, name):
    part = places.picture(tmp_path / name)
    before = part.read_bytes()
    assert run(name, "--out", ".")[0] == 0
    assert run(part, "--out", ".")[0] == 0
    assert part.read_bytes() == before
    sheets = {row["sheet"] for row in rows_of(tmp_path)}
    assert name not in sheets and all((tmp_path / each).is_file() for each in sheets)


def test_a_link_to_the_photo_in_place_of_the_sheet_is_replaced_not_followed(run, tmp_path):
    part = places.picture(tmp_path / "part.png")
    before = part.read_bytes()
    (tmp_path / "heat").mkdir()
    (tmp_path / "heat" / "part.png.heat.png").symlink_to(part)
    assert run("part.png", "--out", "heat")[0] == 0
    assert part.read_bytes() == before and not (tmp_path / "heat/part.png.heat.png").is_symlink()


def test_drawings_stay_in_the_folder_wherever_pictures_lie(run, tmp_path):
    inside = tmp_path / "work"
    inside.mkdir()
    names = ["a.png", "b.png", "work/c.png"]
    parts = [places.picture(tmp_path / name, i) for i, name in enumerate(names)]
    odd = os.path.join("work", "..", "a.png")
    before = below(tmp_path)
    assert run(*parts, odd, "--out", "work/heat")[0] == 0
    new = sorted(set(below(tmp_path)) - set(before))
    assert len(new) == 4 and all(each.startswith("work/heat/") for each in new)


def test_pictures_of_one_name_have_their_own_sheets(run, tmp_path):
    names = ["x.png", "x.jpg", "X.PNG", "x.bmp", "a b.png", "a_b.png", "deep/1/2/3/x.png"]
    names += ["other/1/2/3/x.png"]
    for i, name in enumerate(names):
        places.picture(tmp_path / name, i)
    assert run(*names, "--out", "heat")[0] == 0
    sheets = [row["sheet"] for row in rows_of(tmp_path / "heat")]
    assert len(set(map(str.casefold, sheets))) == len(names)
    assert all((tmp_path / sheet).is_file() for sheet in sheets)


LONG = "n" * 245 + ".png"


@pytest.mark.parametrize(
    "name",
    ["a $ b $.png", "$x^{$.png", LONG, "ü" * 100 + ".png", "<b>|x.png", "-x.png", "a\nb.png"],
)
def test_any_name_is_judged_and_drawn(run, tmp_path, name):
    places.picture(tmp_path / "photos" / name)
    code, text, _ = run("photos", "--out", "heat")
    assert code == 0 and len(text.splitlines()) == 1
    (row,) = rows_of(tmp_path / "heat")
    assert row["path"] == f"photos/{name}"
    with Image.open(row["sheet"]) as sheet:
        assert sheet.width > sheet.height


def test_verdicts_are_kept_before_anything_is_drawn(run, tmp_path, monkeypatch):
    for i in range(3):
        places.picture(tmp_path / "photos" / f"{i}.png", i)

    def broken(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(plots, "sheet", broken)
    code, text, errors = run("photos", "--out", "heat")
    assert code == 2 and "the disk is full" in errors
    assert len(text.splitlines()) == len(rows_of(tmp_path / "heat")) == 3


def test_a_run_that_was_stopped_keeps_its_verdicts_and_ends_alike(run, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "CHUNK", 2)
    for i in range(5):
        places.picture(tmp_path / "photos" / f"{i}.png", i)
    assert run("photos", "--out", "whole")[0] == 0
    add = predict.Kept.add

    def stop_at_third(self, rows):
        add(self, rows)
        if len(rows_of(tmp_path / "heat")) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(predict.Kept, "add", stop_at_third)
        code, text, _ = run("photos", "--out", "heat")
        assert code == 130 and len(text.splitlines()) == len(rows_of(tmp_path / "heat")) == 4
    assert run("photos", "--out", "heat")[0] == 0

    def without_folder(folder):
        return [(r["path"], r["score"], r["is_anomalous"]) for r in rows_of(tmp_path / folder)]

    assert without_folder("heat") == without_folder("whole")
    for sheet in (tmp_path / "whole").glob("*.png"):
        assert sheet.read_bytes() == (tmp_path / "heat" / sheet.name).read_bytes()


def test_verdicts_of_other_pictures_stay(run, tmp_path):
    for i in range(2):
        places.picture(tmp_path / f"{i}.png", i)
    for name in ("0.png", "1.png", "0.png"):
        assert run(name, "--out", "heat")[0] == 0
    assert [row["path"] for row in rows_of(tmp_path / "heat")] == ["1.png", "0.png"]


def test_a_picture_that_cannot_be_read_costs_its_own_verdict_only(run, tmp_path):
    for i in range(3):
        places.picture(tmp_path / "photos" / f"{i}.png", i)
    (tmp_path / "photos" / "1.png").write_bytes(b"no picture")
    code, text, errors = run("photos", "--out", "heat")
    assert code == 2 and "1 of 3 pictures could not be read" in errors and "1.png" in errors
    assert [line.split()[0] == "UNREADABLE" for line in text.splitlines()] == [False, True, False]
    assert len(rows_of(tmp_path / "heat")) == 3 and len(below(tmp_path / "heat")) == 3


def test_its_own_drawings_and_foreign_pictures_are_left_out_and_listed(run, tmp_path):
    places.picture(tmp_path / "part.png")
    (tmp_path / "phone.heic").write_bytes(b"0")
    assert run(".", "--out", ".")[0] == 0
    code, text, errors = run(".", "--out", ".")
    assert code == 0 and len(text.splitlines()) == 1
    assert "skipped: part.png.heat.png: a heat map" in errors and "phone.heic: .heic" in errors


def test_what_cannot_be_written_is_refused_before_work(run, tmp_path):
    places.picture(tmp_path / "part.png")
    code, text, errors = run("part.png", "--out", "part.png")
    assert (code, text) == (2, "") and "--out part.png" in errors and "choose another" in errors
    (tmp_path / "heat").mkdir()
    (tmp_path / "heat" / "verdicts.jsonl").write_text('["mine"]\n')
    code, text, errors = run("part.png", "--out", "heat")
    assert (code, text) == (2, "") and "was not written by predict" in errors


def test_masks_in_the_folder_are_no_parts(run, tmp_path):
    names = ("good/1_mask.png", "scratch/2.png", "scratch/2_mask.png", "masks/scratch/2.png")
    for name in names:
        (tmp_path / "parts" / name).parent.mkdir(parents=True, exist_ok=True)
        places.picture(tmp_path / "parts" / name)
    code, text, errors = run("parts")
    assert code == 0 and "masks" not in text and len(text.splitlines()) == 2
    assert "good/1_mask.png" in text  # no picture of that name lies beside it
    assert "skipped: parts/masks/scratch: masks, no pictures of parts" in errors
    assert "skipped: parts/scratch/2_mask.png: the mask of the picture beside it" in errors


def test_the_line_of_other_products_is_used_with_a_warning(detector, tmp_path, capsys):
    words = ["predict", str(places.picture(tmp_path / "part.png")), "--detector", detector]
    for product, told in (("cup", True), ("bolt", False)):  # bolt has a line of its own
        assert main([*words, "--product", product, "--any-product"]) == 0
        assert ("most defects of a new product can pass" in capsys.readouterr().err) is told


def test_a_defective_reference_is_named_on_the_command_line(run, tmp_path):
    base = places.pixels(0)
    for i in range(12):
        part = base + np.random.default_rng(i).integers(0, 6, base.shape, np.uint8)
        if i == 7:
            part[4:28, 4:28] = 255 - part[4:28, 4:28]
        path = tmp_path / "good" / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(part).save(path)
    places.picture(tmp_path / "part.png")
    code, _, errors = run("part.png", "--references", "good")
    assert code == 0 and "note: good/07.png is unlike the other sound parts of bolt" in errors
