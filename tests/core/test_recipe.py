"""recipe.py: presets, refusals, the depth rule, round trips."""

import dataclasses
import json

import pytest

from aaclip_lite.recipe import TRAINING_FIELDS, Recipe, comparison

PRESETS = (Recipe.course, Recipe.documented, Recipe.released)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_carry_their_name_and_survive_json(preset):
    recipe = preset()
    assert recipe.name == preset.__name__
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_default_is_the_course_recipe():
    assert Recipe() == Recipe.course()


def test_documented_values():
    recipe = Recipe.documented()
    assert (recipe.adapter, recipe.adapter_slope, recipe.proj_relu, recipe.text_head) == (
        "bottleneck",
        0.2,
        True,
        "relu",
    )
    assert (recipe.text_mix, recipe.image_mix) == (0.1, 0.1)
    assert (recipe.text_lr, recipe.text_batch, recipe.text_epochs) == (1e-5, 16, 5)
    assert (recipe.image_lr, recipe.image_batch, recipe.image_epochs) == (5e-4, 2, 20)
    assert (recipe.betas, recipe.milestones, recipe.lr_factor) == (
        (0.5, 0.999),
        (16000, 32000),
        0.5,
    )
    assert recipe.stage1_levels == "last"  # the document calls this a bug, and so it is a field
    assert (recipe.orthogonal_weight, recipe.normalisation, recipe.dense_axis) == (
        0.1,
        "imagenet",
        "patch",
    )


def test_released_values_where_they_differ_from_documented():
    released, documented = Recipe.released(), Recipe.documented()
    assert released.differences(documented) == {
        "activation": ("gelu", None),
        "normalisation": ("clip", "imagenet"),
        "dense_axis": ("batch", "patch"),
        "states": ("released", "documented"),
        "templates": ("released", "documented"),
        "adapter": ("linear", "bottleneck"),
        "adapter_bias": (False, True),
        "adapter_slope": (0.01, 0.2),
        "proj_relu": (False, True),
        "augmentation": ("released", "documented"),
    }


@pytest.mark.parametrize(
    "blocks, levels, adapters, dense",
    [
        (24, (6, 12, 18, 24), 6, 19),
        (12, (3, 6, 9, 12), 3, 10),
        (8, (2, 4, 6, 8), 2, 6),
        (32, (8, 16, 24, 32), 8, 25),
    ],
)
def test_depth_rule(blocks, levels, adapters, dense):
    depths = Recipe.released().resolve(blocks, 12)
    assert depths == (levels, tuple(range(1, adapters + 1)), (1, 2, 3), dense)


def test_depths_can_be_given():
    recipe = Recipe.released().replace(
        levels=(2, 8), image_blocks=(1, 3, 8), text_blocks="half", dense_blocks=5
    )
    assert recipe.resolve(8, 6) == ((2, 8), (1, 3, 8), (1, 2, 3), 5)
    assert recipe.replace(image_blocks="all", text_blocks=0).resolve(8, 6)[1:3] == (
        tuple(range(1, 9)),
        (),
    )


@pytest.mark.parametrize(
    "field, value",
    [
        ("adapter", "lora"),
        ("text_mix", 1.5),
        ("image_mix", float("nan")),
        ("levels", (4, 2)),
        ("levels", ()),
        ("levels", (0, 2)),
        ("image_blocks", -1),
        ("image_blocks", "third"),
        ("text_batch", 0),
        ("text_batch", 2.5),
        ("proj_relu", 1),
        ("betas", (0.5,)),
        ("betas", (0.5, 1.0)),
        ("logit_scale", 0.0),
        ("text_lr", "fast"),
        ("stage1_levels", None),
        ("adapter_bias", "yes"),
    ],
)
def test_impossible_values_are_refused_by_field(field, value):
    with pytest.raises(ValueError, match=rf"Recipe\.{field} = "):
        Recipe.course().replace(**{field: value})


@pytest.mark.parametrize(
    "make", [Recipe.course().replace, lambda **values: Recipe.from_dict(values)]
)
def test_unknown_fields_are_named(make):
    with pytest.raises(ValueError, match="no field 'text_adapt_weight'"):
        make(text_adapt_weight=0.1)


@pytest.mark.parametrize(
    "field, value",
    [("levels", (6, 12, 18, 24)), ("image_blocks", 9), ("text_blocks", 7), ("dense_blocks", 9)],
)
def test_depths_beyond_the_tower_are_refused_by_field(field, value):
    with pytest.raises(ValueError, match=rf"Recipe\.{field} = "):
        Recipe.released().replace(**{field: value}).resolve(8, 6)


def test_text_training_is_off_with_zero_epochs_or_steps():
    assert Recipe.released().trains_text and Recipe.course().trains_text
    assert not Recipe.released().replace(text_epochs=0).trains_text
    assert not Recipe.course().replace(text_steps=0).trains_text


def test_differences_can_leave_out_training():
    one = Recipe.course()
    other = one.replace(name="mine", image_lr=1e-3, image_mix=0.2)
    assert one.differences(other) == {
        "image_lr": (one.image_lr, 1e-3),
        "image_mix": (one.image_mix, 0.2),
    }
    assert list(one.differences(other, training=False)) == ["image_mix"]
    assert {field.name for field in dataclasses.fields(Recipe)} > TRAINING_FIELDS


def test_comparison_has_a_meaning_for_every_field():
    rows = comparison()
    assert [row["field"] for row in rows] == [field.name for field in dataclasses.fields(Recipe)]
    assert all(len(row["meaning"]) > 10 for row in rows)
    mix = next(row for row in rows if row["field"] == "text_mix")
    assert (mix["documented"], mix["released"], mix["course"]) == (
        "0.1",
        "0.1",
        str(Recipe.course().text_mix),
    )
    differing = {row["field"] for row in comparison(differing_only=True)}
    assert "adapter_slope" in differing and "betas" not in differing


def test_a_recipe_of_an_earlier_version_loads_where_its_retired_fields_hold_their_default():
    stored = Recipe.course().to_dict()
    stored["gamma"] = stored.pop("lr_factor")
    stored |= {"joint": False, "norm_preserving": True, "accumulate": 1}
    assert Recipe.from_dict(stored) == Recipe.course()


def test_a_retired_field_with_another_value_is_refused_by_name():
    with pytest.raises(ValueError, match=r"Recipe\.level_weights is no field any more"):
        Recipe.from_dict({"level_weights": "learned"})
