"""evaluate.py: figures against metrics.py on whole maps, flat memory, intervals, baselines,
processes, the report.
"""

import json
import sys
import tracemalloc
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite import metrics, scoring
from aaclip_lite.datasets import open_dataset
from aaclip_lite.evaluation import NAMES, evaluate, maps_of
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, Features
from aaclip_lite.recipe import Recipe
from aaclip_lite.service.baselines import frozen_maps, trivial_maps
from tests import tiny

CONFIG = tiny.config(vision={"image_size": 32, "layers": 4, "patch_size": 8})
COURSE = Recipe.course()


def write(folder, classes=("bottle", "carpet"), pairs=4, inside=True, masks=True):
    """Grey noise; every second picture has a brighter square, of a kind that changes; the object is
    the middle.
    """
    folder.mkdir(parents=True)
    generator, lines = np.random.default_rng(0), []
    around = np.zeros((32, 32), np.uint8)
    around[4:28, 4:28] = 255
    Image.fromarray(around).save(folder / "inside.png")
    for name, number in ((c, i) for c in classes for i in range(2 * pairs)):
        pixels, mask = (
            generator.integers(60, 150, (32, 32, 3), np.uint8),
            np.zeros((32, 32), np.uint8),
        )
        line = {"image_path": f"{name}{number}.png", "label": number % 2, "class_name": name}
        line |= {"inside_path": "inside.png"} if inside else {}
        if line["label"]:
            y, x = generator.integers(4, 20, 2)
            pixels[y : y + 8, x : x + 8] += np.uint8(70)
            mask[y : y + 8, x : x + 8] = 255
            Image.fromarray(mask).save(folder / f"{name}{number}_mask.png")
            line |= {"mask_path": f"{name}{number}_mask.png"} if masks else {}
            line |= {"defect": ("dent", "hole")[number // 2 % 2]}
        Image.fromarray(pixels).save(folder / line["image_path"])
        lines.append(line)
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return open_dataset(folder, image_level=not masks)


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("evaluate") / "data")


def build(clip, recipe=COURSE, **changes):
    torch.manual_seed(0)
    return AdaptedCLIP(clip, recipe.replace(adapter_init="xavier", **changes))


class Bright:
    """A detector whose map is the brightness, and whose score is that of the brightest pixel."""

    domain = "industrial"

    def __init__(self, clip):
        self.model = AdaptedCLIP(clip)

    def anomaly_maps(self, images, names):
        maps = images.mean(1)
        return maps, maps.flatten(1).amax(1)


def whole(heat, data, name):
    """Everything of a class at once: maps, scores, labels, masks, objects."""
    samples = [s for s in (data[i] for i in range(len(data))) if s.class_name == name]
    images = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2) / 255
    inside = torch.from_numpy(np.stack([s.inside for s in samples]))[:, None].float()
    with torch.no_grad():
        found = heat({"image": images, "class_name": [name] * len(images), "inside": inside})
    labels = np.array([s.label for s in samples])
    return (
        found,
        labels,
        *(np.stack([getattr(s, part) for s in samples]) for part in ("mask", "inside")),
    )


def close(report_row, exact, tolerance=2e-3):
    for name in NAMES:
        error = 1e-9 if "image" in name else tolerance
        assert report_row[name] == pytest.approx(exact[name], abs=error, nan_ok=True), name


@pytest.mark.parametrize("batch_size", [3, 32])
def test_figures_are_those_of_whole_maps(clip, data, batch_size):
    judge = Bright(clip)
    report = evaluate(judge, data, rounds=2, batch_size=batch_size, progress=False)
    assert list(report.classes) == ["bottle", "carpet"]
    for name, row in report.classes.items():
        found, labels, masks, inside = whole(
            lambda b: judge.anomaly_maps(b["image"], []), data, name
        )
        maps, scores = (part.numpy() for part in found)
        close(row, metrics.evaluate(scores, labels, maps, masks, inside))
    for name in NAMES:
        assert report.mean[name] == pytest.approx(
            np.mean([row[name] for row in report.classes.values()])
        )


