"""From the scores of sound parts to the line above which a part counts as anomalous.

Special: two rules. With many parts the line is the score at a rank, and the promised rate of false
alarms holds whatever the scores look like. With five parts or more, it is mean plus deviations,
where how far sound parts scatter is mostly known from other products; what that rule met on them
is kept and said. With fewer there is no line.
Use: `draw_line(scores, few, false_alarms=0.05)`, `spread(scores)`, `rate_interval(2, 60)`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from . import scoring

FEWEST = 5  # sound parts that a line needs
REACH = 1.8  # deviations above the mean, for about 5 % false alarms on validation stations
RATE = 0.05  # the false-alarm rate that REACH was chosen for
TRUST = 8  # sound parts that the scatter seen on other products counts as


def refuse_rate(false_alarms: float) -> None:
    if not 0 < false_alarms < 1:  # also true for NaN
        raise ValueError(f"false_alarms = {false_alarms}: give a share above 0 and below 1")


def needed(false_alarms: float) -> int:
    """Sound parts that a line by rank needs to promise this rate."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def spread(scores: Float[Tensor, " n"]) -> float:
    """Deviation of the scores of sound parts, from the median distance to their median: one part
    with a sticker must not widen it.
    """
    scores = torch.as_tensor(scores).double()
    return float(1.4826 * (scores - scores.median()).abs().median())


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
    own = spread(scores)
    if others is not None:
        own = math.sqrt((TRUST * others**2 + (count - 1) * own**2) / (TRUST + count - 1))
    if not own > 0:
        raise ValueError(f"{count} sound parts with equal scores: are they the same picture?")
    from scipy.special import ndtri

    # REACH belongs to RATE; another rate moves it as it would for a bell curve
    reach = REACH * ndtri(1 - false_alarms) / ndtri(1 - RATE)
    threshold = float(reach * math.sqrt(1 + 1 / count))
    constants = (float(scores.mean()), own)
    return entry | {"rule": "few", "score": constants, "threshold": threshold}


def rate_interval(alarms: int, parts: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a rate of which `alarms` of `parts` were seen."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(alarms, parts - alarms + 1, tail) if alarms else 0.0
    high = betaincinv(alarms + 1, parts - alarms, 1 - tail) if alarms < parts else 1.0
    return float(low), float(high)


def explain(name: str, entry: dict | None, few: dict | None) -> str:
    """One sentence: where a product's line comes from and how sure it is.

    few: what the rule of few met on the products it was set on, {"alarms": 9, "parts": 225}.
    """
    if entry is None or entry.get("threshold") is None:
        return f"no line for {name} yet: give {FEWEST} sound parts (remember or calibrate)"
    text = f"line for {name} from {entry['pictures']} sound parts"
    promise = f"{entry['false_alarms']:.0%} of sound parts"
    if entry["rule"] == "rank":
        # the share that a line lets through is Beta distributed: of 20 lines one lets more through
        parts = entry["pictures"]
        above = math.floor((parts + 1) * entry["false_alarms"] + 1e-9)
        worst = rate_interval(above - 1, parts, level=0.9)[1]
        return (
            f"{text}, by rank: at most {promise} will be called anomalous on average over such "
            f"lines, at most {worst:.0%} with 19 lines of 20"
        )
    text += f", with the scatter of other products: about {promise} will be called anomalous"
    if not few or not few.get("parts"):
        return f"{text}; this was not measured on other products"
    low, high = rate_interval(few["alarms"], few["parts"])
    met = few["alarms"] / few["parts"]
    return (
        f"{text}; on validation products it was {met:.1%} of {few['parts']} "
        f"(95 % interval {low:.1%} to {high:.1%}); {needed(entry['false_alarms'])} parts give a "
        "promise"
    )
