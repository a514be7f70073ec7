"""references.py and the detector that remembers: banks, distances, leave-one-out, files."""

import json
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite import references
from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.evaluation import evaluate
from aaclip_lite.files import coreset
from aaclip_lite.files.coreset import farthest
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from tests import tiny

CONFIG = tiny.config(vision={"image_size": 40, "layers": 4, "patch_size": 8})


def levels(pictures, seed=0, side=3, width=6, count=2):
    torch.manual_seed(seed)
    parts = [torch.randn(pictures, side * side, width) for _ in range(count)]
    return [part / part.norm(dim=-1, keepdim=True) for part in parts]


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


@pytest.fixture
def detector(clip):
    torch.manual_seed(0)
    return AnomalyDetector(AdaptedCLIP(clip, Recipe.course().replace(adapter_init="xavier")))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)


# ---- the bank ------------------------------------------------------------------------------------


def test_a_remembered_patch_is_at_no_distance_and_a_strange_one_is():
    seen = levels(3)
    each = [references.patches_of([level[i : i + 1] for level in seen]) for i in range(3)]
    bank, owner = references.make_bank(each)
    assert bank.shape == (27, 12) and owner.tolist() == [0] * 9 + [1] * 9 + [2] * 9
    grid = references.distances(seen, bank)
    assert grid.shape == (3, 1, 3, 3) and grid.abs().max() < 1e-5
    strange = references.distances(levels(1, seed=7), bank)
    assert strange.min() > 0.01


def test_a_match_must_hold_at_every_level():
    first, second = levels(2)
    bank = references.patches_of([first[:1], second[:1]])
    swapped = references.distances([first[:1], second[1:]], bank)
    assert swapped.min() > 0.01  # the first level alone is in the bank


def test_a_reference_is_judged_as_if_only_the_others_were_remembered(detector, pictures):
    parts = list(pictures[:5])
    detector.remember(parts, "bolt", readings=1)  # few patches: none is thinned away
    mean, _ = detector.calibration["bolt"]["score"]
    scores = []
    for i, part in enumerate(parts):
        detector.remember(parts[:i] + parts[i + 1 :], "bolt", readings=1)
        scores.append(detector.predict(part, "bolt").score)
    assert mean == pytest.approx(np.mean(scores), abs=1e-3)


def test_a_reference_is_read_where_a_new_part_may_lie():
    """Four by four places within a patch, or fewer where there are many references."""
    assert [references.steps(n, 128) for n in (1, 8, 9, 32, 33)] == [4, 4, 2, 2, 1]
    assert references.steps(3, 1) == 1
    picture = torch.rand(1, 3, 16, 16)
    views = references.moved(picture, 8, 4)
    assert views.shape == (16, 3, 16, 16)
    assert torch.equal(views[0], picture[0])
    assert torch.equal(views[1][:, :, :14], picture[0][:, :, 2:])
    assert torch.equal(views[4][:, :14], picture[0][:, 2:])
    assert torch.equal(views[5][:, :14, :14], picture[0][:, 2:, 2:])
    assert torch.equal(views[1][:, :, 15], picture[0][:, :, 15])  # the rim goes on


def test_a_moved_part_is_nearer_to_references_that_were_read_moved(detector):
    """Not by half a patch (4 pixels), where a reading lies exactly, but between two readings."""
    torch.manual_seed(0)
    wide = torch.rand(1, 3, 12, 12)
    wide = torch.nn.functional.interpolate(wide, size=(44, 44), mode="bilinear")[0]
    reference = wide[:, :32, :32]
    part = wide[:, 3:35, 5:37]
    apart = []
    for readings in (1, 128):
        detector.remember([reference], "bolt", readings=readings)
        seen = detector.features(part[None], "bolt").levels
        apart.append(references.distances(seen, detector.references["bolt"]).mean().item())
    assert apart[1] < apart[0]


def test_thinning_keeps_the_rare_patch():
    torch.manual_seed(0)
    common = torch.tensor([1.0, 0, 0, 0]) + 0.01 * torch.randn(500, 4)
    rare = torch.tensor([[0.0, 0, 1, 0]])
    bank = torch.cat([common, rare])
    bank = bank / bank.norm(dim=-1, keepdim=True)
    chosen = farthest(bank, 10)
    assert 500 in chosen and len(set(chosen.tolist())) == 10


def test_a_bank_of_another_model_is_refused():
    bank = references.patches_of(levels(1))
    with pytest.raises(ValueError, match="have 24 numbers a patch, the references 12: remember"):
        references.distances(levels(1, width=12), bank)