def test_kinds_of_defect(clip, data):
    judge = Bright(clip)
    report = evaluate(judge, data.filter("carpet"), rounds=2, progress=False)
    found, labels, masks, inside = whole(
        lambda b: judge.anomaly_maps(b["image"], []), data, "carpet"
    )
    maps, scores = (part.numpy() for part in found)
    kinds = np.array([r.defect for r in data.records if r.class_name == "carpet"])
    assert list(report.defects) == ["dent", "hole"]
    for kind, row in report.defects.items():
        chosen = kinds == kind
        close(
            row,
            metrics.pixel_metrics(maps[chosen], masks[chosen], inside[chosen])
            | metrics.image_metrics(scores[chosen | (labels == 0)], labels[chosen | (labels == 0)]),
        )


@pytest.mark.parametrize("stage", ["image", "text", "frozen"])
def test_stages_of_a_model(clip, data, stage):
    model = build(clip, image_score="map_late")
    report = evaluate(model, data, stage=stage, rounds=1, progress=False)
    found, labels, masks, inside = whole(maps_of(model, stage), data, "bottle")
    maps, scores = found[""]
    exact = metrics.evaluate(scores.numpy(), labels, maps.numpy(), masks, inside)
    close(report.classes["bottle"], exact)
    x = model.preprocess(
        torch.from_numpy(np.stack([data[i].image for i in range(8)])).permute(0, 3, 1, 2)
    )
    with torch.no_grad():
        anchors = model.text_anchors(["bottle"], adapted=stage != "frozen")["bottle"]
        levels = model(x).levels if stage == "image" else model.dense_features(x)
        expected = scoring.anomaly_map(levels, anchors, 32, **COURSE.finish)
        torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)
        features = Features(levels, None)
        late = scoring.picture_scores(features, anchors, maps, blur=COURSE.blur)
        torch.testing.assert_close(scores, late, atol=1e-4, rtol=1e-4)
    assert report.about["stage"] == stage and report.about["image_score"] == "map_late"


def test_a_frozen_clip_is_judged_by_its_own_words(clip, data):
    frozen = evaluate(clip, data, rounds=1, progress=False)
    assert (
        frozen.classes
        == evaluate(build(clip), data, stage="frozen", rounds=1, progress=False).classes
    )
    assert (
        frozen.classes
        != evaluate(build(clip), data, stage="text", rounds=1, progress=False).classes
    )
    assert frozen.about["stage"] == "frozen"


@pytest.mark.parametrize("kind", ["released", "map_late", "map_max", "detection"])
def test_picture_scores(clip, data, kind):
    model = build(clip, image_score=kind)
    report = evaluate(model, data.filter("bottle"), rounds=1, progress=False)
    judged, labels, *_ = whole(maps_of(model), data, "bottle")
    maps, scores = judged[""]
    expected = scoring.fuse(maps, scores) if kind == "released" else scores
    assert [row["score"] for row in report.pictures] == pytest.approx(expected.tolist(), abs=1e-5)
    auroc = metrics.image_metrics(expected, labels)["image_auroc"]
    assert report.classes["bottle"]["image_auroc"] == auroc
    assert ("whole class" in report.about["image_score"]) == (kind == "released")


# ---- intervals -----------------------------------------------------------------------------------


def test_a_weight_counts_a_picture_that_often():
    generator = np.random.default_rng(0)
    maps, masks = generator.random((5, 9, 9)), generator.random((5, 9, 9)) > 0.8
    maps[masks] += 0.3
    inside, weights = (
        generator.random((5, 9, 9)) > 0.3,
        np.array([[2, 0], [0, 1], [1, 0], [3, 0], [0, 2]]),
    )
    resampled = metrics.PixelHistogram(1 << 13, rounds=2).update(maps, masks, inside, weights)
    for row, often in zip(resampled.replicas(), (np.ones(5, int), *weights.T), strict=True):
        exact = metrics.pixel_metrics(
            *(part.repeat(often, axis=0) for part in (maps, masks, inside))
        )
        assert row == pytest.approx([exact[name] for name in metrics.PIXEL_NAMES[:5]], abs=5e-3)


