"""What a line promises: how many parts a rate needs, and the sentence that is said of a line.

Use: `needed(0.05)`, `explain_one("bolt", entries, few)`, `rate_interval(2, 60)`, `refuse_rate("rate =", 2)`.
"""

import math
from collections.abc import Mapping, Sequence

FEWEST = 5  # sound parts that a line needs
RATE = 0.05  # of false alarms, where nobody asks for another
RATES = (0.0001, 0.5)  # below, nobody has the parts; above, a line sorts no parts
SHOWN = 3  # names in a sentence


def refuse_rate(what: str, false_alarms: float) -> None:
    low, high = RATES
    if not low <= false_alarms <= high:  # also true for NaN
        raise ValueError(
            f"{what} {false_alarms:g}: give a share from {low:g} to {high:g}, such as {RATE:g}"
        )


def needed(false_alarms: float) -> int:
    """Sound parts that a line by rank needs to promise this rate."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def rate_interval(alarms: int, parts: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a rate of which `alarms` of `parts` were seen."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(alarms, parts - alarms + 1, tail) if alarms else 0.0
    high = betaincinv(alarms + 1, parts - alarms, 1 - tail) if alarms < parts else 1.0
    return float(low), float(high)


def explain_one(name: str, entries: Mapping[str, dict], few: dict | None) -> str:
    """One sentence: where a product's line comes from and how sure it is; where it has none, the
    products that have one.

    entries: what is known by product, under "*" of products that are not named. few: what the rule
    of few met on the products it was set on, {"alarms": 9, "parts": 225}, and the "rate" asked for.
    """
    entry = entries.get(name, {})
    if entry.get("threshold") is None:
        lines = [each for each, other in entries.items() if other.get("threshold") is not None]
        known = [each for each in lines if each != "*"]
        others = f"; this detector knows: {listed(known)}" if known else ""
        return f"no line for {name} yet: give {FEWEST} sound parts (remember or calibrate){others}"
    text = f"line for {name} from {entry['pictures']} sound parts"
    said = _by_rank(entry) if entry["rule"] == "rank" else _by_few(entry, few or {})
    odd = entry.get("unlike")
    return f"{text}, {said}; {doubt(odd, 'parts')}" if odd else f"{text}, {said}"


def _by_rank(entry: dict) -> str:
    # the share that a line lets through is Beta distributed: of 20 lines one lets more through
    parts = entry["pictures"]
    above = math.floor((parts + 1) * entry["false_alarms"] + 1e-9)
    worst = rate_interval(above - 1, parts, level=0.9)[1]
    return (
        f"by rank: at most {_percent(entry['false_alarms'])} of sound parts will be called anomalous "
        f"on average over such lines, at most {worst:.0%} with 19 lines of 20"
    )


def _by_few(entry: dict, few: dict) -> str:
    rate = entry["false_alarms"]
    text = (
        f"with the scatter of other products: about {_percent(rate)} of sound parts will be called"
    )
    if not few.get("parts"):
        return f"{text} anomalous; this was not measured on other products"
    measured = few.get("rate") or RATE
    elsewhere = f" a line for {_percent(measured)} called" if rate != measured else " it was"
    low, high = rate_interval(few["alarms"], few["parts"])
    met = (
        f"{few['alarms'] / few['parts']:.1%} of {few['parts']} "
        f"(95 % interval {low:.1%} to {high:.1%})"
    )
    unknown = ", other rates were not measured" if rate != measured else ""
    return (
        f"{text} anomalous; on validation products{elsewhere} {met}{unknown}; {needed(rate)} parts "
        "give a promise"
    )


def doubt(names: Sequence[str], of: str) -> str:
    """What to do about parts that are unlike the others."""
    if len(names) == 1:
        return f"{names[0]} is unlike the other {of}: look at it; leave it out if it is not sound"
    return (
        f"{listed(names)} are unlike the other {of}: look at each; leave it out if it is not sound"
    )


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g}%"