# ---- the detector --------------------------------------------------------------------------------


def test_five_sound_parts_give_a_verdict_four_do_not(detector, pictures):
    bare = detector.predict(pictures[0], "bolt")
    assert bare.is_anomalous is None and "no line for bolt yet: give 5 sound parts" in bare.why
    for count in (1, 4):
        few = detector.remember(pictures[:count], "bolt").predict(pictures[8], "bolt")
        assert few.is_anomalous is None and few.threshold is None
    enough = detector.remember(pictures[:5], "bolt").predict(pictures[8], "bolt")
    assert enough.is_anomalous in (True, False) and enough.why == ""
    assert detector.predict(pictures[8], "nut").is_anomalous is None  # bolt's line is bolt's


def test_what_is_unlike_the_references_scores_higher(detector):
    torch.manual_seed(0)
    base = torch.rand(3, 40, 40)
    sound = [(base + 0.02 * torch.randn(3, 40, 40)).clamp(0, 1) for _ in range(7)]
    damaged = sound[6].clone()
    damaged[:, 8:24, 8:24] = torch.rand(3, 16, 16)
    detector.remember(sound[:5], "bolt")
    good, bad = detector.predict([sound[5], damaged], "bolt")
    assert bad.score > good.score
    row, column = np.unravel_index(bad.map.argmax(), bad.map.shape)
    assert 4 <= row < 28 and 4 <= column < 28


def test_references_are_no_calibration_pictures(detector, pictures):
    detector.remember(pictures[:5], "bolt")
    with pytest.raises(ValueError, match="2 of these pictures are the references of bolt"):
        detector.calibrate(pictures[3:10], "bolt")
    line = detector.calibrate(pictures[5:10], "bolt").calibration["bolt"]
    assert line["rule"] == "few" and line["pictures"] == 5


def alike_parts(count):
    torch.manual_seed(0)
    base = torch.rand(3, 40, 40)
    return [(base + 0.02 * torch.randn(3, 40, 40)).clamp(0, 1) for _ in range(count)]


def test_a_defective_part_among_the_sound_ones_is_named(detector, tmp_path):
    *others, parts = *alike_parts(17)[12:], alike_parts(12)
    parts[3][:, 8:32, 8:32] = torch.rand(3, 24, 24)
    for i, part in enumerate(parts):
        name = tmp_path / "good" / f"{i:02d}.png"
        name.parent.mkdir(exist_ok=True)
        Image.fromarray((part.movedim(0, -1) * 255).byte().numpy()).save(name)
    told = "03.png is unlike the other .*look at it; leave it out if it is not sound"
    with pytest.warns(UserWarning, match=f"good/{told}"):
        detector.remember(tmp_path / "good", "bolt")
    assert re.search(f"; {told}", detector.line("bolt"))
    assert detector.calibration["bolt"]["unlike"] == ["03.png"]  # no path of this machine is kept
    detector.remember(others, "bolt")
    with pytest.warns(UserWarning, match=r"pictures\[3\] is unlike"):
        detector.calibrate(parts, "bolt")
    again = AnomalyDetector.load(detector.save(tmp_path / "kept"), clip=detector.model.clip)
    assert again.line("bolt") == detector.line("bolt")


def test_of_parts_that_are_alike_none_is_named(detector):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        detector.remember(alike_parts(12), "bolt")
    assert "unlike" not in detector.line("bolt")


def test_copies_count_once(detector, pictures):
    many = [*pictures[:5], *pictures[:5], pictures[0]]
    with pytest.warns(
        UserWarning, match=r"6 of 11 sound parts are copies .* which leaves 5"
    ) as said:
        detector.remember(many, "bolt")
    assert said[0].filename == __file__  # at the caller's line, not deep in the package
    assert "from 5 sound parts" in detector.line("bolt")
    with pytest.warns(UserWarning, match="15 of 20"):
        detector.calibrate([*pictures[5:10]] * 4, "bolt")
    assert detector.calibration["bolt"]["pictures"] == 5
    with pytest.warns(UserWarning, match="4 of 5 sound parts are copies"):
        detector.remember([pictures[0]] * 5, "nut")
    assert "give 5 sound parts" in detector.line("nut")


def test_pictures_that_the_model_cannot_tell_apart_are_refused(detector, pictures, monkeypatch):
    monkeypatch.setattr(coreset, "LARGEST", 1)  # all that is kept is of one picture
    with pytest.raises(ValueError, match="are they the same picture"):
        detector.remember(pictures[:5], "bolt")


