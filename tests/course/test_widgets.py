"""explorer.py, views.py and widgets.py: what the package computes is shown, only what changed is
redone; the shell around it.
"""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from aaclip_lite import scoring
from aaclip_lite.course import views
from aaclip_lite.course.explorer import GOOD, REFERENCE, Explorer, Setting, precision_recall
from aaclip_lite.course.widgets import brush, live, stroke
from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from tests import tiny

CONFIG = tiny.config(vision={"image_size": 40, "layers": 4, "patch_size": 8})
RECIPE = Recipe.course().replace(adapter_init="xavier")
BAD = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two products of random pictures, 9 good and 4 defective ones each, whose defects are white
    squares.
    """
    folder, rng, lines = tmp_path_factory.mktemp("parts"), np.random.default_rng(0), []
    for name in ("bolt", "metal_nut"):
        for i in range(GOOD + REFERENCE + 1 + BAD):
            pixels, mask = rng.integers(0, 200, (40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
            line = {
                "image_path": f"{name}{i}.png",
                "label": int(i > GOOD + REFERENCE),
                "class_name": name,
            }
            if line["label"]:
                mask[8:20, 16 : 20 + i] = 255
                pixels[mask > 0] = 255
                line |= {"mask_path": f"{name}{i}_mask.png", "defect": "deep_scratch"}
                Image.fromarray(mask).save(folder / line["mask_path"])
            Image.fromarray(pixels).save(folder / line["image_path"])
            lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return open_dataset(folder / "manifest.jsonl")


def build(**changes):
    torch.manual_seed(0)
    return AnomalyDetector(AdaptedCLIP(load_clip(CONFIG, weights=None), RECIPE.replace(**changes)))


@pytest.fixture(scope="module")
def explorer(data):
    return Explorer(build(), data, mixes=(0.0, 1.0))


@pytest.fixture
def start(explorer):
    return explorer.start("bolt", picture=GOOD + 1)


def batch(samples):
    return torch.from_numpy(np.stack([s.image for s in samples])).movedim(-1, 1) / 255


def by_hand(explorer, detector, setting):
    """Raw maps of what is shown and of the reference, from the package's own calls, on that scale."""
    samples, model = explorer.parts[setting.product], detector.model
    with torch.no_grad():
        levels = model(model.preprocess(batch(samples))).levels
    levels = [weight * level for weight, level in zip(setting.level_weights, levels, strict=True)]
    finish = {"align_corners": model.recipe.align_corners, "blur": setting.blur}
    maps = scoring.anomaly_map(levels, explorer.anchors(setting), 40, **finish)
    normal = maps[-REFERENCE:]
    return ((maps - normal.mean()) / normal.std())[:-REFERENCE].numpy()


