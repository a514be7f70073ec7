"""detector.py: every form of input, calibration, words, files, the hub (its API recorded, not
reached), refusals.
"""

import json
import warnings
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite import scoring
from aaclip_lite.checkpoint import MismatchError, read_metadata, save_adapter
from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector, PictureError
from aaclip_lite.evaluation import evaluate
from aaclip_lite.files.forms import to_tensor
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from tests import tiny

CONFIG = tiny.config(vision={"image_size": 40, "layers": 4, "patch_size": 8})
COURSE = Recipe.course().replace(adapter_init="xavier")
FILES = ["detector.json", "image.safetensors", "text.safetensors"]


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


def build(clip, seed=0, domain="industrial", words=None, **changes):
    torch.manual_seed(seed)
    return AnomalyDetector(AdaptedCLIP(clip, COURSE.replace(**changes)), domain=domain, words=words)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)


@pytest.fixture
def calibrated(clip, pictures):
    return build(clip).calibrate(pictures[:30], "bolt")


@pytest.fixture
def folder(tmp_path, pictures):
    place = tmp_path / "parts"
    (place / "sub").mkdir(parents=True)
    for i, name in enumerate(("b.png", "a.png", "sub/c.bmp")):
        Image.fromarray(pictures[i]).save(place / name)
    (place / "notes.txt").write_text("no picture")
    return place


# ---- input ---------------------------------------------------------------------------------------


def test_every_form_of_a_picture_gives_the_same(calibrated, pictures, folder):
    array = pictures[0]
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    forms = [array, array.astype(np.float32) / 255, tensor, tensor / 255, Image.fromarray(array)]
    forms += [folder / "b.png", str(folder / "b.png")]
    first = calibrated.predict(array, "bolt")
    assert (
        first.map.shape == (32, 32)
        and first.map.dtype == np.float32
        and isinstance(first.score, float)
    )
    for form in forms:
        found = calibrated.predict(form, "bolt")
        np.testing.assert_allclose(found.map, first.map, atol=1e-5)
        assert found[1:4] == pytest.approx(first[1:4])
    assert calibrated.predict(folder / "b.png", "bolt").path == str(folder / "b.png")


def test_several_pictures_give_a_list_in_their_order(calibrated, pictures, folder):
    single = [calibrated.predict(picture, "bolt").score for picture in pictures[:3]]
    stacks = [
        list(pictures[:3]),
        pictures[:3],
        torch.from_numpy(pictures[:3]).permute(0, 3, 1, 2),
        tuple(pictures[:3]),
    ]
    for stack in stacks:
        for batch_size in (2, 16):
            found = calibrated.predict(stack, "bolt", batch_size=batch_size)
            assert [each.score for each in found] == pytest.approx(single, abs=1e-5)
    below = calibrated.predict(folder, "bolt")
    assert [Path(each.path).name for each in below] == ["a.png", "b.png", "c.bmp"]
    assert [each.score for each in below] == pytest.approx(
        [single[1], single[0], single[2]], abs=1e-5
    )
    assert len(calibrated.predict([pictures[0]], "bolt")) == 1


def test_the_map_has_the_pictures_own_size(calibrated):
    rng = np.random.default_rng(0)
    sizes = [(40, 70), (40, 70), (24, 24), (40, 70)]
    found = calibrated.predict(
        [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes], "bolt"
    )
    assert [each.map.shape for each in found] == sizes


def test_grey_and_deep_pictures(calibrated, pictures, tmp_path):
    grey = pictures[0, :, :, 0]
    colour = calibrated.predict(np.stack([grey] * 3, -1), "bolt").score
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    rgba = Image.fromarray(grey).convert("RGBA")
    for form in (grey, grey[..., None], Image.fromarray(grey), tmp_path / "16.png", rgba):
        assert calibrated.predict(form, "bolt").score == pytest.approx(colour, abs=1e-5)