@pytest.mark.parametrize("readings", [0, -1])
def test_references_are_read_at_least_once(detector, pictures, readings):
    with pytest.raises(ValueError, match=f"readings = {readings}: give at least 1"):
        detector.remember(pictures[:5], "bolt", readings=readings)


def test_a_line_holds_for_the_words_that_it_was_drawn_with(detector, pictures, tmp_path):
    detector.remember(pictures[:5], "bolt")
    assert detector.predict(pictures[8], "bolt", words="bolt").is_anomalous is not None
    told = "the line of bolt was drawn with other words; remember again with them"
    with pytest.warns(UserWarning, match=told):
        other = detector.predict(pictures[8], "bolt", words="rusty screw")
    assert other.threshold is None and other.is_anomalous is None and other.why == told
    for teach in (detector.remember, detector.calibrate):
        teach(pictures[:5] if teach == detector.remember else pictures[5:10], "bolt", words="screw")
        for words in ("screw", None):  # they are kept with the line
            found = detector.predict(pictures[10], "bolt", words=words)
            assert found.is_anomalous is not None and found.why == ""
    again = AnomalyDetector.load(detector.save(tmp_path / "kept"), clip=detector.model.clip)
    assert again.words == {"bolt": "screw"}
    with pytest.raises(ValueError, match="2 sound parts are too few"):
        again.calibrate(pictures[5:7], "bolt", words="nut")
    assert again.words == {"bolt": "screw"}  # a refused call changes nothing


def test_a_misspelled_product_is_told_what_is_known(detector, pictures):
    for name in ("flansch", "bolt"):
        detector.remember(pictures[:5], name)
    why = detector.predict(pictures[8], "Flansch").why
    assert "no line for Flansch yet" in why and why.endswith("this detector knows: flansch, bolt")


def test_saved_references_say_the_same(detector, clip, pictures, tmp_path):
    detector.remember(pictures[:5], "bolt")
    folder = detector.save(tmp_path / "kept")
    again = AnomalyDetector.load(folder, clip=clip)
    before, after = (each.predict(pictures[8], "bolt") for each in (detector, again))
    assert after.score == pytest.approx(before.score, abs=0.05)  # kept in half precision
    assert after.threshold == before.threshold
    again.references.clear()
    again.save(folder)
    assert not (folder / "references.safetensors").exists()


def test_maps_of_a_mixed_batch_use_each_products_own_references(detector, pictures):
    detector.remember(pictures[:5], "bolt")
    batch = torch.from_numpy(pictures[8:11]).permute(0, 3, 1, 2) / 255
    maps, scores = detector.anomaly_maps(batch, ["bolt", "nut", "bolt"])
    for row, name in enumerate(["bolt", "nut", "bolt"]):
        alone = detector.predict(pictures[8 + row], name)
        assert scores[row].item() == pytest.approx(alone.score, abs=1e-3)
        np.testing.assert_allclose(maps[row], alone.map, atol=1e-3)


# ---- a data set that keeps sound parts apart -----------------------------------------------------


@pytest.fixture
def data(tmp_path, pictures):
    lines = []
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
        line = {"image_path": f"{i}.png", "label": 0, "class_name": "bolt", "split": "train"}
        lines.append(line | ({} if i < 5 else {"split": "test", "label": i % 2}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return open_dataset(tmp_path, image_level=True, split="test")


def test_evaluate_draws_references_from_the_sets_own_split_train(detector, data, pictures):
    assert [r.image for r in data.references(2).records] == ["0.png", "1.png"]
    report = evaluate(detector, data, rounds=1, progress=False, references=5)
    assert report.about["references"] == 5 and not detector.references
    detector.remember(pictures[:5], "bolt")
    expected = [detector.predict(picture, "bolt").score for picture in pictures[5:]]
    assert [row["score"] for row in report.pictures] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ValueError, match=r"6 references of bolt are asked for, .* has 5 sound"):
        evaluate(detector, data, rounds=1, progress=False, references=6)
    with pytest.raises(ValueError, match="references = 5: only an AnomalyDetector remembers"):
        evaluate(detector.model, data, rounds=1, progress=False, references=5)


def test_calibrating_on_a_set_measures_what_lines_from_five_parts_meet(detector, data):
    few = detector.calibrate(data, false_alarms=0.3).calibration["*"]["few"]
    for kind in ("words", "references"):
        assert few[kind]["spread"] > 0
        assert 0 <= few[kind]["alarms"] <= few[kind]["parts"] == 3
    assert not detector.references
    said = detector.remember([data[0].image, *(data[i].image for i in (1, 2, 3, 4))], "nut")
    assert "on validation products a line for 30% called" in said.line("nut")
