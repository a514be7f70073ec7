"""The laboratory: each tool once in a tiny real world (twelve pictures a product at 64 px, a CLIP of
four blocks), and directly the study that all of them share.
"""

import json
import sys
from dataclasses import is_dataclass, replace
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.files import photographs
from aaclip_lite.lab import (
    TOOLS,
    bench,
    costs,
    deviations,
    gates,
    levers,
    plain,
    real,
    sheets,
    sight,
    study,
    trials,
    work,
    yardsticks,
)
from aaclip_lite.load import load_clip
from aaclip_lite.recipe import Recipe
from aaclip_lite.world import factory
from aaclip_lite.world.clip import run as pretrain
from aaclip_lite.world.products import PRODUCTS
from tests.layouts import write_photographs

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3},
}
SETS = {"train": ("candle", "wicker"), "val": ("hinge", "tweed"), "test": ("bottle", "wood")}


def draw_set(folder, names):
    """Four sound and eight damaged pictures of each product, with masks, as a manifest."""
    rows = []
    for name in names:
        kinds = [None] * 4 + [k for k in factory.kinds_for(name) for _ in range(8)]
        seed = 0
        while sum(row["class_name"] == name for row in rows) < 12:
            kind = kinds[sum(row["class_name"] == name for row in rows)]
            seed += 1
            try:
                picture = factory.draw(name, seed, 64, kind, 2, split="lab-test")
            except factory.NotShown:
                continue
            row = {"label": int(kind is not None), "class_name": name, "defect": kind or ""}
            shown = {"image": picture.image, "inside": np.uint8(picture.inside > 0) * 255}
            shown |= {"mask": np.uint8(picture.mask) * 255} if kind else {}
            for role, pixels in shown.items():
                row[f"{role}_path"] = f"{name}_{len(rows)}_{role}.png"
                Image.fromarray(pixels).save(folder / row[f"{role}_path"])
            rows.append(row)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(text)
    return open_dataset(folder / "manifest.jsonl")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    made = {n: draw_set(tmp_path_factory.mktemp(n), names) for n, names in SETS.items()}
    wild = {f"{name}_wild": made[name] for name in ("val", "test")}
    return made | wild | {"test_hard": made["test"]}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


@pytest.fixture
def world(sets, clip, monkeypatch):
    """Tools that ask for factory sets and the embedded CLIP get the tiny ones; the course recipe
    has two and three steps.
    """
    short = Recipe.course().of_length(2, 3)
    monkeypatch.setattr(Recipe, "course", staticmethod(lambda: short))
    monkeypatch.setattr(sight, "PRODUCTS", {n: PRODUCTS[n] for n in ("hinge", "tweed", "bottle")})
    monkeypatch.setattr(sight, "things", partial(sight.things, count=9))
    for module in (gates, levers):
        monkeypatch.setattr(module, "RUN", {"text_steps": 2, "image_steps": 3})
    for module in (gates, levers, yardsticks, deviations, costs, trials):
        if hasattr(module, "load_clip"):
            monkeypatch.setattr(module, "load_clip", lambda *_, **__: clip)
        named = lambda name, **_: sets[name.removeprefix("factory/")]  # noqa: E731
        monkeypatch.setattr(module, "open_dataset", named)
    return sets


# ---- the study -----------------------------------------------------------------------------------


def test_a_study_measures_each_key_once_and_goes_on_after_a_kill(tmp_path):
    log = tmp_path / "log.jsonl"
    measured = []

    def run(settings, minutes=None):
        trials = study.Study(log, settings, minutes)
        for seed in (0, 1, 2):
            trials.run({"seed": seed}, lambda: measured.append(1) or {"auroc": 0.5 + len(measured)})
        return trials.rows

    assert run({"steps": 3}, minutes=0) == [] and not measured
    first = run({"steps": 3})
    assert [row["auroc"] for row in first] == [1.5, 2.5, 3.5] and first[0]["steps"] == 3
    log.write_text(log.read_text()[:-9])  # killed while the third line was written
    assert [row["auroc"] for row in run({"steps": 3})] == [1.5, 2.5, 4.5]
    assert len(measured) == 4 and len(study.read(log)) == 3
    with pytest.raises(
        ValueError, match=r"log\.jsonl holds runs with another steps \(3\): move it"
    ):
        run({"steps": 4})
    assert len(run({"steps": 4}, minutes=0)) == 3  # for a report that measures nothing


