"""decision.py: lines from many and from few parts, what they promise and what is said of them."""

import re

import numpy as np
import pytest
import torch

from aaclip_lite import decision
from aaclip_lite.files import promise


def test_with_enough_parts_the_line_is_a_rank():
    scores = torch.arange(19.0)
    line = decision.draw_line(scores)
    mean, deviation = line["score"]
    assert line["rule"] == "rank"
    assert mean + deviation * line["threshold"] == pytest.approx(18.0)
    assert decision.needed(0.05) == 19 and decision.needed(0.01) == 99


def test_a_line_from_five_parts_keeps_its_rate_where_others_scatter_alike():
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(2000):
        scores = torch.from_numpy(rng.normal(10, 3, 6))
        line = decision.draw_line(scores[:5], others=3.0)
        mean, deviation = line["score"]
        alarms.append(float((scores[5] - mean) / deviation) > line["threshold"])
    assert 0.02 < np.mean(alarms) < 0.08


def test_one_part_with_a_sticker_does_not_widen_the_line():
    clean = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    sticker = torch.tensor([1.0, 2.0, 3.0, 4.0, 60.0])
    assert decision.spread(sticker) == pytest.approx(decision.spread(clean))
    assert decision.draw_line(sticker, others=1.5)["score"][1] < 2


def test_too_few_parts_say_how_many_are_needed():
    with pytest.raises(ValueError, match=r"4 sound parts are too few for a line: .* 5, or 19 for"):
        decision.draw_line(torch.arange(4.0), others=1.0)
    with pytest.raises(ValueError, match="equal scores: are they the same picture"):
        decision.draw_line(torch.ones(5))


def test_a_smaller_rate_lifts_the_line():
    scores = torch.arange(6.0)
    lines = [decision.draw_line(scores, 1.0, rate)["threshold"] for rate in (0.1, 0.05, 0.01)]
    assert lines == sorted(lines) and len(set(lines)) == 3


@pytest.mark.parametrize("alarms, parts, low, high", [(0, 20, 0.0, 0.168), (1, 20, 0.001, 0.249)])
def test_interval_of_a_rate_is_clopper_pearsons(alarms, parts, low, high):
    assert decision.rate_interval(alarms, parts) == pytest.approx((low, high), abs=5e-4)


def test_what_is_said_of_a_line():
    few = decision.draw_line(torch.arange(5.0), 1.0)
    said = promise.explain_one("bolt", {"bolt": few}, {"spread": 1.0, "alarms": 9, "parts": 225})
    assert "from 5 sound parts" in said and "4.0% of 225" in said and "19 parts give" in said
    rank = decision.draw_line(torch.arange(19.0))
    assert "at most 5%" in promise.explain_one("bolt", {"bolt": rank}, None)


def test_what_was_measured_at_one_rate_is_not_said_of_another():
    few = {"spread": 1.0, "alarms": 9, "parts": 225, "rate": 0.05}
    line = decision.draw_line(torch.arange(5.0), 1.0, 0.01)
    said = promise.explain_one("bolt", {"bolt": line}, few)
    assert "about 1% of" in said and "a line for 5% called 4.0% of 225" in said
    assert "other rates were not measured" in said and "99 parts give" in said
    line = decision.draw_line(torch.arange(5.0), 1.0, 0.0005)
    assert "about 0.05% of" in promise.explain_one("bolt", {"bolt": line}, few)


@pytest.mark.parametrize("rate", [0, 1e-9, 0.6, 1, 5, float("nan")])
def test_a_rate_that_nobody_can_mean_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate = .*give a share from 0\.0001 to 0\.5"):
        promise.refuse_rate("rate =", rate)


def test_at_most_three_names_are_said():
    said = promise.explain_one("nut", {key: {"threshold": 1.0} for key in "*abcde"}, None)
    assert said.endswith("this detector knows: a, b, c and 2 more")


@pytest.mark.parametrize("parts, rate", [(19, 0.05), (40, 0.05), (40, 0.2)])
def test_19_of_20_lines_by_rank_keep_what_is_said_of_them(parts, rate):
    rng = np.random.default_rng(0)
    met = []
    for _ in range(2000):
        line = decision.draw_line(torch.from_numpy(rng.random(parts)), false_alarms=rate)
        mean, deviation = line["score"]
        # of evenly spread scores this share lies above the line
        met.append(1 - (mean + deviation * line["threshold"]))
    said = re.search(
        r"at most (\d+)% with 19 lines", promise.explain_one("bolt", {"bolt": line}, None)
    )
    assert np.quantile(met, 0.95) == pytest.approx(int(said[1]) / 100, abs=0.015)
    assert np.mean(met) == pytest.approx(rate, abs=0.01)
    assert "give 5 sound parts" in promise.explain_one("bolt", {}, None)
