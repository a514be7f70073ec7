"""levers.py: one change at a time, kept line by line, and the model's depth put back afterwards."""

import json

import pytest
import torch

from aaclip_lite.lab import gates, levers
from aaclip_lite.lab.gates import FLOORS, Gate
from aaclip_lite.lab.levers import LEVERS, Levers
from aaclip_lite.world import pretrain
from aaclip_lite.world.pretrain import Learner, Pretraining


def test_every_lever_is_an_option_of_pretraining_or_the_depth():
    base = Pretraining()
    for name, (words, changes) in LEVERS.items():
        assert words and (changes or name == "base") and len(changes.keys() - {"keep"}) <= 1
        for option, value in changes.items():
            assert option in levers.SHAPE or value != getattr(base, option)
    assert len(LEVERS) >= 7


def test_depth_and_patches_are_changed_for_a_while():
    with levers._shape({"patch_size": 16}):
        model = Learner([0, 1, 2])
        assert model.patches(torch.zeros(1, 3, 128, 128), torch.arange(64)[None])[2].shape == (
            1,
            64,
            192,
        )
        assert model.redraw.out_features == 16 * 16 * 3
    with levers._shape({"layers": 4}):
        model = Learner([0, 1, 2])
        assert len(model.clip.visual.transformer.resblocks) == 4 and pretrain.LEVELS == (1, 2, 3, 4)
        levels = model.patches(torch.zeros(1, 3, 128, 128), torch.arange(256)[None])[1]
        assert len(levels) == 4
    assert {"layers": 8, "patch_size": 8}.items() <= pretrain.MODEL["vision_cfg"].items()
    assert pretrain.LEVELS == (2, 4, 6, 8)


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Runs that only write down with which options they were started."""
    started = []

    def run(options):
        started.append(options)
        model = tmp_path / "model"
        model.mkdir(exist_ok=True)
        (model / "run.json").write_text(json.dumps({"seen": 640}))
        return model

    monkeypatch.setattr(levers.pretrain, "run", run)
    monkeypatch.setattr(levers, "load_clip", lambda folder: None)
    monkeypatch.setattr(levers, "open_dataset", lambda name: name)
    found = {}, [Gate(name, 0.5, *FLOORS[name]) for name in FLOORS]
    monkeypatch.setattr(levers.gates, "measure", lambda clip, train, data, each, run: found)
    return started


def test_runs_are_kept_and_go_on(quick, tmp_path, capsys):
    out = str(tmp_path)
    assert levers.run(Levers(out=out, minutes=3, only=("base", "twice the time"))) == 0
    levers.run(Levers(out=out, minutes=3, only=("base", "no phrase loss")))
    assert [options.minutes for options in quick] == [3, 6, 3]
    assert quick[2].phrase_weight == 0 and quick[0].phrase_weight == 0.7
    rows = gates.lever_rows(tmp_path / "levers.jsonl")
    assert [row["lever"] for row in rows] == ["base", "twice the time", "no phrase loss"]
    assert f"| base | {LEVERS['base'][0]} | 640 | 0.500 |" in capsys.readouterr().out
    assert all(row["course_inside"] == 0.5 and row["round"] for row in rows)
    with pytest.raises(ValueError, match="another length or seed"):
        levers.run(Levers(out=out, minutes=4, only=("base",)))
    with pytest.raises(ValueError, match="no lever colour; there are: base,"):
        levers.run(Levers(out=out, only=("colour",)))