CHANGES = [
    {},
    {"blur": 0.0},
    {"blur": 2.0},
    {"level_weights": (0.0, 1.0, 0.5, 2.0)},
    {"good_words": "shiny bolt"},
    {"defect_words": "bent bolt"},
    {"adapter_mix": 0.0},
    {"adapter_mix": 0.4},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_maps_equal_the_packages_own(explorer, start, change):
    setting = replace(start, **change)
    expected = by_hand(explorer, build(image_mix=setting.adapter_mix), setting)
    np.testing.assert_allclose(explorer.maps(setting), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        explorer.maps(setting, [2, 6]), expected[[2, 6]], rtol=1e-3, atol=1e-3
    )
    assert bool(change) != bool(np.allclose(expected, explorer.maps(start), atol=1e-3)), (
        "a choice without effect"
    )


def test_own_setting_ranks_pixels_as_the_detector_does(explorer, start):
    detector = explorer.detector
    raw = detector.anomaly_maps(
        batch(explorer.shown("bolt")), ["bolt"] * len(explorer.shown("bolt"))
    )[0].numpy()
    mine = explorer.maps(start)
    np.testing.assert_allclose(
        (mine - mine.mean()) / mine.std(), (raw - raw.mean()) / raw.std(), atol=1e-3
    )


def test_own_setting_follows_the_recipe(data):
    own = Explorer(build(blur=None, image_mix=0.5, levels=(2, 4)), data, ["bolt"], mixes=()).start(
        "bolt"
    )
    assert own == Setting("bolt", level_weights=(1.0, 1.0), blur=1.0, adapter_mix=0.5)


def test_words_stand_in_the_recipes_templates(explorer, start):
    model = explorer.detector.model
    with torch.no_grad():
        sentences = F.normalize(model.encode_text(["bent bolt.", "a photo of bent bolt."]), dim=-1)
    expected = F.normalize(sentences.mean(0), dim=-1)
    own, given = (
        explorer.anchors(start),
        explorer.anchors(replace(start, defect_words="  bent bolt ")),
    )
    torch.testing.assert_close(given[:, 1], expected)
    torch.testing.assert_close(given[:, 0], own[:, 0])
    assert not torch.allclose(own[:, 1], expected)


def test_words_that_the_clip_never_read_are_named(data, explorer, start):
    detector = build()
    clip = detector.model.clip
    read = clip.tokenize(["bolt"])[0]
    with torch.no_grad():
        rows = clip.token_embedding.weight[read].clone()
        clip.token_embedding.weight[:] = 0.5  # what the embedded CLIP gives to words it never read
        clip.token_embedding.weight[read] = rows
    few = Explorer(detector, data, ["bolt"], mixes=())
    assert (few.unknown("bolt"), few.unknown("zebra bolt")) == ("", "zebra")
    said = few.difference(replace(start, good_words="zebra bolt"))
    assert said.endswith("unknown to this CLIP: zebra")
    assert explorer.unknown("zebra") == "", "an ordinary CLIP has a vector for each"


def test_what_is_too_long_is_set_smaller_and_then_cut():
    short, long = (views.sheet(word * 40, [], 60, "") for word in ("ab ", "abcdefgh "))
    assert np.asarray(short)[:30].min() < 128 and np.asarray(long)[:, -4:].min() == 255


def test_a_change_redoes_only_its_own_part(explorer, start, monkeypatch):
    clip, calls = explorer.detector.model.clip, []
    image, text = clip.image_tokens, clip.text_states
    monkeypatch.setattr(
        clip, "image_tokens", lambda x, *rest: calls.append(f"{len(x)} pictures") or image(x, *rest)
    )
    monkeypatch.setattr(
        clip, "text_states", lambda x, *rest: calls.append("words") or text(x, *rest)
    )
    explorer.one(start)
    changes = {"blur": 1.3, "threshold": 1.0, "level_weights": (0.0, 0.0, 0.0, 1.0), "picture": 0}
    calls.clear()
    for name, value in changes.items():
        explorer.one(replace(start, **{name: value}))
        explorer.many(replace(start, **{name: value}))
    assert calls == []
    for _ in range(2):
        explorer.one(replace(start, good_words="never said before"))
    assert calls == ["words"]
    calls.clear()
    for _ in range(2):
        explorer.one(replace(start, adapter_mix=1.0, picture=3))
    assert calls == ["1 pictures"]
    calls.clear()
    explorer.one(explorer.start("metal_nut"))
    assert calls in ([], ["words"])


def test_memory_does_not_grow_with_the_mixes_tried(data):
    explorer = Explorer(build(), data, ["bolt"], mixes=(0.0,))
    size = len(explorer._passed)
    assert size == GOOD + BAD + 2 * REFERENCE
    for picture in range(4):
        explorer.maps(explorer.start("bolt", adapter_mix=0.5), [picture])
    assert len(explorer._passed) == size


def test_one_shows_its_figures(explorer, start):
    view = explorer.one(replace(start, threshold=0.5))
    marked, truth = (
        explorer.maps(start)[start.picture] > 0.5,
        explorer.shown("bolt")[start.picture].mask > 0,
    )
    assert view.figures["precision"] == pytest.approx((marked & truth).sum() / marked.sum())
    assert view.figures["recall"] == pytest.approx((marked & truth).sum() / truth.sum())
    assert f"recall {view.figures['recall']:.0%}" in view.text and "deep_scratch" in view.text
    shown = Image.open(io.BytesIO(view.jpeg))
    assert shown.size == view.picture.size and set(view._repr_mimebundle_()) == {
        "image/jpeg",
        "text/plain",
    }
    assert np.asarray(view.picture)[-1].min() == 255, "the ground is white"
    good = explorer.one(replace(start, picture=0))
    assert "as it should be" in good.text and np.isnan(good.figures["recall"])
    low = explorer.one(replace(start, picture=0, threshold=-2.0))
    assert "all of them wrongly" in low.text


def test_many_rejects_what_exceeds_the_threshold(explorer, start):
    scores = explorer.scores(start)
    assert scores.shape == (GOOD + BAD,)
    cut = float(np.sort(scores)[3:5].mean())
    view = explorer.many(replace(start, threshold=cut))
    caught = (scores[GOOD:] > cut).sum()
    assert view.figures == {"precision": caught / (scores > cut).sum(), "recall": caught / BAD}
    assert "4 passed" in view.text and f"{caught} of {BAD} defective caught" in view.text
    nothing = explorer.many(replace(start, threshold=1e9))
    assert "precision undefined, recall 0%" in nothing.text


def test_stack_keeps_every_view(explorer, start):
    first, second = explorer.one(start), explorer.many(start)
    both = views.stack(first, second)
    assert both.text == f"{first.text}\n{second.text}"
    halves = np.split(np.asarray(both.picture), [first.picture.height])
    assert all(
        np.array_equal(half, np.asarray(view.picture))
        for half, view in zip(halves, (first, second), strict=True)
    )


def test_precision_and_recall():
    marked, truth = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    assert precision_recall(marked, truth) == (1 / 3, 1 / 2)
    assert precision_recall(marked & False, truth)[0].reason == "nothing is marked"
    assert precision_recall(marked, truth & False)[1].reason == "nothing is defective"


def test_differences_are_named(explorer, start):
    assert (
        explorer.difference(start)
        == explorer.difference(replace(start, threshold=9.0, picture=0))
        == "own setting"
    )
    changed = replace(start, blur=2.0, level_weights=(1.0, 0.0, 0.5, 1.0))
    assert explorer.difference(changed) == "level_weights 1 0 0.5 1, blur 2.0"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"product": "cup"}, "holds bolt, metal_nut"),
        ({"picture": 99}, "0 to 8"),
        ({"picture": -1}, "0 to 8"),
        ({"level_weights": (0.0,) * 4}, "at least one above"),
        ({"level_weights": (1.0,)}, "give 4"),
        ({"adapter_mix": 2.0}, "image_mix"),
        ({"good_words": "bolt", "defect_words": "bolt "}, "say the same"),
    ],
)
def test_impossible_settings_are_refused(explorer, start, change, words):
    with pytest.raises(ValueError, match=words):
        explorer.maps(replace(start, **change), [change.get("picture", 0)])