def test_intervals_hold_the_figure_and_narrow_with_more_pictures(clip, tmp_path):
    sets, widths = [write(tmp_path / str(n), ("bolt",), n) for n in (4, 40)], []
    few, many = (evaluate(Bright(clip), each, rounds=60, progress=False) for each in sets)
    for report in (few, many):
        for name, (low, high) in report.intervals["mean"].items():
            assert 0 <= low <= report.mean[name] + 0.02 and report.mean[name] - 0.02 <= high <= 1, (
                name
            )
        widths.append(
            np.diff(
                [report.intervals["bolt"][n] for n in ("pixel_ap", "pixel_f1max", "image_auroc")]
            ).mean()
        )
    assert 0 < widths[1] < 0.7 * widths[0]
    assert set(few.intervals["mean"]) == set(NAMES)


def test_the_seed_decides_intervals_and_nothing_else(clip, data):
    first, again, other = (
        evaluate(Bright(clip), data, rounds=9, seed=s, progress=False) for s in (0, 0, 1)
    )
    assert first.intervals == again.intervals != other.intervals
    assert first.classes == other.classes


def test_processes_share_the_classes_and_all_get_the_same_report(clip, data, monkeypatch):
    alone, shares, reports = evaluate(Bright(clip), data, rounds=5, progress=False), {}, []
    module = sys.modules["aaclip_lite.evaluation"]
    ruler = sys.modules["aaclip_lite.files.tally"]

    def gather(into, mine):
        shares[ranks[0]] = mine
        into[:] = [shares.get(i, {"bottle": {}, "carpet": {}}) for i in range(2)]

    monkeypatch.setattr(ruler, "distributed", SimpleNamespace(all_gather_object=gather))
    monkeypatch.setattr(module, "assemble", lambda results, *_: reports.append(results))
    monkeypatch.setattr(ruler, "_processes", lambda: (ranks[0], 2))
    for rank in (1, 0):
        ranks = [rank]
        evaluate(Bright(clip), data, rounds=5, progress=False)
    assert [list(shares[i]) for i in (0, 1)] == [["bottle"], ["carpet"]]
    monkeypatch.undo()
    together = module.assemble(reports[-1], alone.about, {})
    assert together.to_dict() == alone.to_dict()


# ---- baselines -----------------------------------------------------------------------------------


def test_trivial_rules_see_what_they_are_named_after():
    image = torch.full((1, 3, 36, 36), 0.5)
    image[0, :, 10:14, 10:14] = 0.9
    inside = torch.zeros(1, 1, 36, 36)
    inside[..., 5:20, 5:20] = 1
    found = trivial_maps({"image": image, "inside": inside})
    peaks = {
        name: np.unravel_index(int(maps[0].argmax()), (36, 36)) for name, (maps, _) in found.items()
    }
    for name in ("brightness", "median_colour", "local_contrast", "edge_density"):
        assert all(8 <= at <= 15 for at in peaks[name]), name
    torch.testing.assert_close(found["darkness"][0], -found["brightness"][0])
    assert found["median_colour"][0][0, 0, 0] == 0 and found["median_colour"][
        0
    ].max() == pytest.approx(1.2)
    assert torch.equal(found["foreground"][0], inside[:, 0])
    assert "foreground" not in trivial_maps({"image": image})
    shifted = trivial_maps({"image": image + 0.05})  # contrast and edges do not depend on the light
    for name in ("local_contrast", "edge_density"):
        torch.testing.assert_close(shifted[name][0], found[name][0], atol=1e-3, rtol=1e-3)


def test_frozen_variants_are_stage_ones_features_with_clips_own_words(clip, data):
    model = build(clip)
    found, *_ = whole(frozen_maps(model, "industrial"), data, "bottle")
    x = model.preprocess(
        torch.from_numpy(np.stack([data[i].image for i in range(8)])).permute(0, 3, 1, 2)
    )
    anchors = model.text_anchors(["bottle"], adapted=False)["bottle"]
    for label, axis in (("frozen", None), ("value_value", "patch")):
        levels = clip.dense_features(x, COURSE.replace(dense_axis=axis))
        last = scoring.anomaly_map(levels[-1:], anchors, 32, **COURSE.finish)
        torch.testing.assert_close(found[label][0], last, atol=1e-4, rtol=1e-4)
        every = scoring.anomaly_map(levels, anchors, 32, **COURSE.finish)
        torch.testing.assert_close(found[f"{label}_all_levels"][0], every, atol=1e-4, rtol=1e-4)
    token = torch.nn.functional.normalize(clip.encode_image(x), dim=-1)
    torch.testing.assert_close(
        found["frozen"][1], token @ (anchors[:, 1] - anchors[:, 0]), atol=1e-5, rtol=1e-4
    )