def test_an_array_that_cannot_be_written_to_is_read_without_a_warning(calibrated, pictures):
    array = np.asarray(Image.fromarray(pictures[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = to_tensor(array)
    assert torch.equal(read, to_tensor(pictures[0])) and not array.flags.writeable


@pytest.mark.parametrize(
    "form, error, message",
    [
        ("gone.png", FileNotFoundError, "gone.png: no such picture; check the path"),
        (["also/gone.png"], FileNotFoundError, "also/gone.png: no such picture"),
        (
            "broken.png",
            PictureError,
            "broken.png is no readable picture .*save it again as PNG or JPEG",
        ),
        ("empty", FileNotFoundError, "no pictures below .*empty.*png"),
        ([], PictureError, "the list is empty"),
        (7, PictureError, "a int is no picture"),
        (
            np.zeros((3, 32, 32), np.uint8),
            PictureError,
            r"\(32, 3, 32\), colour first, is no picture",
        ),
        (np.zeros((32, 32, 3), np.int64), PictureError, "int64 values: expected uint8, or float"),
        (np.full((32, 32, 3), 200.0), PictureError, r"must lie in \[0, 1\]; this one: 200 to 200"),
        (np.full((32, 32, 3), np.nan), PictureError, r"must lie in \[0, 1\]"),
        (np.zeros((0, 32, 3), np.uint8), PictureError, "is no picture"),
    ],
)
def test_what_is_no_picture_is_named(calibrated, tmp_path, monkeypatch, form, error, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(error, match=message):
        calibrated.predict(form, "bolt")


# ---- scores --------------------------------------------------------------------------------------


def test_scores_and_maps_are_deviations_above_normal(clip, pictures):
    raw = build(clip)
    before = raw.predict(pictures[:30], "bolt")
    assert all(each.threshold is None and each.is_anomalous is None for each in before)
    assert before[0].why == "no line for bolt yet: give 5 sound parts (remember or calibrate)"
    after = raw.calibrate(pictures[:30], "bolt", false_alarms=0.1).predict(pictures[:30], "bolt")
    scores, plain = (np.array([each.score for each in found]) for found in (after, before))
    np.testing.assert_allclose(scores, (plain - plain.mean()) / plain.std(ddof=1), atol=1e-4)
    maps, plain = (np.stack([each.map for each in found]) for found in (after, before))
    np.testing.assert_allclose(maps, (plain - plain.mean()) / plain.std(), atol=1e-3)
    assert after[0].threshold == pytest.approx(
        scoring.threshold_at(torch.tensor(scores), 0.1), abs=1e-4
    )
    assert [each.is_anomalous for each in after] == [each.score > each.threshold for each in after]
    assert sum(each.is_anomalous for each in after) <= 3


def test_false_alarms_of_new_normal_pictures_stay_near_the_target(clip):
    rng = np.random.default_rng(1)
    normal = rng.integers(0, 256, (600, 32, 32, 3), np.uint8)
    judge = build(clip).calibrate(normal[:300], "bolt", false_alarms=0.2)
    share = np.mean(
        [each.is_anomalous for each in judge.predict(normal[300:], "bolt", batch_size=100)]
    )
    assert 0.12 < share < 0.28


KINDS = ["map_detection", "map_late", "map_max", "map_top", "detection", "released"]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_score(clip, pictures, kind):
    judge = build(clip, image_score=kind)
    recipe = judge.model.recipe
    with torch.no_grad():
        images = torch.from_numpy(pictures[:30]).permute(0, 3, 1, 2)
        features = judge.model(judge.model.preprocess(images))
        anchors = judge.model.text_anchors(["bolt"])["bolt"]
        maps = scoring.anomaly_map(features.levels, anchors, 32, **recipe.finish)
        raw = scoring.picture_scores(features, anchors, maps, kind, blur=recipe.blur)
    expected = scoring.z_scores(raw, scoring.fit_constants(raw))
    predictions = judge.calibrate(pictures[:30], "bolt").predict(pictures[:30], "bolt")
    assert [each.score for each in predictions] == pytest.approx(expected.tolist(), abs=1e-3)


def test_a_product_uses_its_own_calibration_others_the_one_for_all(clip, pictures, tmp_path):
    lines = []
    for i in range(24):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i}.png")
        lines.append({"image_path": f"{i}.png", "label": 0, "class_name": ("cup", "nut")[i % 2]})
    Image.fromarray(pictures[30]).save(tmp_path / "bad.png")
    lines.append({"image_path": "bad.png", "label": 1, "class_name": "cup"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = open_dataset(tmp_path, image_level=True)
    judge = build(clip).calibrate(data)
    assert judge.calibration["*"]["pictures"] == 24 and "any product" in repr(judge)
    everyone = judge.predict(pictures[0], "spoon", any_product=True).threshold
    judge.calibrate(pictures[:20], "bolt", false_alarms=0.3)
    asked = judge.predict(pictures[0], "spoon", any_product=True)
    assert asked.threshold == everyone == judge.calibration["*"]["threshold"]
    withheld = judge.predict(pictures[0], "spoon")
    assert withheld.threshold is None and withheld.is_anomalous is None
    assert withheld.score == asked.score and "no line for spoon yet" in withheld.why
    assert (
        judge.predict(pictures[0], "bolt").threshold
        == judge.calibration["bolt"]["threshold"]
        != everyone
    )
    images = torch.from_numpy(pictures[:4]).permute(0, 3, 1, 2) / 255
    maps, scores = judge.anomaly_maps(images, ["bolt", "spoon", "bolt", "cup"])
    for i, name in enumerate(["bolt", "spoon", "bolt", "cup"]):
        alone = judge.predict(pictures[i], name)
        assert scores[i].item() == pytest.approx(alone.score, abs=1e-4)
        np.testing.assert_allclose(maps[i], alone.map, atol=1e-4)
    with pytest.raises(ValueError, match="needs normal pictures, and there are none"):
        judge.calibrate(data.filter(labels=1))


def test_the_number_of_normal_pictures_decides_what_is_promised(clip, pictures):
    with pytest.raises(
        ValueError, match=r"4 sound parts are too few .* 5, or 19 for a false-alarm"
    ):
        build(clip).calibrate(pictures[:4], "bolt")
    for count, rule in ((5, "few"), (18, "few"), (19, "rank")):
        entry = build(clip).calibrate(pictures[:count], "bolt").calibration["bolt"]
        assert (entry["pictures"], entry["rule"]) == (count, rule)


def test_evaluate_judges_what_predict_gives(clip, calibrated, pictures, tmp_path):
    lines = []
    for i in range(8):
        Image.fromarray(pictures[i]).save(tmp_path / f"{i}.png")
        lines.append({"image_path": f"{i}.png", "label": i % 2, "class_name": "bolt"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report = evaluate(
        calibrated, open_dataset(tmp_path, image_level=True), rounds=1, progress=False
    )
    scores = [each.score for each in calibrated.predict(pictures[:8], "bolt")]
    assert [row["score"] for row in report.pictures] == pytest.approx(scores, abs=1e-4)
    assert report.about["judged"] == "detector" and report.about["image_score"] == "map_detection"


# ---- words ---------------------------------------------------------------------------------------


def test_words_of_ones_own(clip, pictures):
    judge, own = build(clip), build(clip, words={"bolt": "rusty screw"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, said, kept, named = (
            judge.predict(pictures[0], "bolt").score,
            judge.predict(pictures[0], "bolt", words="rusty screw").score,
            own.predict(pictures[0], "bolt").score,
            judge.predict(pictures[0], "rusty_screw").score,
        )
        assert plain != said == kept and named == pytest.approx(said)
        assert judge.predict(pictures[0], "bolt").score == plain  # said once, not kept
        assert judge.predict(pictures[0]).score == judge.predict(pictures[0], "object").score
        with pytest.raises(ValueError, match="class name must be a non-empty string"):
            judge.predict(pictures[0], " ")


# ---- files ---------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path, clip):
    """The arguments of load_clip for a backbone on disk, as a detector notes them."""
    (tmp_path / "clip.json").write_text(json.dumps(CONFIG))
    torch.save(clip.state_dict(), tmp_path / "clip.pt")
    return {"source": str(tmp_path / "clip.json"), "weights": str(tmp_path / "clip.pt")}


def test_saved_and_loaded_it_says_the_same(clip, pictures, source, tmp_path):
    torch.manual_seed(0)
    model = AdaptedCLIP(clip, COURSE.replace(image_score="map_top"))
    judge = AnomalyDetector(model, domain="medical", words={"bolt": "rusty screw"}, backbone=source)
    judge.calibrate(pictures[:30], "bolt")
    again = AnomalyDetector.load(judge.save(tmp_path / "kept"))
    before, after = (each.predict(pictures[3], "bolt") for each in (judge, again))
    assert before[1:] == after[1:] and np.array_equal(before.map, after.map)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == FILES
    assert (again.domain, again.words, repr(again)) == (
        "medical",
        {"bolt": "rusty screw"},
        repr(judge),
    )
    assert (
        again.save(tmp_path / "kept")
        and AnomalyDetector.load(tmp_path / "kept").calibration == again.calibration
    )


def test_a_runs_folder_is_a_detector(clip, pictures, tmp_path):
    judge = build(clip)
    for stage in ("text", "image"):
        save_adapter(tmp_path / f"{stage}.safetensors", judge.model, stage, {"step": 7})
    loaded = AnomalyDetector.load(tmp_path, clip=clip)
    images = torch.from_numpy(pictures[:2]).permute(0, 3, 1, 2) / 255
    assert torch.equal(
        loaded.anomaly_maps(images, ["bolt"] * 2)[0], judge.anomaly_maps(images, ["bolt"] * 2)[0]
    )
    loaded.save(tmp_path / "kept")
    # what training noted stays with it
    assert read_metadata(tmp_path / "kept" / "image.safetensors")["step"] == 7
    (tmp_path / "image.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"holds stage 1 only: a detector needs image\.safetensors"
    ):
        AnomalyDetector.load(tmp_path, clip=clip)


def test_another_backbone_is_refused_with_the_remedy(clip, tmp_path):
    folder = build(clip).save(tmp_path / "kept")
    torch.manual_seed(1)
    with pytest.raises(MismatchError, match=r"backbone\.fingerprint is .*clip=load_clip"):
        AnomalyDetector.load(folder, clip=load_clip(CONFIG, weights=None))


def test_a_name_that_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/none", "no such/place/at all"):
        with pytest.raises(
            FileNotFoundError, match=f"{name} is no folder here. Use 'course' .*hf:OWNER/NAME"
        ):
            AnomalyDetector.load(name)
    with pytest.raises(ValueError, match="domain = 'space' is not one of industrial, medical"):
        AnomalyDetector(None, domain="space")


def test_a_path_is_asked_for_as_a_path_and_a_device_that_is_there(calibrated):
    for call in (AnomalyDetector.load, calibrated.save, calibrated.to_onnx):
        with pytest.raises(TypeError, match=r"= None is a NoneType.*give a path such as 'runs/a'"):
            call(None)
    for device in ("gpu", "cuda:99"):
        with pytest.raises(ValueError, match=f"device = '{device}' is not .* choose one of cpu"):
            AnomalyDetector.load("course", device=device)


def test_to_the_hub_and_back(clip, pictures, source, tmp_path, monkeypatch):
    calls, shared = [], tmp_path / "shared"

    class RecordingApi:
        def __init__(self, token):
            calls.append(("token", token))

        def create_repo(self, repo_id, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))

        def upload_folder(self, repo_id, folder_path, commit_message):
            calls.append(("upload", repo_id))
            Path(folder_path).rename(shared)
            Path(folder_path).mkdir()

    def snapshot_download(repo_id, allow_patterns):
        calls.append(("download", repo_id, sorted(allow_patterns)))
        return str(shared)

    monkeypatch.setattr(huggingface_hub, "HfApi", RecordingApi)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    torch.manual_seed(0)
    judge = AnomalyDetector(AdaptedCLIP(clip, COURSE), backbone=source).calibrate(
        pictures[:30], "bolt"
    )
    assert judge.push_to_hub("someone/bolts", private=True, token="t") == "someone/bolts"
    assert calls == [
        ("token", "t"),
        ("create", "someone/bolts", True, True),
        ("upload", "someone/bolts"),
    ]
    assert sorted(path.name for path in shared.iterdir()) == ["README.md", *FILES]
    card = (shared / "README.md").read_text()
    assert (
        card.startswith("---\n")
        and 'load("hf:someone/bolts")' in card
        and "calibrated for bolt" in card
    )
    again = AnomalyDetector.load("hf:someone/bolts")
    wanted = sorted([*FILES, "references.safetensors"])
    assert calls[-1] == ("download", "someone/bolts", wanted)
    assert again.predict(pictures[0], "bolt")[1:] == judge.predict(pictures[0], "bolt")[1:]


def test_to_tensor_keeps_values():
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert torch.equal(to_tensor(array), torch.from_numpy(array).permute(2, 0, 1) / 255)
