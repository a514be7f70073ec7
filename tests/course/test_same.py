"""course.check.same: which mistake is named when a learner's result is wrong on several inputs."""

import numpy as np
import pytest
import torch

from aaclip_lite.adapters import image_adapters
from aaclip_lite.course.check import EXERCISES
from aaclip_lite.course.check.same import Hint, either, same, same_in_all, whatever
from aaclip_lite.recipe import Recipe

HALF = "a half is too much"


def rounds(found, *hints):
    """The right values are 2 and 6."""
    return zip(found, (2.0, 6.0), hints, strict=True)


def test_an_idea_with_several_values_is_named_by_the_one_that_explains_all():
    hints = [{HALF: either(x / 2, x + 0.5)} for x in (2.0, 6.0)]
    for found in ((1.0, 3.0), (2.5, 6.5)):
        with pytest.raises(Hint, match=f"^{HALF}$"):
            same_in_all(rounds(found, *hints), "the sum", 1e-4)
    with pytest.raises(Hint) as told:  # one value here, the other there: neither explains both
        same_in_all(rounds((1.0, 6.5), *hints), "the sum", 1e-4)
    assert HALF not in str(told.value)


def test_a_mistake_that_one_input_does_not_allow_explains_nothing():
    for there in ({}, {HALF: float("nan")}, {HALF: float("inf")}):
        with pytest.raises(Hint) as told:
            same_in_all(rounds((1.0, 3.5), {HALF: 1.0}, there), "the sum", 1e-4)
        assert HALF not in str(told.value)


def test_a_single_result_is_judged_as_several_are():
    with pytest.raises(Hint, match=f"^{HALF}$"):
        same(np.array(1.0), np.array(2.0), hints={HALF: either(0.5, 1.0)})


def test_a_sign_is_enough_for_a_mistake_where_the_result_is_wrong():
    hints = [{HALF: lambda found: found < 2}, {HALF: lambda found: found < 6}]
    with pytest.raises(Hint, match=f"^{HALF}$"):
        same_in_all(rounds((2.0, 5.0), *hints), "the sum", 1e-4)
    with pytest.raises(Hint) as told:
        same_in_all(rounds((1.0, 7.0), *hints), "the sum", 1e-4)
    assert HALF not in str(told.value)


def test_what_an_input_is_there_for_is_told_when_the_others_are_right():
    hints = [{HALF: either(1.0)}, {"and now the edge": whatever}]
    for found, say in (((2.0, 1.0), "and now the edge"), ((1.0, 1.0), HALF)):
        with pytest.raises(Hint, match=f"^{say}$"):
            same_in_all(rounds(found, *hints), "the sum", 1e-4)


def test_the_count_that_is_checked_is_that_of_the_packages_own_modules():
    def count(width, joint, blocks, levels, bottleneck, bias):
        kind = "bottleneck" if bottleneck else "linear"
        recipe = Recipe.course().replace(adapter=kind, adapter_bias=bias)
        with torch.device("meta"):
            modules = image_adapters(recipe, width, joint, blocks, levels)
        return sum(p.numel() for p in modules.parameters())

    assert EXERCISES["adapter_weight_count"][1](count)