def test_baselines_run_beside_and_the_probe_learns_from_labels(clip, data, tmp_path):
    train = write(tmp_path / "train", ("cup", "bolt"), 10)
    report = evaluate(build(clip), data, baselines=True, train=train, rounds=1, progress=False)
    trivial = [
        "brightness",
        "darkness",
        "median_colour",
        "local_contrast",
        "edge_density",
        "foreground",
    ]
    frozen = [
        "frozen",
        "frozen_all_levels",
        "value_value",
        "value_value_all_levels",
        "linear_probe",
    ]
    assert list(report.baselines) == [*frozen, *trivial]
    probe = report.baselines["linear_probe"]
    # bright squares, told by labels
    assert probe["pixel_auroc"] > 0.75 > report.baselines["frozen"]["pixel_auroc"]
    assert report.baselines["foreground"]["inside_auroc"] == 0.5
    light, dark = (report.baselines[name]["pixel_auroc"] for name in ("brightness", "darkness"))
    assert light == pytest.approx(1 - dark, abs=1e-3)
    for label, row in report.baselines.items():
        for name in NAMES:
            assert row[name] == pytest.approx(
                np.mean([c[name] for c in report.baseline_classes[label].values()])
            )
    again = evaluate(build(clip), data, baselines=True, train=train, rounds=1, progress=False)
    assert again.baselines == report.baselines
    with pytest.raises(ValueError, match="normal and defective patches"):
        evaluate(
            build(clip),
            data,
            baselines=True,
            train=train.filter(labels=0),
            rounds=1,
            progress=False,
        )


# ---- the report ----------------------------------------------------------------------------------


def test_report_as_json_markdown_and_text(clip, data, tmp_path):
    groups = {"bottle": "objects", "carpet": "textures"}
    report = evaluate(build(clip), data, baselines=True, groups=groups, rounds=3, progress=False)
    stored = json.loads(report.save(tmp_path / "new" / "report.json").read_text())
    assert (
        set(stored["mean"])
        == set(stored["classes"]["bottle"])
        == set(stored["baselines"]["frozen"])
        == set(NAMES)
    )
    assert stored["mean"] == report.mean and stored["intervals"]["mean"]["pixel_auroc"][1] <= 1
    text, lines = report.save(tmp_path / "report.md").read_text(), report.table().splitlines()
    assert "- recipe: course" in text and f"| MEAN | {report.mean['pixel_auroc']:.3f} |" in text
    assert len({len(line) for line in lines}) == 1 and repr(report) == report.table()
    for row in (
        "bottle",
        "MEAN",
        "  95 % from",
        "objects",
        "textures",
        "defect: dent",
        "baseline: frozen",
    ):
        assert any(line.startswith(f"{row} ") for line in lines), row
    page = report._repr_html_()
    assert page.count("<table") == 3, "products; kinds of defect; simpler methods"
    products = page.split("</table>")[0]
    best = max(row["pixel_auroc"] for row in report.classes.values())
    assert f"<b>{best:.3f}</b>" in products and "MEAN" in products
    assert products.count("<b>") >= len(NAMES), "a best figure in every column"
    strange = replace(report, classes={"<i>": report.mean}, defects={})
    assert "&lt;i&gt;" in strange._repr_html_() and strange._repr_html_().count("<table") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "report.md"]
    with pytest.raises(ValueError, match=r"report\.txt: a report is saved as \.json or \.md"):
        report.save(tmp_path / "report.txt")


def test_groups_are_those_of_the_call_or_of_the_data_set(clip, data):
    groups = {"bottle": "objects", "carpet": "textures", "cup": "objects"}
    report = evaluate(Bright(clip), data, groups=groups, rounds=1, progress=False)
    expected = {"objects": report.classes["bottle"], "textures": report.classes["carpet"]}
    assert report.groups == expected
    known = data.view(data.records)
    known.groups = groups
    assert evaluate(Bright(clip), known, rounds=1, progress=False).groups == expected
    assert evaluate(Bright(clip), data, rounds=1, progress=False).groups == {}


