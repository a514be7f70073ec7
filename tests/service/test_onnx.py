"""A detector exported to ONNX gives the same maps and scores under onnxruntime, calibration and
words included.
"""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from aaclip_lite.service import export as module
from tests import tiny

CONFIG = tiny.config(vision={"image_size": 48, "layers": 4, "patch_size": 8})
RECIPES = {
    "course, top of the map": Recipe.course().replace(adapter_init="xavier", image_score="map_top"),
    "released": Recipe.released(),
}


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((30, 3, 48, 48), np.float32)


def build(recipe):
    torch.manual_seed(0)
    return AnomalyDetector(
        AdaptedCLIP(load_clip(CONFIG, weights=None), recipe), words={"bolt": "rusty screw"}
    )


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_equal_to_the_detector(tmp_path, pictures, recipe):
    judge = build(recipe).calibrate(torch.from_numpy(pictures), "bolt")
    path = judge.to_onnx(tmp_path / "new" / "bolt.onnx", "bolt")
    # weights inside, nothing left behind
    assert [each.name for each in path.parent.iterdir()] == ["bolt.onnx"]
    session = onnxruntime.InferenceSession(path)
    for picture in pictures[:3]:
        heat, score = session.run(["map", "score"], {"image": picture[None]})
        expected = judge.predict(torch.from_numpy(picture), "bolt")
        np.testing.assert_allclose(heat[0], expected.map, atol=1e-3)
        np.testing.assert_allclose(score, [expected.score], atol=1e-3)
    facts = {
        key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()
    }
    assert "(1, 3, 48, 48)" in facts.pop("input") and facts.pop("verdict")
    assert facts == {
        "class_name": "bolt",
        "image_size": 48,
        "threshold": judge.calibration["bolt"]["threshold"],
    }


def test_uncalibrated_it_gives_raw_scores(tmp_path, pictures):
    judge = build(Recipe.course().replace(adapter_init="xavier"))
    session = onnxruntime.InferenceSession(judge.to_onnx(tmp_path / "any.onnx"))
    heat, score = session.run(None, {"image": pictures[:1]})
    maps, scores = judge.anomaly_maps(torch.from_numpy(pictures[:1]), ["object"])
    np.testing.assert_allclose(heat, maps, atol=1e-3)
    np.testing.assert_allclose(score, scores, atol=1e-3)
    assert json.loads(session.get_modelmeta().custom_metadata_map["threshold"]) is None


def test_without_the_extra_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name
    )
    with pytest.raises(
        ModuleNotFoundError, match=r"to_onnx needs onnxscript: pip install 'aaclip-lite\[export\]'"
    ):
        build(RECIPES["released"]).to_onnx(tmp_path / "bolt.onnx", "bolt")
    assert list(tmp_path.iterdir()) == []
