"""bench.py and plain.py: both ways give the same numbers, take turns, and all that is measured is
told.
"""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from aaclip_lite.lab import bench, plain
from aaclip_lite.recipe import Recipe

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 48, "layers": 4, "width": 32, "head_width": 16, "patch_size": 4},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3},
}


@pytest.fixture(scope="module")
def work():
    """Released, but with adapters behind every block, and attention across patches, not across one
    picture.
    """
    real = bench.load_clip
    bench.load_clip = lambda name, weights, image_size: real(TINY, weights=None, image_size=48)
    try:
        recipe = Recipe.released().replace(
            dense_axis="patch", image_blocks="all", text_blocks="all"
        )
        work = bench.Work(False, recipe)
    finally:
        bench.load_clip = real
    work.size = 48
    work.mask = work.mask[:, :, ::7, ::7][:, :, :48, :48]
    return work


@pytest.mark.parametrize("case", bench.MODEL_CASES)
def test_the_plain_way_gives_the_packages_numbers(work, case):
    work.prepare(case)
    package, by_hand = work.run(case, "package"), work.run(case, "plain")
    assert bench.difference(package, by_hand) < 1e-4
    if "step" in case:
        assert len(package) > 4 and all(value.abs().max() > 0 for value in package.values())


def test_plain_keeps_gradients_of_frozen_weights_and_the_package_does_not(work, monkeypatch):
    graded = {}
    monkeypatch.setattr(
        work.model,
        "zero_grad",
        lambda set_to_none: graded.update(
            {way: [name for name, p in work.model.clip.named_parameters() if p.grad is not None]}
        ),
    )
    for way in ("plain", "package"):
        for p in work.model.parameters():
            p.grad = None
        work.run("stage 2 step", way)
    assert len(graded["plain"]) > 20 and not graded["package"]


def test_a_difference_is_found_and_missing_results_are_told():
    one, other = {"a": torch.ones(4)}, {"a": torch.tensor([1.0, 1.0, 1.0, 1.5])}
    assert bench.difference(other, one) == pytest.approx(0.5)
    assert bench.difference(other, one, typical=True) == pytest.approx(0.25)
    with pytest.raises(RuntimeError, match="not the same results"):
        bench.difference(one, {"b": torch.ones(4)})


def test_plain_metrics_equal_scikit_learns():
    rng = np.random.default_rng(0)
    # with ties
    labels, scores = (
        rng.random(5000) < 0.1,
        rng.integers(0, 60, 5000).astype(np.float32),
    )
    scores[labels] += 9
    assert plain.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert plain.average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )


def test_the_metrics_ways_agree():
    pixels = bench.Pixels(False)
    expected = pixels.run("metrics, exact", "plain")["figures"]
    assert torch.allclose(pixels.run("metrics, exact", "package")["figures"], expected, atol=1e-9)
    assert torch.allclose(pixels.run("metrics, binned", "package")["figures"], expected, atol=1e-3)


def test_ways_take_turns_and_each_is_compared_with_the_first(monkeypatch):
    turns, values = [], {"plain": 1.0, "package": 1.0 + 5e-5, "bf16": 1.25}

    class Fake:
        def prepare(self, case):
            turns.clear()

        def run(self, case, way):
            turns.append(way)
            return {"x": torch.full((2,), values[way])}

    peaks = {"plain": 200, "package": 50, "bf16": 40}
    monkeypatch.setattr(bench, "_peak_elsewhere", lambda full, case, way: peaks[way])
    rows = bench.compare(Fake(), "inference", ("plain", "package", "bf16"), 3, False)
    assert turns == ["plain", "package", "bf16"] * 3
    assert (
        rows["package"]["difference"] == pytest.approx(5e-5, rel=1e-2)
        and rows["plain"]["difference"] == 0
    )
    assert rows["bf16"]["difference"] == 0.25 and rows["package"]["peak_mb"] == 50


@pytest.mark.parametrize("value", [1.001, float("nan")])
def test_a_package_that_differs_ends_the_run(value):
    work = type(
        "Fake",
        (),
        {
            "run": lambda self, case, way: {
                "x": torch.full((2,), 1.0 if way == "plain" else value)
            },
            "prepare": lambda self, case: None,
        },
    )
    with pytest.raises(RuntimeError, match="inference: the package differs from the plain way"):
        bench.compare(work(), "inference", ("plain", "package"), 1, False)


