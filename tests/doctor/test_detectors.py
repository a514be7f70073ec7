"""What the doctor says of a detector's folder, of a copy of its base's words, and of bare pictures."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from aaclip_lite import doctor
from aaclip_lite.checkpoint import save_adapter
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.doctor.subjects import subjects
from tests import tiny


@pytest.fixture(scope="module")
def frozen():
    return tiny.clip(vision={"layers": 4})


@pytest.fixture
def folder(tmp_path, frozen):
    """A detector that remembers five bolts, and another product by its line only."""
    model = tiny.model(frozen)
    parts = [torch.rand(3, 16, 16) for _ in range(10)]
    detector = AnomalyDetector(model).remember(parts[:5], "bolt").calibrate(parts[5:], "nut")
    return detector.save(tmp_path / "run")


def test_a_detectors_folder_is_one_subject_and_its_references_are_no_adapters(folder):
    expected = [("checkpoint", folder / f"{side}.safetensors") for side in ("image", "text")]
    assert subjects(folder) == [*expected, ("detector", folder)]
    for name in ("references.safetensors", "detector.json"):
        assert subjects(folder / name) == [("detector", folder)]


def test_a_detector_says_which_products_have_a_line_and_which_it_remembers(folder):
    finding = doctor.detector(folder)
    assert finding.verdict == "whole" and finding.healthy
    assert "with a line: bolt, nut; remembered: bolt" in finding.reasons[0]
    bolt, nut = finding.rows
    assert (bolt["product"], bolt["sound parts"], nut["product"]) == ("bolt", 5, "nut")
    assert bolt["patches"] > 0 and nut["patches"] is None and bolt["line"] > 0


def test_references_that_are_not_finite_are_found(folder):
    banks = load_file(folder / "references.safetensors")
    banks["bolt"][0, 0] = torch.nan
    save_file(banks, folder / "references.safetensors")
    notes = json.loads((folder / "detector.json").read_text())
    notes.pop("beside")
    (folder / "detector.json").write_text(json.dumps(notes))
    finding = doctor.detector(folder)
    assert finding.verdict == "broken" and "bolt" in finding.reasons[0]


def test_references_beside_other_notes_or_none_are_found(folder):
    save_file({"screw": torch.ones(2, 4)}, folder / "references.safetensors")
    assert doctor.detector(folder).verdict == "broken"
    notes = json.loads((folder / "detector.json").read_text())
    notes.pop("beside")
    (folder / "detector.json").write_text(json.dumps(notes))
    finding = doctor.detector(folder)
    assert finding.verdict == "half" and len(finding.reasons) == 3
    assert "screw" in finding.reasons[1] and "bolt" in finding.reasons[0]
    (folder / "detector.json").unlink()
    finding = doctor.detector(folder)
    assert finding.verdict == "half" and "without detector.json" in finding.reasons[0]


def test_a_copy_of_the_bases_words_is_not_called_inconsistent(frozen, tmp_path):
    model = tiny.model(frozen, adapter_init="xavier")
    with torch.no_grad():
        for weight in model.trainable("text").values():
            weight.add_(torch.sign(torch.randn_like(weight)), alpha=0.3)
    copy = save_adapter(tmp_path / "text.safetensors", model, "text", {"step": 0})
    finding = doctor.checkpoint(copy)
    assert finding.verdict == "trained" and any("kept as they were" in r for r in finding.reasons)
    own = {"step": 0, "seed": 0, "data": "d1"}
    unlike = save_adapter(tmp_path / "own.safetensors", model, "text", own)
    assert doctor.checkpoint(unlike).verdict == "inconsistent"


# ---- pictures without labels ---------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    """Six pictures, as a camera leaves them: no folders, no labels."""
    place = tmp_path / "good"
    place.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(noise).resize((80, 60)).save(place / f"{number}.png")
    return place


def test_a_folder_of_good_parts_is_examined_as_such(good):
    assert subjects(good) == [("pictures", good)]
    finding = doctor.parts(good)
    assert finding.verdict == "sound" and finding.healthy
    assert finding.rows[0]["pictures"] == 6 and finding.rows[0]["sizes"] == "80x60"
    assert any("no labels" in reason for reason in finding.reasons)


def test_broken_equal_and_almost_equal_pictures_among_good_parts_are_named(good):
    (good / "5.png").write_bytes(b"no picture")
    (good / "0copy.png").write_bytes((good / "0.png").read_bytes())
    with Image.open(good / "1.png") as part:
        part.resize((40, 30)).save(good / "1small.png")
    Image.new("RGB", (80, 60), "grey").save(good / "flat.png")
    finding = doctor.parts(good)
    told = "\n".join(finding.reasons)
    assert finding.verdict == "unreadable" and finding.rows[0]["sizes"] == "40x30 to 80x60"
    for what in ("5.png", "0.png, 0copy.png: equal", "1.png is almost 1small.png", "flat.png: all"):
        assert what in told
    assert "0.png is almost" not in told


def test_good_parts_that_no_program_here_reads_are_named(tmp_path):
    (tmp_path / "a.heic").touch()
    assert subjects(tmp_path) == [("pictures", tmp_path)]
    finding = doctor.parts(tmp_path)
    assert finding.verdict == "unreadable" and ".heic is not read" in finding.reasons[0]