def test_recipes_are_compared_in_the_fields_that_both_know():
    assert study.same({"mix": 0.1, "retired": 1}, {"mix": 0.1})
    assert not study.same({"mix": 0.1}, {"mix": 0.2}) and not study.same(20, 30)


def test_intervals_are_students_and_changes_are_paired_by_seed():
    middle, half = study.interval([1.0, 2.0, 3.0])
    assert (middle, half) == (2, pytest.approx(4.3027 / 3**0.5, rel=1e-4))
    assert study.spoken(study.interval([0.25])) == "0.250"
    rows = [{"seed": s, "auroc": 0.5 + s / 10} for s in (0, 1, 2)]
    base = [{"seed": s, "auroc": 0.4 + s / 10} for s in (2, 1, 7)]
    assert study.change(rows, base, "auroc") == (pytest.approx(0.1), pytest.approx(0, abs=1e-9))


def test_shared_stages_give_what_training_anew_gives(clip, sets):
    recipe = Recipe.course().of_length(2, 2)
    shared = study.Trainer(clip, sets["train"])
    shared(recipe, 1, deviations.UNREAD)
    other = recipe.replace(image_mix=0.1)  # stage 1 does not read it
    models = shared(other, 1, deviations.UNREAD), study.Trainer(clip, sets["train"])(other, 1)
    assert len(shared.states) == 3  # one text stage, two image stages
    for (name, one), two in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, two), name


# ---- each tool once ------------------------------------------------------------------------------


def test_every_tool_has_options_and_a_run():
    for module, options, _ in TOOLS.values():
        home = import_module(f"aaclip_lite.{module}")
        assert is_dataclass(getattr(home, options)) and callable(home.run)


def test_gates(world, clip, tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(11_100_000))
    leg = {"step": 777, "lr": 1e-3, "replays": 3, "hard_things": 1.0, "where_weight": 0.7}
    facts = {"step": 9, "seen": 160_384, "elapsed": 60.0, "batch": 64, "damage_share": 0.003}
    (tmp_path / "run.json").write_text(json.dumps(facts | {"legs": [leg]}))
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    assert gates.run(gates.Gates(folder=str(tmp_path))) == 1  # random weights pass few gates
    figures = json.loads((tmp_path / "gates.json").read_text())
    card = (tmp_path / "README.md").read_text()
    assert figures["abilities"]["pictures"] == 21 and len(sight.judged(figures)) == 14
    for said in ("11.1 MB", "160,384", "step 777", f"{figures['course']['pixel_auroc']:.3f}"):
        assert said in card
    assert (tmp_path / "sight.png").stat().st_size > 5000
    (tmp_path / "README.md").unlink()
    gates.run(gates.Gates(folder=str(tmp_path), report=True))
    assert (tmp_path / "README.md").read_text() == card


def test_a_picture_does_not_lose_to_its_own_caption():
    """A bug: its own score, computed apart from the others, differed in the last digit."""
    torch.manual_seed(0)
    captions = torch.nn.functional.normalize(torch.randn(200, 192), dim=-1)
    assert (sight.rank_of_own(captions @ captions.T) == 0).all()


def test_levers(world, tmp_path, monkeypatch, capsys):
    """Pretraining itself takes minutes; here it only says what it was asked for."""
    asked = []

    def trained(options):
        asked.append(options)
        (tmp_path / "run.json").write_text('{"seen": 640}')
        return tmp_path

    monkeypatch.setattr(pretrain, "run", trained)
    options = levers.Levers(out=str(tmp_path), only=("base", "patch size"), minutes=2)
    levers.run(options)
    levers.run(options)
    assert [(o.patch_size, o.keep, o.minutes) for o in asked] == [(8, 112, 2), (16, 28, 2)]
    assert capsys.readouterr().out.count("| patch size | patches of 16 px") == 2
    model = pretrain.Learner([0, 1], config=pretrain.Pretraining(layers=4, patch_size=16).model())
    assert model.levels == (1, 2, 3, 4)
    levels = model.patches(torch.randn(1, 3, 128, 128), torch.arange(64)[None])[1]
    assert [tuple(level.shape) for level in levels] == [(1, 64, 192)] * 4


