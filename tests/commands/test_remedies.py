"""What the command line says when something is not as it should be: its own options as remedies, and
notes where a detector does not know what it is asked about.
"""

import errno
import shutil
from types import SimpleNamespace

import filelock
import numpy as np
import pytest
from PIL import Image

from aaclip_lite.__main__ import main
from aaclip_lite.commands import eval as command
from aaclip_lite.commands import train as training
from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.lab import real, study
from tests import layouts, tiny


def run(capsys, *words):
    """(exit code, what was printed, what went to the error stream)"""
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def helped(capsys, *words):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


# ---- data sets -----------------------------------------------------------------------------------


def test_remedies_for_a_data_set_are_options_that_work(capsys, tmp_path):
    layouts.write_folder(tmp_path, masks=False)
    shutil.copy(tmp_path / "good/part0.jpg", tmp_path / "good/again.jpg")
    told = run(capsys, "doctor", tmp_path)[2]
    assert "or give --image-level" in told and "image_level" not in told
    assert told.splitlines()[-1].endswith("duplicate can be tolerated: --allow duplicate")
    words = ["--image-level", *told.splitlines()[-1].split(": ")[-1].split()]
    assert (
        "good/again.jpg, good/part0.jpg: equal bytes" in run(capsys, "doctor", tmp_path, *words)[1]
    )


def test_a_folder_that_is_no_data_set_is_told_what_to_do_with_it(capsys, tmp_path):
    layouts.picture(tmp_path / "things" / "a.png")
    told = run(capsys, "doctor", tmp_path)[2]
    assert "; put pictures into good/ and one folder a kind" in told
    assert "name the layout" not in told and told.splitlines()[-1] == "Mend them."


# ---- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train", "eval", "predict", "doctor", "export"])
def test_a_group_of_options_has_its_own_heading(capsys, name):
    text = helped(capsys, name)
    groups = text.partition("backbone options")
    assert "Which CLIP carries the adapters." in groups[2] and "usage: " in text
    assert text.count("train onwards") == (name == "train")


def test_every_option_is_explained_by_its_own_words(capsys):
    text = helped(capsys, "train")
    assert "--residual {v1,v2,v3} of the variant:" in text
    assert "--accept-licence you have read the licence" in helped(capsys, "fetch")


def test_names_and_what_they_do_are_apart_in_every_list(capsys):
    for words in (["--help"], ["lab"]):
        rows = [line for line in run(capsys, *words)[1].splitlines() if line.startswith("  ")]
        assert rows and all(" " in row.strip()[:14] and "  " in row.strip() for row in rows)


# ---- files ---------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(capsys, tmp_path, monkeypatch):
    def refused(lock, *given, **more):
        raise PermissionError(errno.EACCES, "Permission denied", lock.lock_file)

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    code, _, told = run(capsys, "factory", "--out", tmp_path / "ro", "--splits", "val")
    assert (code, told) == (
        2,
        f"error: not writable: {tmp_path / 'ro'}; choose another folder\n",
    )


def test_the_laboratory_goes_on_with_the_rows_that_are_shipped(tmp_path):
    rows = study.read(real.Real.data)
    assert {row["count"] for row in rows} == {real.Real.count}
    assert {row["batch"] for row in rows if "batch" in row} == {real.Real.batch}
    log = tmp_path / "rows.jsonl"
    log.write_text('{"count": 50}\n')
    with pytest.raises(ValueError, match=r"another count \(50\): .* or use another --data"):
        study.Study(log, {"count": 100}, option="--data")


# ---- a detector and the data that it is asked about ----------------------------------------------


@pytest.fixture(scope="module")
def known():
    """A detector that remembers five pictures of noise as bolts."""
    parts = [np.random.default_rng(n).integers(0, 255, (30, 40, 3), np.uint8) for n in range(5)]
    model = tiny.model(tiny.clip(vision={"layers": 4}))
    return AnomalyDetector(model).remember(parts, "bolt"), parts


def test_eval_names_the_product_that_the_detector_knows(known, tmp_path):
    layouts.write_folder(tmp_path)
    (said,) = command.notes_on(known[0], open_dataset(tmp_path))
    assert said == "the detector knows bolt, the data has object: name it with --class-name bolt"
    assert not [*command.notes_on(known[0], open_dataset(tmp_path, class_name="bolt"))]
    fresh = SimpleNamespace(references={}, calibration={"*": {}})
    assert not [*command.notes_on(fresh, open_dataset(tmp_path))]


def test_eval_says_of_other_classes_that_nothing_was_learned_of_them(known, tmp_path):
    layouts.write_mvtec(tmp_path)
    (said,) = command.notes_on(known[0], open_dataset(tmp_path))
    assert said == "the detector knows bolt, the data has bottle, cable: of these it knows nothing"


def test_eval_counts_the_pictures_that_are_the_detectors_own_references(known, tmp_path):
    detector, parts = known
    layouts.write_folder(tmp_path)
    for number in range(2):
        Image.fromarray(parts[number]).save(tmp_path / "good" / f"seen{number}.png")
    (said,) = command.notes_on(detector, open_dataset(tmp_path, class_name="bolt"))
    assert said == (
        "2 of 5 sound pictures of bolt are the detector's references, which look like themselves: "
        "judge others"
    )


def test_after_training_on_ones_own_parts_these_are_what_to_judge():
    own = training.Command(data="my parts", out="runs/x")
    assert own.what_to_try() == "python -m aaclip_lite eval runs/x --data 'my parts'"
    named = training.Command(
        data="parts", out="runs/x", reading=training.shared.Reading(class_name="flansch")
    )
    assert named.what_to_try().endswith("--data parts --class-name flansch")
    assert training.Command().what_to_try() == "python -m aaclip_lite eval runs/a"