def test_too_few_pictures_are_refused(data):
    with pytest.raises(ValueError, match="bolt: 0 good and 4 defective"):
        Explorer(build(), data.filter(labels=1), ["bolt"])


def test_colours_rise_in_grey():
    strip = views.coloured(np.linspace(*views.ENDS, 50)[None])
    grey = np.asarray(Image.fromarray(strip).convert("L"), float)[0]
    assert (np.diff(grey) > 0).all() and grey[-1] - grey[0] > 150


# ---- the shell -----------------------------------------------------------------------------------

CHOICES = {
    "product": ["bolt", "metal_nut"],
    "picture": (0, 8, 1),
    "good_words": (),
    "level_weights": (0.0, 2.0, 0.25),
    "blur": (0.0, 2.5, 0.1),
    "adapter_mix": [0.0, 0.3, 1.0],
    "threshold": (-1.0, 7.0, 0.1),
}
MOVES = {
    "product": "metal_nut",
    "picture": 7,
    "good words": "x",
    "level 2": 0.0,
    "blur": 2.0,
    "adapter mix": 1.0,
    "threshold": 0.5,
}


def parts_of(panel):
    *_, picture, note = panel.children
    return picture, note


def test_every_control_changes_the_picture_to_what_the_function_gives(explorer, start):
    panel = live(explorer.one, start, CHOICES)
    picture, note = parts_of(panel)
    assert picture.value == explorer.one(start).jpeg == panel.view.jpeg and panel.setting == start
    kinds = [type(control).__name__ for control in panel.controls.values()]
    assert kinds == [
        "Dropdown",
        "IntSlider",
        "Text",
        *["FloatSlider"] * 4,
        "FloatSlider",
        "SelectionSlider",
        "FloatSlider",
    ]
    for label, value in MOVES.items():
        before = picture.value
        panel.controls[label].value = value
        assert picture.value == explorer.one(panel.setting).jpeg != before, label
    assert panel.setting == Setting("metal_nut", 7, "x", "", (1.0, 0.0, 1.0, 1.0), 2.0, 1.0, 0.5)
    assert " ms)" in note.value and "blur" in repr(panel)


def test_an_impossible_setting_is_said_and_the_picture_stays(explorer, start):
    panel = live(explorer.many, start, {"level_weights": (0.0, 2.0, 0.25), "defect_words": ()})
    picture, note = parts_of(panel)
    for i in range(1, 5):
        before = picture.value
        panel.controls[f"level {i}"].value = 0.0
    assert picture.value == before and "at least one above" in note.value
    panel.controls["level 1"].value = 1.0
    assert "at least" not in note.value


def test_typed_words_are_shown_as_text(explorer, start):
    panel = live(explorer.many, start, {"defect_words": ()})
    panel.controls["defect words"].value = "<img src=x>"
    assert "<img" not in parts_of(panel)[1].value and "&lt;img" in parts_of(panel)[1].value


def test_the_brush_paints_where_it_is_told_and_is_judged():
    clean = np.full((40, 60, 3), 100, np.uint8)
    painted, mask = stroke(clean, [(10, 10), (30, 10)], 4, -1.0)
    assert painted[10, 20].max() < 5 and mask[10, 20] == 1 and 60 < mask.sum() < 130
    assert np.array_equal(painted[20:], clean[20:]) and not mask[20:].any()
    seen = []

    def judge(picture):
        seen.append(picture)
        return views.View(Image.fromarray(picture), {}, f"darkest {picture.min()}")

    panel = brush(clean, judge)
    assert not panel.mask.any() and len(seen) == 1
    panel.controls["right"].value = 50
    panel.buttons[0].click()
    assert panel.mask[20, 50] and panel.painted[20, 50].max() < 60 and len(seen) == 2
    assert "darkest 40" in panel.children[2].value and panel.children[1].value == (
        views.View(Image.fromarray(panel.painted), {}, "").jpeg
    )
    panel.buttons[1].click()
    assert np.array_equal(panel.painted, clean) and panel.points == []
