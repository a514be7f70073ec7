"""deviations.py: one change at a time, shared first stages, kept results, and a table that says
what they are.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aaclip_lite import losses
from aaclip_lite.lab import deviations
from aaclip_lite.lab.deviations import Deviations, Trials, interval, table, variants
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, stack_anchors
from aaclip_lite.recipe import Recipe
from tests import tiny

CONFIG = tiny.config()


def test_every_variant_changes_one_field_to_what_another_recipe_or_the_list_has():
    found = variants()
    assert next(iter(found)) == "course" and found["course"] == {}
    assert all(len(change) == 1 for name, change in found.items() if name != "course")
    for change in list(found.values())[1:]:
        Recipe.course().replace(**change)  # each is possible
    assert found["logit_scale = 100.0"] == {"logit_scale": 100.0}
    assert not any("steps" in name or "epochs" in name for name in found)
    assert set(variants(("blur",))) == {"course", "blur = None"}
    with pytest.raises(ValueError, match="no field haze"):
        variants(("haze",))


def test_stage_2_fields_are_not_read_by_stage_1():
    """Whatever their value: the text adapters start alike, and the losses of a batch are equal to
    the last bit.
    """
    torch.manual_seed(0)
    clip, images, mask = (
        load_clip(CONFIG, weights=None),
        torch.randn(2, 3, 16, 16),
        torch.ones(2, 1, 16, 16),
    )
    mask[:, :, :8] = 0

    def first_step(change):
        torch.manual_seed(1)
        model = AdaptedCLIP(clip, Recipe.course().replace(**change))
        anchors = stack_anchors(model.text_anchors(["bolt", "cup"]), ["bolt", "cup"])
        parts = losses.stage1_parts(model.dense_features(images), anchors, mask, model.recipe)
        return [*model.text_adapter.parameters(), *parts.values()]

    fields, plain = set(), first_step({})
    for change in list(variants().values())[1:]:
        field = next(iter(change))
        if field in deviations.STAGE_2:
            fields.add(field)
            assert all(torch.equal(a, b) for a, b in zip(first_step(change), plain, strict=True)), (
                change
            )
    assert fields >= {"image_mix", "detection_pool", "level_weights", "blur", "image_score"}
    assert not all(
        torch.equal(a, b) for a, b in zip(first_step({"proj_init": "xavier"}), plain, strict=True)
    )


def test_the_first_stage_is_shared_and_milestones_shrink(monkeypatch):
    calls = []

    class Model:
        def __init__(self, clip, recipe):
            self.recipe, self.text_adapter, self.image_adapter = recipe, self, self
            self.state_dict, self.load_state_dict = dict, lambda state: calls.append("loaded")

    class Report:
        mean = dict.fromkeys(deviations.FIGURES, 0.5)

    class Data:
        records = tuple(range(9))

        def view(self, records):
            assert records == (0, 3, 6)
            return self

    monkeypatch.setattr(deviations, "AdaptedCLIP", Model)
    monkeypatch.setattr(deviations, "train_text", lambda model, *_, **o: calls.append("text"))
    monkeypatch.setattr(
        deviations, "train_image", lambda model, *_, **o: calls.append(model.recipe)
    )
    monkeypatch.setattr(deviations, "evaluate", lambda *_, **o: Report())
    trials = Trials(Deviations(image_steps=26), None, Data(), clip="clip")
    for change, seed in (
        ({}, 0),
        ({"image_mix": 0.1}, 0),
        ({"logit_scale": 100.0}, 0),
        ({}, 1),
        ({"blur": None}, 1),
    ):
        trials.run(change, seed)
    assert [c if isinstance(c, str) else "image" for c in calls] == [
        "text",
        "image",
        "loaded",
        "image",
        "text",
        "image",
        "text",
        "image",
        "loaded",
        "loaded",
    ]
    assert (
        calls[1].milestones == (12, 18, 23)
        and calls[1].image_steps == 26
        and calls[3].image_mix == 0.1
    )


def test_interval_is_students():
    middle, half = interval([1.0, 2.0, 3.0])
    assert middle == 2 and half == pytest.approx(4.3027 / np.sqrt(3), rel=1e-3)
    assert np.isnan(interval([1.0])[1])


def test_the_table_pairs_seeds_and_says_what_would_be_better():
    rows = []
    for seed, (base, worse, better) in enumerate(
        [(0.80, 0.70, 0.90), (0.82, 0.71, 0.93), (0.81, 0.72, 0.91)]
    ):
        for name, value in (("course", base), ("blur = None", worse), ("image_mix = 0.1", better)):
            rows.append({"variant": name, "seed": seed} | dict.fromkeys(deviations.FIGURES, value))
    text = table(rows)
    assert "mean of 3 seeds: pixel auroc 0.810" in text
    blur, mix = text.splitlines()[-2:]
    assert "| None | None | 0.7 | None | 0.710 | -0.100 ± 0.025 |" in blur and blur.endswith(
        "| the course's |"
    )
    assert "+0.103" in mix and mix.endswith("| the other does better here |")


ROW = dict.fromkeys(
    ("pixel_auroc", "pixel_ap", "pixel_pro", "inside_auroc", "peak_hit", "image_auroc"), 0.5
)


@pytest.fixture
def quick(monkeypatch):
    """Trainings that take no time: (what was judged, what was tried)."""
    judged, tried = [], []

    class Fake:
        def __init__(self, *_):
            pass

        def run(self, change, seed):
            tried.append((change, seed))
            return dict.fromkeys(deviations.FIGURES, 0.5 + seed / 10)

    def judge(seed, runs):
        judged.append((seed, runs))
        figures = {name: value + seed / 100 for name, value in ROW.items()}
        whole = {
            "seed": seed,
            "mean": figures,
            "groups": {"textures": figures},
            "cpu_seconds": 300 + 60 * seed,
        }
        whole |= {
            "defects": {"colour_spot": figures},
            "baselines": {} if seed else {"linear_probe": ROW},
        }
        words = {"data": "test, stage 1 alone", "seed": seed, "mean": ROW | {"pixel_pro": None}}
        return [whole | {"data": "val"}, whole | {"data": "test"}, words]

    monkeypatch.setattr(deviations, "Trials", Fake)
    monkeypatch.setattr(deviations, "judge_seed", judge)
    monkeypatch.setattr(deviations, "open_dataset", lambda name: None)
    return judged, tried


def test_results_are_kept_and_another_backbone_is_refused(tmp_path, quick):
    judged, tried = quick
    options = Deviations(out=str(tmp_path), runs="r", fields=("blur",), seeds=(0,))
    deviations.run(options)
    first = (tmp_path / "deviations.jsonl").read_text()
    assert len(first.splitlines()) == 2 and len(tried) == 2 and judged == [(0, Path("r"))]
    deviations.run(options)
    assert (
        (tmp_path / "deviations.jsonl").read_text() == first
        and len(tried) == 2
        and len(judged) == 1
    )
    row = json.loads(first.splitlines()[0]) | {"backbone": "another"}
    (tmp_path / "deviations.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match="another backbone, recipe or length"):
        deviations.run(options)
    assert "earlier embedded CLIP" not in (tmp_path / "README.md").read_text()
    deviations.run(replace(options, minutes=0))  # measures nothing, so it may show what is there
    assert (
        "**Measured on an earlier embedded CLIP** (fingerprint another)"
        in (tmp_path / "README.md").read_text()
    )


def test_the_report_says_what_was_measured_and_what_was_not(tmp_path, quick):
    deviations.run(Deviations(out=str(tmp_path), minutes=0))
    text = (tmp_path / "README.md").read_text()
    assert (
        "Not measured yet." in text
        and "Not measured on this embedded CLIP yet." in text
        and quick == ([], [])
    )
    deviations.run(Deviations(out=str(tmp_path), fields=("blur",), seeds=(0, 1)))
    text = (tmp_path / "README.md").read_text()
    assert (
        "| **factory/test**, 2 seeds | 0.505 ± 0.064 |" in text
        and "| linear probe | 0.500 |" in text
    )
    assert (
        "| ... its textures | 0.505 ± 0.064 |" in text
        and "stage 1 alone**, 2 seeds | 0.500 ± 0.000 |" in text
    )
    assert "5.5 minutes of CPU time" in text and "| colour spot | 0.505 | 0.505 |" in text
    assert f"2 of {len(variants())} variants" in text and "Seeds (runs): 0 (2), 1 (2)" in text


def test_runs_of_full_length_stand_apart_beside_the_seeds_own(tmp_path, quick):
    options = Deviations(out=str(tmp_path), fields=("blur",), seeds=(1,))
    deviations.run(options)
    deviations.run(replace(options, full_length=True))
    rows = [json.loads(line) for line in (tmp_path / "full_length.jsonl").read_text().splitlines()]
    assert [row["variant"] for row in rows] == ["blur = None"] and len(quick[1]) == 3
    course = Recipe.course()
    assert (rows[0]["image_steps"], rows[0]["every"]) == (course.image_steps, 1)
    short, long = (tmp_path / "README.md").read_text().split("### The same at full length")
    assert (
        "(20 and 20 steps)" in short
        and "| blur | None | None | 0.7 | None | 0.600 | +0.090 |" in long
    )


def test_seeds_of_another_backbone_are_measured_anew(tmp_path, quick):
    options = Deviations(out=str(tmp_path), fields=("blur",), seeds=(0,))
    deviations.run(options)
    rows = [
        json.loads(line) | {"backbone": "another"}
        for line in (tmp_path / "seeds.jsonl").read_text().splitlines()
    ]
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    deviations.run(options)
    assert len(quick[0]) == 2


def test_defective_pictures_are_drawn_by_lot_and_peaks_inside_are_counted(
    tmp_path, quick, monkeypatch
):
    """Of ten pictures the defective five, each once; maps that peak at the defect in all but one
    product.
    """
    mask = np.zeros((8, 8), bool)
    mask[2, 3] = True
    samples = [
        SimpleNamespace(
            image=np.zeros((8, 8, 3), np.uint8), mask=mask, class_name=f"part_{i}", defect="dent"
        )
        for i in range(10)
    ]
    records = [SimpleNamespace(label=i % 2) for i in range(10)]
    data = type("Data", (), {"records": records, "__getitem__": lambda self, i: samples[i]})()
    judged = []

    def predict(image, name):
        judged.append(name)
        return SimpleNamespace(map=np.roll(mask, name == "part_5", 0).astype(float))

    detector = SimpleNamespace(predict=predict)
    sheet, hits = deviations.at_random(detector, data, count=5)
    assert hits == 4 and sorted(judged) == [f"part_{i}" for i in (1, 3, 5, 7, 9)]
    titles = [ax.get_title(loc="left") for ax in sheet.axes]
    assert "part 5: dent, -" in titles and "part 3: dent, inside" in titles
    (tmp_path / "course").mkdir()
    monkeypatch.setattr(deviations.AnomalyDetector, "load", lambda folder: detector)
    monkeypatch.setattr(deviations, "open_dataset", lambda name: data)
    monkeypatch.setattr(deviations, "at_random", lambda *_: (sheet, 4))
    deviations.run(Deviations(out=str(tmp_path), minutes=0))
    text = (tmp_path / "README.md").read_text()
    assert (tmp_path / "random.png").is_file() and "outline in 4 of them" in text
    assert text.index("random.png") < text.index("## What each choice")
