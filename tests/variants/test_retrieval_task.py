"""The retrieval task of chapter 14: who is right, batches of few products, what is trained."""

import csv
import json

import numpy as np
import pytest
import torch

import aaclip_lite as aa
from aaclip_lite.course import retrieval
from aaclip_lite.files.environment import data_path
from aaclip_lite.lab import retrieval as study
from aaclip_lite.world import factory

FACTS = {
    "product": "metal_nut",
    "spoken": "nut",
    "colour": "silver",
    "material": "steel",
    "pose": "tilted",
    "ground": "white",
    "things": [("red dot", "top left")],
}


@pytest.mark.parametrize(
    "caption, right",
    [
        ("a silver nut", True),
        ("a photo of the metal nut made of steel, tilted on a white table.", True),
        ("nut with a red dot in the top left", True),
        ("a golden nut", False),
        ("a silver nut with a blue dot", False),
        ("a silver nut with a red dot in the top", False),
        ("a nut on a black table", False),
        ("a silver nutcracker", False),
    ],
)
def test_a_caption_is_right_when_the_picture_could_have_been_given_it(caption, right):
    assert bool(retrieval.sayings(FACTS).fullmatch(caption)) == right


def test_every_caption_of_the_factory_is_right_for_its_own_picture():
    rng = np.random.default_rng(0)
    for name in ("pcb1", "brick", "candle"):
        for things in (0, 2):
            facts = factory.draw(name, 3, 64, things=things).facts
            allowed = retrieval.sayings(facts)
            captions = [factory.caption(facts, rng) for _ in range(40)]
            assert [text for text in captions if not allowed.fullmatch(text)] == []


@pytest.fixture(scope="module")
def task():
    return retrieval.draw_task("test of the task", 6, retrieval.PRODUCTS[:4])


def test_captions_of_other_pictures_can_be_right(task):
    own = task.right[task.owner, torch.arange(len(task.captions))]
    assert own.all() and len(task.captions) == 5 * len(task.images) == 120
    assert 0.005 < study.false_negatives(task) < 0.2


def test_batches_hold_few_products_and_begin_anew(task):
    batches = retrieval.TopicBatches(
        torch.arange(24.0)[:, None], torch.zeros(24, 5, 3), task.topic, size=4, topics=2
    )
    assert len(batches) == len(list(batches)) == 6
    first, second = (torch.cat([tokens[:, 0] for tokens, _ in batches]) for _ in range(2))
    assert sorted(first.tolist()) == list(range(24)) and not torch.equal(first, second)
    assert all(len(task.topic[chosen].unique()) <= 2 for chosen in batches.indices())


def test_only_the_text_tower_and_the_heads_are_trained():
    clip = aa.load_clip("lite")
    towers = retrieval.Towers(clip)
    names = {n for n, w in towers.clip.named_parameters() if w.requires_grad}
    assert {"visual.proj", "text_projection", "logit_scale"} <= names
    assert not any(n.startswith(("visual.transformer", "token_embedding")) for n in names)
    assert not any(w.requires_grad for w in clip.parameters())


def test_table_and_interval_agree(task):
    S = torch.randn(24, 120, generator=torch.Generator().manual_seed(0))
    found = retrieval.table(S, task.owner)
    for way, turned in (("i2t", S), ("t2i", S.T)):
        middle, low, high = retrieval.interval(retrieval.hits(turned, task.owner, 5), 200)
        assert middle == pytest.approx(found[f"{way} R@5"]) and low <= middle <= high
    anything = retrieval.table(S, task.right)
    assert anything["i2t R@1"] >= found["i2t R@1"] and anything["t2i R@1"] >= found["t2i R@1"]


def test_median_rank_by_hand():
    S = torch.tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]])
    assert retrieval.median_rank(S, torch.eye(3, dtype=torch.bool)) == 2
    nowhere = torch.zeros(3, 3, dtype=torch.bool)
    assert retrieval.median_rank(S, nowhere) == 4


def test_a_log_has_the_same_columns_for_every_loss(tmp_path):
    plain = {"epoch": 1, "step": 1, "loss": 2.0, "temp": 9.0, "lr": 0.1, "cross_entropy": 2.0}
    path = retrieval.write_log([plain | {"grad_norm": 1.0}], tmp_path / "a" / "log.csv")
    rows = list(csv.DictReader(path.open()))
    assert tuple(rows[0]) == retrieval.COLUMNS and rows[0]["w_mean"] == ""
    assert retrieval.COLUMNS[:5] == ("epoch", "step", "loss", "temp", "lr")


def test_difference_is_taken_seed_by_seed():
    figures = {"a": (0.5, 0.7, 0.6), "b": (0.4, 0.5, 0.5)}
    result = {
        "runs": {
            name: {"seeds": {str(i): {"owner": {"R": value}} for i, value in enumerate(values)}}
            for name, values in figures.items()
        }
    }
    middle, low, high = retrieval.difference(result, "a", "b", "R")
    assert middle == pytest.approx(0.4 / 3)  # of 0.1, 0.2, 0.1
    reach = 4.3027 * np.std([0.1, 0.2, 0.1], ddof=1) / 3**0.5
    assert (low, high) == pytest.approx((middle - reach, middle + reach), abs=1e-4)


def test_the_kept_study_is_whole_and_of_the_commands_runs():
    kept = json.loads((data_path("clinic") / "retrieval.json").read_text(encoding="utf-8"))
    assert list(kept["runs"]) == list(study.RUNS)
    for name, entry in kept["runs"].items():
        assert entry["options"] == repr(study.RUNS[name][1]) and len(entry["seeds"]) >= 3
    assert len({s["steps"] for e in kept["runs"].values() for s in e["seeds"].values()}) == 1