def test_yardsticks(world, tmp_path, monkeypatch):
    monkeypatch.setattr(yardsticks, "sheets", lambda folder: None)
    options = yardsticks.Yardsticks(out=str(tmp_path), unet_steps=3, threads=1)
    assert yardsticks.run(options) == 1  # three steps teach nothing
    figures = json.loads((tmp_path / "yardsticks.json").read_text())["splits"]["val_wild"]
    assert set(figures["classes"]) == {"hinge", "tweed"}
    rules = figures["rules"]["brightness"]
    assert rules["pixel_auroc"] == pytest.approx((rules["objects"] + rules["textures"]) / 2)
    assert "Missed: " in (tmp_path / "README.md").read_text()
    row = sheets.tiles("wood", 0) + sheets.tiles("wood", 0, defect="hole")
    sheets.sheet(tmp_path / "a.png", [("wood", row)] * 2, across=2)
    with Image.open(tmp_path / "a.png") as made:
        assert made.size == (2 * (3 * sheets.TILE + 8), sheets.TILE + sheets.LINE)


def test_deviations(world, tmp_path):
    options = deviations.Deviations(
        out=str(tmp_path), runs=str(tmp_path / "runs"), fields=("blur",), seeds=(0, 1), every=1
    )
    text = deviations.run(options).read_text()
    assert "**factory/test_hard**, 2 seeds" in text and "| linear probe |" in text
    assert "| blur | None | None | 0.7 | None |" in text and "Seeds (runs): 0 (2), 1 (2)" in text
    before = (tmp_path / "deviations.jsonl").read_text()
    deviations.run(options)
    assert (tmp_path / "deviations.jsonl").read_text() == before


