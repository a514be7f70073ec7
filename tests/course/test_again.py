"""course.check.again and .instead: mistakes that no exercise lists are named by what they look
like, and only if that explains every round.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aaclip_lite.course.check import again
from aaclip_lite.course.check.differences import Hint
from aaclip_lite.course.check.same import of_pair, same_in_all


def right(x, weights, scale):
    return (scale * F.normalize(x, dim=-1) * weights.softmax(0)[:, None]).mean(0)


def given(seed):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(3 + seed, 4, generator=draw, dtype=torch.float64)
    return x, torch.randn(len(x), generator=draw, dtype=torch.float64), 2.5 + seed


def named(learner, function=right, rounds=(0, 1)):
    calls = [(given(n), learner(*given(n))) for n in rounds]
    return again.idea(function, calls, ("x", "weights", "scale"), 1e-4)


@pytest.mark.parametrize(
    "mistake, words",
    [
        (lambda x, w, s: right(x, w, 1), "`scale` were 1: has it no effect?"),
        (lambda x, w, s: right(x, w, 1 / s), "`scale` were 1 over itself"),
        (lambda x, w, s: right(x.abs(), w, s), "`x` were without its signs (abs)"),
        (lambda x, w, s: right(x, w.flip(0), s), "reversed along axis 0"),
        (lambda x, w, s: right(x, w, s) * s**2, "`scale` squared times what it should be"),
        (lambda x, w, s: right(x, w, s) * len(x), "the length of `x`'s axis 0 times"),
        (lambda x, w, s: (s * x * w.softmax(0)[:, None]).mean(0), "made without unit length"),
        (
            lambda x, w, s: (s * F.normalize(x, dim=0) * w.softmax(0)[:, None]).mean(0),
            "made with unit length along axis 0",
        ),
        (
            lambda x, w, s: (s * F.normalize(x, dim=-1) * w.sigmoid()[:, None]).mean(0),
            "made with a sigmoid instead of softmax",
        ),
        (
            lambda x, w, s: (s * F.normalize(x, dim=-1) * w.softmax(0)[:, None]).amax(0),
            "it were the largest, not averaged",
        ),
    ],
)
def test_a_mistake_is_named_by_what_it_looks_like(mistake, words):
    assert words in named(mistake)


def test_what_explains_one_round_alone_is_not_said():
    assert named(right) is None
    assert named(lambda x, w, s: right(x, w, 1 if len(x) == 3 else 1 / s)) is None


def test_of_a_pair_the_wrong_part_is_named():
    def both(x, weights, scale):
        return float(x.sum()), scale * 3

    say = named(lambda x, w, s: (float(x.sum()), s * s * 3), both)
    assert say.startswith(": the second value") and "`scale` were squared" in say


def test_a_constant_is_told_unless_it_is_right():
    with pytest.raises(Hint, match="always 7: is what comes in"):
        same_in_all([(7.0, 2.0, {}), (7.0, 3.0, {})], "the sum", 1e-4)
    same_in_all([(7.0, 7.0, {}), (7.0, 7.0, {})], "the sum", 1e-4)


def test_a_mistake_in_one_part_of_a_pair_leaves_the_other_as_it_is():
    hints = of_pair(np.array([1.0, 5.0]), {"first": 2.0}, {"second": 3.0})
    assert [value.tolist() for (value,) in hints.values()] == [[2.0, 5.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    "found, expected, words",
    [
        ([1.0, 4.0], 4.0, "its part 1 alone"),
        ([1.0, 3.0], 4.0, "sum is still to be taken"),
        ("a/x/c", "a/b/c", "but not 'x'"),
        ([3, 1, 2, 9], [1, 2, 3], "1 too many"),
        (np.arange(6.0), np.arange(6.0).reshape(2, 3), "reshape"),
        (np.array([0.0, 2.0, 0.0]), np.array([-1.0, 2.0, -3.0]), "cut at 0"),
    ],
)
def test_what_any_result_may_suffer_from(found, expected, words):
    with pytest.raises(Hint) as told:
        same_in_all([(found, expected, {})], "it", 1e-4)
    assert words in str(told.value)
