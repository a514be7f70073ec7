"""From the scores of sound parts to the line above which a part counts as anomalous.

Special: two rules. With many parts the line is the score at a rank, and the promised rate of false
alarms holds whatever the scores look like. With five parts or more, it is mean plus deviations,
where how far sound parts scatter is mostly known from other products; what that rule met on them
is kept and said. With fewer there is no line.
Use: `draw_line(scores, few, false_alarms=0.05)`, `spread(scores)`, `deviations(scores, few)`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from . import scoring
from .files.promise import FEWEST, RATE, needed, rate_interval

__all__ = ["FEWEST", "RATE", "draw_line", "needed", "rate_interval", "spread"]

REACH = 1.8  # deviations above the mean, for about RATE false alarms on validation stations
TRUST = 8  # sound parts that the scatter seen on other products counts as


def spread(scores: Float[Tensor, " n"]) -> float:
    """Deviation of the scores of sound parts, from the median distance to their median: one part
    with a sticker must not widen it.
    """
    scores = torch.as_tensor(scores).double()
    return float(1.4826 * (scores - scores.median()).abs().median())


def pooled(scores: Float[Tensor, " n"], others: float | None) -> float:
    """Their spread, together with the one that sound parts of other products showed."""
    own = spread(scores)
    if others is None:
        return own
    weight = len(scores) - 1
    return math.sqrt((TRUST * others**2 + weight * own**2) / (TRUST + weight))


def deviations(scores: Float[Tensor, " n"], others: float | None) -> Float[Tensor, " n"]:
    """How far each part lies above the median of all, in pooled deviations."""
    scores = torch.as_tensor(scores).double()
    return (scores - scores.median()) / max(pooled(scores, others), 1e-9)


def draw_line(
    scores: Float[Tensor, " n"], others: float | None = None, false_alarms: float = RATE
) -> dict:
    """{"score": (mean, deviation), "threshold": in such deviations, "rule", ...} from the scores of
    a product's sound parts. others: the spread that sound parts of other products showed.
    """
    scores = torch.as_tensor(scores).double()
    count = len(scores)
    entry = {"pictures": count, "false_alarms": false_alarms}
    if count >= needed(false_alarms):
        constants = scoring.fit_constants(scores)
        threshold = scoring.threshold_at(scoring.z_scores(scores, constants), false_alarms)
        return entry | {"rule": "rank", "score": constants, "threshold": threshold}
    if count < FEWEST:
        raise ValueError(
            f"{count} sound parts are too few for a line: give at least {FEWEST}, or "
            f"{needed(false_alarms)} for a false-alarm rate of {false_alarms:g} that holds "
            "whatever the scores look like"
        )
    own = pooled(scores, others)
    if not own > 0:
        raise ValueError(f"{count} sound parts with equal scores: are they the same picture?")
    from scipy.special import ndtri

    # REACH belongs to RATE; another rate moves it as it would for a bell curve
    reach = REACH * ndtri(1 - false_alarms) / ndtri(1 - RATE)
    threshold = float(reach * math.sqrt(1 + 1 / count))
    constants = (float(scores.mean()), own)
    return entry | {"rule": "few", "score": constants, "threshold": threshold}
