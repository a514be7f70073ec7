"""From the scores of sound parts to the line above which a part counts as anomalous, and from a
line to a verdict.

Special: two rules. With many parts the line is the score at a rank, and the promised rate of false
alarms holds whatever the scores look like. With five parts or more, it is mean plus deviations,
where how far sound parts scatter is mostly known from other products; what that rule met on them
is kept and said. With fewer there is no line.
Use: `draw_line(scores, few, false_alarms=0.05)`, `spread(scores)`, `deviations(scores, few)`.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from . import scoring
from .files.promise import FEWEST, RATE, needed, rate_interval
from .files.sound import note

__all__ = ["FEWEST", "RATE", "draw_line", "needed", "rate_interval", "spread"]

REACH = 1.8  # deviations above the mean, for about RATE false alarms on validation stations
TRUST = 8  # sound parts that the scatter seen on other products counts as


def spread(scores: Float[Tensor, " n"]) -> float:
    """Deviation of the scores of sound parts, from the median distance to their median: one part
    with a sticker must not widen it.
    """
    scores = torch.as_tensor(scores).double()
    distance = (scores - scores.median()).abs()
    return float(1.4826 * distance.median())  # of a bell curve that is the standard deviation


def pooled(scores: Float[Tensor, " n"], others: float | None) -> float:
    """Their spread, together with the one that sound parts of other products showed."""
    here = spread(scores)
    if others is None:
        return here
    weight = len(scores) - 1  # from five parts alone a spread is half luck
    return math.sqrt((TRUST * others**2 + weight * here**2) / (TRUST + weight))


def deviations(scores: Float[Tensor, " n"], others: float | None) -> Float[Tensor, " n"]:
    """How far each part lies above the median of all, in pooled deviations."""
    scores = torch.as_tensor(scores).double()
    return (scores - scores.median()) / max(pooled(scores, others), 1e-9)  # equal ones: 0, not nan


def draw_line(
    scores: Float[Tensor, " n"], others: float | None = None, false_alarms: float = RATE
) -> dict:
    """{"score": (mean, deviation), "threshold": in such deviations, "rule", ...} from the scores of
    a product's sound parts. others: the spread that sound parts of other products showed.
    """
    scores = torch.as_tensor(scores).double()
    count = len(scores)
    entry = {"pictures": count, "false_alarms": false_alarms}
    if count >= needed(false_alarms):  # enough to lean on no assumption
        constants = scoring.fit_constants(scores)
        threshold = scoring.threshold_at(scoring.z_scores(scores, constants), false_alarms)
        return entry | {"rule": "rank", "score": constants, "threshold": threshold}
    if count < FEWEST:  # their scatter would say next to nothing
        raise ValueError(
            f"{count} sound parts are too few for a line: give at least {FEWEST}, or "
            f"{needed(false_alarms)} for a false-alarm rate of {false_alarms:g} that holds "
            "whatever the scores look like"
        )
    deviation = pooled(scores, others)
    if not deviation > 0:  # nan as well: every later score would be nan
        raise ValueError(f"{count} sound parts with equal scores: are they the same picture?")
    from scipy.special import ndtri  # here: judging with a saved line never needs it

    # REACH belongs to RATE; another rate moves it as it would for a bell curve
    reach = REACH * ndtri(1 - false_alarms) / ndtri(1 - RATE)
    # a new part scatters about the true mean, and ours of so few parts is off by its own error
    threshold = float(reach * math.sqrt(1 + 1 / count))
    constants = (float(scores.mean()), deviation)
    return entry | {"rule": "few", "score": constants, "threshold": threshold}


def calibrated(
    maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"], constants: dict | None
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
    """Deviations above normal, where it is known what is normal."""
    if constants is None:
        return maps, scores  # in the method's own unit
    return scoring.z_scores(maps, constants["map"]), scoring.z_scores(scores, constants["score"])


def threshold_of(
    detector: Any, constants: dict | None, name: str, words: str | None
) -> tuple[float | None, str]:
    """The threshold of a product that is called so, and why there is none."""
    if constants is None or constants["threshold"] is None:
        return None, detector.line(name)
    has_line = name in detector.calibration
    if has_line and not torch.equal(detector.anchor(name, words), detector.anchor(name)):
        # other words move every score, and the line would stay where it was
        why = f"the line of {name} was drawn with other words; remember again with them"
        note(why)
        return None, why
    return constants["threshold"], ""
