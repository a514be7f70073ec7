"""The library for fp32 products: taken where it pays and gives the same, given back afterwards."""

import pytest
import torch

from aaclip_lite.lab.work import difference
from aaclip_lite.service import matmul
from aaclip_lite.service.runs import train_image
from aaclip_lite.service.scaling import plan
from tests import tiny

KNOB = matmul.precision()
no_choice = pytest.mark.skipif(KNOB != "none", reason="this torch has no such knob, or it is set")


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Every test measures for itself, and a tiny model counts as wide."""
    monkeypatch.setattr(matmul, "WIDE", 1)
    matmul.pays.cache_clear()
    yield
    matmul.pays.cache_clear()


@no_choice
def test_it_is_taken_where_it_pays_and_given_back(monkeypatch):
    monkeypatch.setattr(matmul, "PAYS", 0.0)
    clip = tiny.clip()
    picture = clip.preprocess(torch.rand(2, 3, 16, 16))
    expected = clip.encode_image(picture)
    with pytest.raises(KeyError), matmul.quick_products(clip) as taken:
        assert taken and matmul.precision() == "bf16"
        found = clip.encode_image(picture)
        raise KeyError
    assert matmul.precision() == KNOB
    assert difference({"features": found}, {"features": expected}) < 1e-5


@no_choice
@pytest.mark.parametrize("limit, value", [("PAYS", 1e9), ("OFF_BY", -1.0), ("WIDE", 10_000)])
def test_it_is_left_where_it_does_not_pay_or_moves_results(monkeypatch, limit, value):
    monkeypatch.setattr(matmul, "PAYS", 0.0)
    monkeypatch.setattr(matmul, limit, value)
    with matmul.quick_products(tiny.clip()) as taken:
        assert not taken and matmul.precision() == KNOB
    assert matmul.precision() == KNOB


@no_choice
def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setattr(matmul, "PAYS", 0.0)
    matmul.ask("ieee")
    try:
        assert not matmul.choose(tiny.clip())
        assert matmul.precision() == "ieee"
    finally:
        matmul.ask(KNOB)


@no_choice
def test_a_run_says_who_multiplies(monkeypatch, tmp_path, capsys):
    data = tiny.draw(tmp_path / "data")
    monkeypatch.setattr(matmul, "PAYS", 0.0)
    train_image(tiny.model(tiny.clip()), data, tmp_path / "quick", steps=1)
    monkeypatch.setattr(matmul, "WIDE", 10_000)
    train_image(tiny.model(tiny.clip()), data, tmp_path / "plain", steps=1)
    quick, plain = capsys.readouterr().out.split("image stage:")[1:3]
    assert "fp32 by oneDNN" in quick and "oneDNN" not in plain


@no_choice
def test_a_plan_is_made_with_the_products_of_the_training(monkeypatch, tmp_path):
    data = tiny.draw(tmp_path / "data")
    monkeypatch.setattr(matmul, "PAYS", 0.0)
    assert plan(tiny.model(tiny.clip()), data, probe=1).device == "cpu x 1, fp32 by oneDNN"
    assert matmul.precision() == KNOB