def test_extremes_point_into_the_data_set(clip, data):
    report = evaluate(Bright(clip), data, rounds=1, progress=False)
    assert [row["index"] for row in report.pictures] == list(range(16))
    cases = report.extremes(3)
    assert [len(rows) for rows in cases.values()] == [3, 3, 3]
    best, worst = ([row["pixel_ap"] for row in cases[key]] for key in ("best", "worst"))
    assert best == sorted(best, reverse=True) and worst == sorted(worst) and min(best) >= max(worst)
    for row in (row for rows in cases.values() for row in rows):
        sample = data[row["index"]]
        assert (row["path"], row["label"], row["defect"]) == (
            sample.path,
            sample.label,
            sample.defect,
        )
        if row["label"]:
            own = metrics.pixel_metrics(sample.image.mean(2)[None], sample.mask[None])
            assert (row["pixel_ap"], row["peak_hit"]) == pytest.approx(
                (own["pixel_ap"], own["peak_hit"]), abs=0.01
            )
    assert not any(row["label"] for row in cases["false alarms"])


def test_a_raw_score_raises_an_alarm_among_its_own_product_only(clip, data):
    report = evaluate(Bright(clip), data, rounds=1, progress=False)
    normal = [row for row in report.pictures if not row["label"]]
    for row in normal:  # raw scores of bottles lie higher, all of them
        row["score"] = 1000.0 * (row["class_name"] == "bottle")
    normal[-1]["score"] += 50.0
    assert normal[-1]["class_name"] != "bottle"
    report.about["judged"] = "model"
    assert report.extremes(1)["false alarms"] == [normal[-1]]
    # a detector's scores have one unit
    report.about["judged"] = "detector"
    assert report.extremes(1)["false alarms"][0]["class_name"] == "bottle"


def test_what_has_no_value_is_said_and_left_out_of_the_mean(clip, data):
    mixed = data.view(r for r in data.records if r.class_name == "bottle" or not r.label)
    report = evaluate(Bright(clip), mixed, rounds=3, progress=False)
    assert "only normal pixels" in repr(report.classes["carpet"]["pixel_auroc"])
    assert report.mean["pixel_auroc"] == report.classes["bottle"]["pixel_auroc"]
    assert report.to_dict()["classes"]["carpet"]["image_auroc"] is None
    assert (
        "pixel_auroc" not in report.intervals["carpet"]
        and "pixel_auroc" in report.intervals["mean"]
    )
    assert " -" in report.table()


def test_pictures_without_masks_still_have_image_figures(clip, tmp_path):
    report = evaluate(Bright(clip), write(tmp_path / "x", masks=False), rounds=3, progress=False)
    assert "no masks" in repr(report.mean["pixel_ap"]) and 0 <= report.mean["image_auroc"] <= 1
    assert set(report.intervals["mean"]) == set(metrics.IMAGE_NAMES)
    assert report.extremes()["best"] == []


def test_impossible_wishes(clip, data):
    with pytest.raises(
        ValueError, match=r"stage = 'words', .* choose a stage of image, text, frozen"
    ):
        evaluate(build(clip), data, stage="words")
    with pytest.raises(ValueError, match="0 pictures to judge"):
        evaluate(build(clip), data.view([]))
    with pytest.raises(ValueError, match="rounds = 0"):
        evaluate(build(clip), data, rounds=0)


def test_memory_does_not_grow_with_the_number_of_pictures(clip, tmp_path):
    """Kept, a map takes 4 kB and its mask 1 kB; what stays of a picture is its line in the report."""
    data, alive, peaks = (
        open_dataset(write(tmp_path / "x", ("bolt",), 250).root, cache_bytes=0),
        [],
        [],
    )

    class Watched(Bright):
        def anomaly_maps(self, images, names):
            assert sum(each() is not None for each in alive) <= 4, (
                "maps or pictures of earlier batches are kept"
            )
            found = super().anomaly_maps(images, names)
            alive.extend(map(weakref.ref, (images, found[0])))
            return found

    for count in (100, 500):
        tracemalloc.start()
        evaluate(Watched(clip), data.view(data.records[:count]), rounds=5, progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(alive) == 2 * (4 + 16)
    assert peaks[1] - peaks[0] < 400 * 2500, peaks