def test_bench(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(work, "REDUCED", CONFIG)
    for name, value in bench.SINGLE_THREADED.items():
        monkeypatch.setenv(name, value)
    options = bench.Bench(out=str(tmp_path), rounds=2, seconds=0)
    assert bench.run(options) == 0  # and that both ways are equal, else it would have raised
    result = json.loads((tmp_path / "bench.json").read_text())
    assert set(result["cases"]) == {*work.MODEL_CASES, *work.METRIC_CASES, bench.SUMMED}
    assert "inference: rounds 2 to 2" in result["skipped"]
    assert "skipped, 0 s a case" in capsys.readouterr().out
    assert bench.run(bench.Bench(out=str(tmp_path), minutes=0)) == 0
    none = json.loads((tmp_path / "bench.json").read_text())
    assert not none["cases"] and {"inference", "draw with a hole"} <= set(none["skipped"])
    rows = costs.kept_views(epochs=1, each=2, seeds=(0,))
    assert len(costs.table({"views": rows})) == len(costs.VIEWS)
    with pytest.raises(ValueError, match="--public needs --full"):
        bench.run(bench.Bench(public="somewhere"))
    with pytest.raises(FileNotFoundError, match=r"no model/adapter\.py there"):
        plain.Public(SimpleNamespace(), tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_what_each_clip_costs(monkeypatch):
    monkeypatch.setattr(costs, "SCALES", (("lite", 64),))
    monkeypatch.setattr(costs, "elsewhere", lambda call, **_: eval(call, {"costs": costs}))
    (row,) = costs.scales(bench.Bench(rounds=1, seconds=0))
    assert row["patches"] == 64 and row["stage 2 step"] > row["inference"] > 0
    assert row["stage 2 step, peak MB"] > 100
    (line,) = costs.table({"scales": [row]})
    assert "64 patches" in line and f"adapters {row['adapters_mb']:5.1f} MB" in line


@pytest.mark.parametrize("tool", ["crossing", "improvements"])
def test_a_trial_keeps_every_contestant_and_goes_on(tool, world, tmp_path, monkeypatch, capsys):
    """Two seeds of two contestants; a second call measures nothing again."""
    names = {
        "crossing": ("base, more steps", "v3 from base"),
        "improvements": ("the recipe", "gated"),
    }
    short = {"text": 1, "image": 1}
    if tool == "crossing":
        kept = {n: (*trials.CONTESTANTS[n][:2], short) for n in names[tool]}
        monkeypatch.setattr(trials, "CONTESTANTS", kept)
        monkeypatch.setattr(trials, "BASE", short)
        options = trials.Crossing(seeds=2, out=str(tmp_path / "log.jsonl"))
    else:
        monkeypatch.setattr(trials, "STEPS", short)
        options = trials.Improvements(2, only="gated", out=str(tmp_path / "log.jsonl"))
    assert trials.run(options) == 0
    rows = study.read(options.out)
    assert [row["name"] for row in rows] == [*names[tool]] * 2
    assert all(0 <= row["pixel_auroc"] <= 1 and row["weights"] > 0 for row in rows)
    assert "±" in capsys.readouterr().out
    before = (tmp_path / "log.jsonl").stat().st_mtime_ns
    assert trials.run(options) == 0 and (tmp_path / "log.jsonl").stat().st_mtime_ns == before


def test_a_package_that_differs_is_named_beside_its_figures():
    values = {"plain": torch.ones(4), "package": torch.tensor([1.0, 1.0, 1.0, 1.5])}
    fake = SimpleNamespace(prepare=lambda case: None, run=lambda case, way: {"x": values[way]})
    rows = work.compare(fake, "inference", ("plain", "package"), 1, 0)
    assert rows["package"]["rounds"] == rows["plain"]["rounds"] == 1
    (said,) = work.unequal({"inference": rows})
    assert said.startswith("inference: the package differs from the other side by 5.0e-01")
    values["package"] = torch.tensor([1.0, 1.0, 1.0, float("nan")])
    assert work.unequal({"x": work.compare(fake, "x", ("plain", "package"), 1, 0)})
    values["package"] = values["plain"]
    assert not work.unequal({"x": work.compare(fake, "x", ("plain", "package"), 1, 0)})


def test_plain_metrics_equal_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = rng.random(5000) < 0.1
    scores = rng.integers(0, 60, 5000) + 9.0 * labels  # with ties
    assert plain.auroc(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores))
    expected = metrics.average_precision_score(labels, scores)
    assert plain.average_precision(scores, labels) == pytest.approx(expected)


def test_real(tmp_path):
    write_photographs(tmp_path / "in")
    found = photographs.find(tmp_path / "in")
    shares = {"boards": 1 / 16, "cracks": 1400 / 160**2, "tiles": 1 / 2}
    for name, share in shares.items():
        data = real.opened(found[name], tmp_path / "masks", 64, "test", 9)
        defective = [data[i] for i, record in enumerate(data.records) if record.label]
        assert len(data) > len(defective) > 0
        assert defective[0].mask.mean() == pytest.approx(share, rel=0.25)
    log = {"data": str(tmp_path / "real.jsonl"), "masks": str(tmp_path / "masks")}
    detector = AnomalyDetector.load()
    mine = str(detector.save(tmp_path / "mine"))
    options = real.Real(
        str(tmp_path / "in/tiles"), mine, sizes=(64,), shots=(2,), seeds=(0,), steps=1, **log,
        out=str(tmp_path / "real.md"),
    )  # fmt: skip
    text = real.run(options).read_text()
    assert "| tiles | 64 | edge density | 1 |" in text and "tiles 2 sound and 2 defective" in text
    assert "| tiles | 64 | trained on 2 (1 x 8) | 1 |" in text
    assert "| tiles | 64 | trained on 2, 16 references (1 x 8) | 1 |" in text
    # what nobody measured has an empty line: of these tiles, of other sets, of a real CLIP
    empty = "| {} | | trained on 32 | | | | | |"
    assert [text.count(empty.format(name)) for name in ("tiles", "boards")] == [2, 2]
    # rows of other weights are not mixed with these, but measured anew
    for weight in detector.model.image_adapter.parameters():
        weight.data *= 1.5
    detector.save(mine)
    before = study.read(options.data)
    real.run(replace(options, shots=()))
    after = study.read(options.data)
    assert {row["probe"] for row in after} == set(real.probe(options))
    assert {row["probe"] for row in after}.isdisjoint(row["probe"] for row in before)
    assert len(after) == len(before) - 2  # nothing was trained onwards this time
    with pytest.raises(FileNotFoundError, match="none of the sets is there"):
        photographs.find(tmp_path / "masks")


def test_a_card_refuses_to_have_gaps():
    assert set(study.template("gates")) == {"card", "levers", "taught", "random", "growth"}
    with pytest.raises(KeyError):
        study.template("real")["card"].format(table="")
    assert study.table([["", "a"], ["b", 0.5]]) == "| | a |\n| --- | ---: |\n| b | 0.500 |"
