"""scaling.py: what it says before a training is what follows, and saying it changes nothing."""

import pytest
import torch

from aaclip_lite import scale_up
from aaclip_lite.checkpoint import read_metadata
from aaclip_lite.service import memory, scaling
from aaclip_lite.train import History
from tests import tiny


@pytest.fixture
def data(tmp_path):
    return tiny.draw(tmp_path / "data")


@pytest.fixture(scope="module")
def clip():
    return tiny.clip()


def test_a_plan_leaves_the_model_as_it_was(clip, data):
    model = tiny.model(clip)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    recipe = model.recipe
    scaling.plan(model, data, probe=1)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags and model.recipe is recipe
    assert all(p.grad is None for p in model.parameters())


def test_hours_and_cost_follow_from_pictures_and_speeds(clip, data):
    found = scaling.plan(tiny.model(clip, text_steps=None, text_epochs=3), data, price=2.0, probe=1)
    assert found.pictures == {"text": 3 * len(data), "image": 6 * 4}
    seconds = sum(found.pictures[stage] / found.speeds[stage] for stage in found.pictures)
    assert found.hours == pytest.approx(seconds / 3600)
    assert found.cost == pytest.approx(2 * found.hours)
    assert "at 2 an hour" in str(found) and "minutes" in str(found)


def test_what_does_not_fit_is_cut_into_parts(clip, data, monkeypatch):
    model = tiny.model(clip)
    monkeypatch.setattr(scaling, "room", lambda on: memory.stage2(model, 2).total)
    found = scaling.plan(model, data, probe=1)
    assert (found.batch, found.accumulate) == (2, 2) and found.needed <= found.there
    monkeypatch.setattr(scaling, "room", lambda on: 1000)
    with pytest.raises(ValueError, match="one picture with checkpointing needs"):
        scaling.plan(model, data, probe=1)


def test_a_plan_is_made_in_the_precision_of_the_training(clip, data, tmp_path, monkeypatch, capsys):
    model = tiny.model(clip)
    original = model.loss_parts
    measured = []

    def noted(*given):
        measured.append(torch.is_autocast_enabled("cpu"))
        return original(*given)

    monkeypatch.setattr(model, "loss_parts", noted)
    for bf16 in (False, True):
        measured.clear()
        found = scaling.plan(model, data, probe=1, bf16=bf16)
        assert set(measured) == {bf16}
        assert found.needed == memory.stage2(model, 4, half=bf16).total
    scale_up(model, data, tmp_path / "run", probe=1, progress=False, bf16=True)
    told = capsys.readouterr().out
    assert told.startswith("cpu x 1, bf16: ") and "fp32" not in told


def test_scale_up_trains_as_it_said(clip, data, tmp_path, monkeypatch, capsys):
    model = tiny.model(clip)
    monkeypatch.setattr(scaling, "room", lambda on: memory.stage2(model, 2).total)
    scale_up(model, data, tmp_path / "run", probe=1, progress=False)
    told = capsys.readouterr().out
    assert "2 pictures at once, 2 times a step" in told and "it took" in told
    assert len(History.load(tmp_path / "run" / "image.jsonl").rows) == 6
    assert read_metadata(tmp_path / "run" / "image.safetensors")["finished"]


@pytest.mark.parametrize("bad", [{"probe": 0}, {"price": -1}])
def test_numbers_that_mean_nothing_are_refused(clip, data, bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} = "):
        scaling.plan(tiny.model(clip), data, **bad)
