"""Recipe.released() against numbers that the public code gave on the same formula-made weights
(tests/reference).
"""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from aaclip_lite import losses, prompts, scoring
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, stack_anchors
from aaclip_lite.recipe import Recipe

REFERENCE = Path(__file__).parents[1] / "reference"
formula = SimpleNamespace(**runpy.run_path(str(REFERENCE / "formula.py")))
EXPECTED = json.loads((REFERENCE / "released.json").read_text())
PREFIXES = (
    "anchors/",
    "frozen_anchors/",
    "dense_batch/",
    "dense_patch/",
    "dense_batch_of_one/",
    "orthogonal",
    "adapted/",
    "training_map/",
    "focal/",
    "dice_normal/",
    "dice_abnormal/",
    "test/",
    "stage1/loss",
    "stage1/gradient/",
    "stage1/weights/",
    "stage1/change/",
    "stage2/loss",
    "stage2/gradient/",
    "stage2/weights/",
    "stage2/change/",
)


def compare(prefix: str, values: dict, tolerance: float = 1e-4) -> None:
    """Every stored number of this prefix, within `tolerance` of its root mean square."""
    assert prefix in PREFIXES
    expected = {
        name.removeprefix(prefix): stored
        for name, stored in EXPECTED.items()
        if name.startswith(prefix)
    }
    assert {str(name) for name in values} == set(expected)
    for name, value in values.items():
        stored = expected[str(name)]
        if isinstance(value, torch.Tensor):
            value = formula.summary(value) if len(stored) == 7 else [value.item()]
        error = max(abs(a - b) for a, b in zip(value, stored, strict=True))
        assert error <= tolerance * abs(stored[0]), (
            f"{prefix}{name}: off by {error / abs(stored[0]):.2e} of its rms"
        )


def build_model() -> AdaptedCLIP:
    clip = load_clip(formula.CONFIG, weights=None, image_size=formula.IMAGE_SIZE)
    original = load_clip(formula.CONFIG, weights=None).state_dict()
    clip.load_state_dict(formula.clip_state({name: v.shape for name, v in original.items()}))
    model = AdaptedCLIP(clip, Recipe.released().replace(**formula.DEPTHS))
    model.load_released(
        *(formula.adapter_state(part, name) for name, part in adapter_parts(model).items())
    )
    return model


def adapter_parts(model: AdaptedCLIP) -> dict[str, torch.nn.Module]:
    return {"text_adapter": model.text_adapter, "image_adapter": model.image_adapter}


@pytest.fixture(scope="module")
def model() -> AdaptedCLIP:
    return build_model()


@pytest.fixture(scope="module")
def anchors(model) -> torch.Tensor:
    return stack_anchors(model.text_anchors(set(formula.CLASSES)), formula.CLASSES).detach()


def test_no_stored_number_is_forgotten():
    assert [name for name in EXPECTED if not name.startswith(PREFIXES)] == []


@torch.no_grad()
def test_text_anchors(model):
    names = [name.removeprefix("anchors/") for name in EXPECTED if name.startswith("anchors/")]
    known = {name for table in prompts.REAL_NAMES.values() for name in table}
    assert known <= set(names) and {"candle", "screw", "capsules", "object"} <= set(names)
    compare("anchors/", model.text_anchors(names))


@torch.no_grad()
def test_no_text_epochs_means_clips_own_text_tower(model):
    compare("frozen_anchors/", model.text_anchors(["pill"], adapted=False))
    untrained = AdaptedCLIP(model.clip, model.recipe.replace(text_epochs=0))
    compare("frozen_anchors/", untrained.text_anchors(["pill"]))


@pytest.mark.parametrize("axis", ["batch", "patch"])
def test_dense_features(model, axis):
    recipe, images = model.recipe.replace(dense_axis=axis), formula.batch()[0]
    levels = model.clip.dense_features(images, recipe)
    compare(f"dense_{axis}/", dict(zip(recipe.levels, levels, strict=True)))
    if axis == "batch":
        compare("dense_batch_of_one/", {8: model.clip.dense_features(images[:1], recipe)[-1]})


