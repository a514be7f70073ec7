"""export: what lies in its folder is not lost, and what leaves it says how it is to be read."""

import json
import shutil

import pytest

from aaclip_lite.__main__ import main
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.files.keep import only_one
from aaclip_lite.load import load_clip
from tests.faults import places


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A clip, a detector that knows bolts, and six sound parts."""
    place = places.write_clip(tmp_path_factory.mktemp("export"))
    places.write_detector(place)
    for number in range(6):
        places.picture(place / "good" / f"{number}.png", 300 + number)
    return place


@pytest.fixture
def kept(home, tmp_path):
    """A copy of the detector, which a test may write into."""
    return shutil.copytree(home / "detector", tmp_path / "kept")


def export(capsys, home, product, out, *more, detector=None):
    words = ["--product", product, "--references", home / "good", "--out", out]
    words += ["--detector", detector or home / "detector", *more]
    capsys.readouterr()
    return main(["export", *map(str, words)]), capsys.readouterr().err


def test_another_product_s_detector_is_not_replaced(capsys, home, kept):
    before = (kept / "detector.json").read_bytes()
    code, errors = export(capsys, home, "nut", kept)
    assert code == 2 and f"--out {kept} holds a detector that knows bolt" in errors
    assert f"--detector {kept}" in errors and (kept / "detector.json").read_bytes() == before
    # added to, and its own product anew
    assert export(capsys, home, "nut", kept, detector=kept)[0] == 0
    assert {"bolt", "nut"} <= AnomalyDetector.load(kept).calibration.keys()


def test_the_same_product_is_learned_anew(capsys, home, kept):
    assert export(capsys, home, "bolt", kept)[0] == 0
    assert AnomalyDetector.load(kept).calibration["bolt"]["rule"] == "few"


def test_a_program_of_the_detector_before_does_not_stay_beside_the_new_one(capsys, home, kept):
    (kept / "detector.onnx").write_bytes(b"older")
    code, errors = export(capsys, home, "bolt", kept)
    assert code == 2 and "detector.onnx" in errors and "--onnx" in errors
    assert (kept / "detector.onnx").read_bytes() == b"older"


def test_one_export_at_a_time_writes_a_folder(capsys, home, kept):
    with only_one(kept):
        # as another process meets it
        from aaclip_lite.files import keep

        keep._HELD.clear()
        code, errors = export(capsys, home, "bolt", kept)
    assert code == 2 and str(kept) in errors


def test_what_was_learned_at_one_size_is_not_read_at_another(home):
    source = {"source": str(home / "clip.json"), "weights": str(home / "clip.pt")}
    with pytest.raises(ValueError, match=r"bolt.* at 32 px, not 64.*remember"):
        AnomalyDetector.load(home / "detector", load_clip(**source, image_size=64))
    assert AnomalyDetector.load(home / "detector", load_clip(**source)).calibration


def test_references_without_their_notes_are_half_a_detector(capsys, home, kept):
    assert export(capsys, home, "bolt", kept)[0] == 0
    (kept / "detector.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"detector\.json.*save it again"):
        AnomalyDetector.load(kept)


def test_a_misspelled_product_is_not_written_as_a_program(home, tmp_path):
    detector = AnomalyDetector.load(home / "detector")
    with pytest.raises(ValueError, match=r"no line for 'Bolt'.*knows bolt"):
        detector.to_onnx(tmp_path / "typo.onnx", "Bolt")
    assert not (tmp_path / "typo.onnx").exists()


def test_a_program_says_how_its_picture_is_made(home, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = AnomalyDetector.load(home / "detector").to_onnx(tmp_path / "bolt.onnx", "bolt")
    facts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    told = json.loads(facts["input"])
    assert "RGB" in told and "bicubic" in told and "0 to 1" in told
    assert "above" in json.loads(facts["verdict"])


def test_a_detector_is_kept_with_the_size_that_it_was_read_at(home, tmp_path):
    source = {"source": str(home / "clip.json"), "weights": str(home / "clip.pt")}
    raw = places.write_detector(home, calibrated=False)
    larger = AnomalyDetector.load(raw, load_clip(**source, image_size=64))
    larger.remember(home / "good", "nut").save(tmp_path / "larger")
    assert AnomalyDetector.load(tmp_path / "larger").model.clip.image_size == 64