def test_everything_is_written_and_said(tmp_path, monkeypatch, capsys):
    row = {"cpu": 2.0, "wall": 2.0, "peak_mb": 400, "difference": 0.0}
    mine = row | {"cpu": 0.5, "peak_mb": 100, "difference": 1e-6}
    for name, value in bench.SINGLE_THREADED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bench, "Work", lambda full: None)
    monkeypatch.setattr(bench, "Pixels", lambda full: None)
    monkeypatch.setattr(bench, "compare", lambda *_: {"plain": row, "package": mine, "bf16": mine})
    monkeypatch.setattr(bench, "rate", lambda *_: 321.0)
    monkeypatch.setattr(bench.torch, "set_num_threads", lambda n: None)
    assert bench.run(bench.Bench(out=str(tmp_path))) == 0
    said = capsys.readouterr().out
    assert "4.00" in said and "0.25" in said and "321 pictures/s" in said and bench.SUMMED in said
    assert (
        json.loads((tmp_path / "bench.json").read_text())["cases"]["inference"]["package"]["cpu"]
        == 0.5
    )
    assert (tmp_path / "bench.png").stat().st_size > 5000


def test_growth_has_a_panel_for_each_thing_that_grows(tmp_path, monkeypatch):
    class Fake:
        def __init__(self, full, recipe=None, size=336, batch=1):
            self.names, self.size = ["bottle"] * batch, size

    cpu = lambda work, *_, **__: {"package": {"cpu": len(work.names) * work.size / 1000}}  # noqa: E731
    monkeypatch.setattr(bench, "Work", Fake)
    monkeypatch.setattr(bench, "compare", cpu)
    monkeypatch.setattr(bench, "_elsewhere", lambda call: 120)
    found = bench.growth(1)
    assert found["picture size, px"]["inference, CPU s a picture"] == [0.224, 0.336, 0.448, 0.518]
    assert found["batch"]["stage 2 step, CPU s a picture"] == [0.336] * 4
    assert found["sentences of a class"]["x"][0] == 16
    figure = bench.plots.growth({"growth": found, "machine": "a CPU", "date": "today"})
    assert [ax.get_xlabel() for ax in figure.axes] == list(found)
    bench.plots.save(figure, tmp_path / "growth.png")


def test_memory_of_the_metrics_does_not_grow(capsys):
    """Counted in the process itself: another one would measure its imports."""
    import tracemalloc

    peaks = []
    for pictures in (32, 160):
        tracemalloc.start()
        bench.stream_pixels(pictures)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    bench.say_peak()
    assert int(capsys.readouterr().out) > 50


def test_threads_of_numpy_are_held_by_a_new_process(monkeypatch):
    """numpy reads the variables when it is imported; without them two spinning threads would count
    twice.
    """
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    called = []
    monkeypatch.setattr(
        bench.subprocess, "call", lambda command, env: called.append((command, env)) or 7
    )
    assert bench.run(bench.Bench(full=True, rounds=2, what=("memory", "views"))) == 7
    command, env = called[0]
    assert env["OPENBLAS_NUM_THREADS"] == "1" and "--full" in command and "--json" not in command
    assert command[command.index("--what") + 1 :][:2] == ["memory", "views"]


def test_a_class_is_summed_from_its_parts():
    row = lambda cpu, mb: {"cpu": cpu, "wall": 2 * cpu, "peak_mb": mb, "difference": 0.0}  # noqa: E731
    cases = {
        "text anchors": {"plain": row(8, 10), "package": row(1, 10), "bf16": row(0.5, 10)},
        "inference": {"plain": row(3, 90), "package": row(2, 40), "bf16": row(1, 30)},
        "metrics, binned": {"plain": row(7, 50), "package": row(0.5, 60)},
    }
    found = bench.whole(cases)
    assert {way: each["cpu"] for way, each in found.items()} == {
        "plain": 195,
        "package": 121.5,
        "bf16": 61,
    }
    assert {way: each["peak_mb"] for way, each in found.items()} == {
        "plain": 90,
        "package": 60,
        "bf16": 60,
    }


def test_views_are_measured_without_and_with_kept_features(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(
        bench,
        "train_text",
        lambda model, data, out, **options: trained.append((len(data), options)),
    )
    mean = {"pixel_auroc": 0.8, "inside_auroc": 0.7, "peak_hit": 0.4}
    monkeypatch.setattr(bench, "evaluate", lambda *_, **o: type("Report", (), {"mean": mean})())
    rows = bench.kept_views(epochs=3, each=2000, seeds=(5,))
    assert (
        [options["views"] for _, options in trained]
        == [None, 1, 2, 4]
        == [row["views"] for row in rows]
    )
    assert {(count, o["epochs"], o["seed"]) for count, o in trained} == {
        (rows[0]["pictures"], 3, 5)
    }
    said = bench.table({"model": "m", "machine": "c", "date": "d", "views": rows})
    assert "new each time" in said and said.count("pixel_auroc 0.800") == 4