def gradients(loss: torch.Tensor, parameters: dict) -> dict:
    values = torch.autograd.grad(loss, list(parameters.values()))
    return {name.split(".", 1)[1]: value for name, value in zip(parameters, values, strict=True)}


def test_stage_1_loss_and_gradients(model):
    images, masks, _ = formula.batch()
    anchors = stack_anchors(model.text_anchors(formula.CLASSES), formula.CLASSES)
    compare("orthogonal", {"": losses.orthogonal(anchors)})
    loss = losses.stage1(model.dense_features(images), anchors, masks, model.recipe)
    compare("stage1/gradient/", gradients(loss, model.trainable("text")), 1e-3)
    assert loss.item() == pytest.approx(EXPECTED["stage1/loss"][0], rel=1e-4)


def test_stage_2_features_maps_losses_and_gradients(model, anchors):
    images, masks, labels = formula.batch()
    features, numbers = model(images), model.recipe.levels
    compare(
        "adapted/",
        {"detection": features.detection, **dict(zip(numbers, features.levels, strict=True))},
    )
    maps = {
        n: scoring.probability_map(v, anchors, formula.IMAGE_SIZE)
        for n, v in zip(numbers, features.levels, strict=True)
    }
    compare("training_map/", maps)
    compare("focal/", {n: losses.focal(p, masks) for n, p in maps.items()})
    compare("dice_normal/", {n: losses.dice(p[:, 0], 1 - masks) for n, p in maps.items()})
    compare("dice_abnormal/", {n: losses.dice(p[:, 1], masks) for n, p in maps.items()})
    loss = losses.stage2(features, anchors, masks, labels, model.recipe)
    compare("stage2/gradient/", gradients(loss, model.trainable("image")), 1e-3)
    assert loss.item() == pytest.approx(EXPECTED["stage2/loss"][0], rel=1e-4)


@torch.no_grad()
def test_test_maps_and_fused_scores(model, anchors):
    features = model(formula.batch()[0])
    scores, found = scoring.image_scores(features.detection, anchors[0]), {}
    for domain in ("Industrial", "Medical"):
        maps = scoring.anomaly_map(features.levels, anchors[0], formula.IMAGE_SIZE, domain.lower())
        found |= {
            f"map/{domain}": maps,
            f"fused/{domain}": scoring.fuse(maps, scores, domain.lower()),
        }
    compare("test/", {"detection_score": scores, **found})


@pytest.mark.parametrize("number, stage", [(1, "text"), (2, "image")])
def test_four_optimiser_steps(number, stage, anchors):
    model = build_model()
    recipe, parameters, measured = model.recipe, model.trainable(stage), []
    before = {name: p.detach().clone() for name, p in parameters.items()}
    rate = recipe.text_lr if stage == "text" else recipe.image_lr
    optimizer = torch.optim.Adam(parameters.values(), lr=rate, betas=recipe.betas)
    for step in range(formula.STEPS):
        images, masks, labels = formula.batch(step)
        if stage == "text":
            learned = stack_anchors(model.text_anchors(formula.CLASSES), formula.CLASSES)
            loss = losses.stage1(model.dense_features(images), learned, masks, recipe)
        else:
            loss = losses.stage2(model(images), anchors, masks, labels, recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        measured.append(loss.item())
    assert measured == pytest.approx(EXPECTED[f"stage{number}/losses"], rel=1e-4)
    compare(f"stage{number}/weights/", {name.split(".", 1)[1]: p for name, p in parameters.items()})
    # Adam's first steps divide gradients by their own size, which magnifies rounding where they are
    # tiny.
    compare(
        f"stage{number}/change/",
        {n.split(".", 1)[1]: p - before[n] for n, p in parameters.items()},
        1e-2,
    )
