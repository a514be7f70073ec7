"""train.py: the page of the loop against a hand-written one and against the resumable run."""

import itertools

import pytest
import torch

from aaclip_lite import losses
from aaclip_lite.model import stack_anchors
from aaclip_lite.service.runs import train_image, train_text
from aaclip_lite.train import History, endless, free, learning_rate, step, train
from tests import tiny

RUN = {"text": train_text, "image": train_image}


@pytest.fixture(scope="module")
def clip():
    return tiny.clip()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.draw(tmp_path_factory.mktemp("loop") / "data")


@pytest.mark.parametrize("stage", ["text", "image"])
def test_the_loop_and_the_resumable_run_end_with_the_same_bits(clip, data, tmp_path, stage):
    recipe = tiny.RECIPE.replace(adapter_init="xavier", milestones=(2, 4))
    plain = tiny.model(clip, recipe)
    run = tiny.model(clip, recipe)
    anchors = plain.text_anchors(data.classes) if stage == "image" else None
    history = train(plain, endless(data, recipe, stage, seed=3), stage, 6, anchors)
    told = RUN[stage](run, data, tmp_path, seed=3, progress=False)
    assert tiny.same(tiny.weights(plain), tiny.weights(run))
    assert history.column("loss") == told.column("loss")
    assert history.column("lr") == told.column("lr") and history.finished


def test_step_gives_the_parts_of_the_stage_from_the_batchs_own_anchors(clip, data):
    model = tiny.model(clip, adapter_init="xavier")
    batch = next(data.batches(4, shuffle=True, seed=1))
    anchors = model.text_anchors(data.classes)
    own = stack_anchors(anchors, batch["class_name"])
    images = model.preprocess(batch["image"])
    parts = step(model, batch, anchors, "image")
    expected = losses.stage2(model(images), own, batch["mask"], batch["label"], model.recipe)
    assert set(parts) == {"detection", "segmentation"}
    assert sum(parts.values()).item() == pytest.approx(expected.item(), rel=1e-6)
    levels = model.dense_features(images)
    expected = losses.stage1(levels, own, batch["mask"], model.recipe)
    for kept in (None, levels):
        parts = step(model, batch, None, "text", kept)
        assert set(parts) == {"segmentation", "separation"}
        assert sum(parts.values()).item() == pytest.approx(expected.item(), rel=1e-6)


def test_only_what_the_stage_trains_gets_a_gradient(clip, data):
    model = tiny.model(clip, adapter_init="xavier")
    for stage in ("text", "image"):
        chosen = free(model, stage)
        anchors = model.text_anchors(data.classes) if stage == "image" else None
        parts = step(model, next(data.batches(12)), anchors, stage)
        losses.total(parts).backward()
        moved = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved == set(chosen) == set(model.trainable(stage))
        model.zero_grad()


def test_an_adapter_behind_the_last_level_is_not_trained(clip):
    model = tiny.model(clip, levels=(1,), image_blocks="all")
    assert not any("layer_adapters.1." in name for name in free(model, "image"))
    assert any("layer_adapters.1." in name for name in model.trainable("image"))


def test_the_learning_rate_falls_at_milestones_in_stage_2_only():
    recipe = tiny.RECIPE.replace(milestones=(2, 3), image_lr=0.1, lr_factor=0.5, text_lr=0.2)
    assert [learning_rate(recipe, "image", i) for i in range(5)] == [0.1, 0.1, 0.05, 0.025, 0.025]
    assert [learning_rate(recipe, "text", i) for i in range(5)] == [0.2] * 5


def test_endless_batches_go_on_with_the_next_epoch_in_another_order(data):
    batches = list(itertools.islice(endless(data, tiny.RECIPE, "text", seed=1), 6))
    rows = [row for batch in batches for row in batch["index"]]
    assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12)) and rows[:12] != rows[12:]


def test_stage_2_without_anchors_is_refused_with_the_remedy(clip, data):
    with pytest.raises(ValueError, match=r"needs anchors: model\.text_anchors\(data\.classes\)"):
        train(tiny.model(clip), data.batches(4), "image", 1)


def test_a_loop_that_runs_out_of_batches_is_not_finished(clip, data):
    history = train(tiny.model(clip), data.batches(6), "text", steps=5)
    assert len(history.rows) == 2 and not history.finished
    assert torch.isfinite(torch.tensor(history.column("loss"))).all()


def test_history_is_a_table_and_a_file(tmp_path):
    rows = [{"step": i, "loss": 1 / i, "gradient/a": None} for i in range(1, 15)]
    history = History("text", rows)
    lines = history.table(rows=4).splitlines()
    assert lines[0].split() == ["step", "loss"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "5", "9", "13", "14"]
    history.save(tmp_path / "text.jsonl")
    assert History.load(tmp_path / "text.jsonl").rows == rows
    assert History("text").table() == "step"
