"""Tables of results for the tests: 200 that come out of ranked similarities, 200 that are made up."""

import numpy as np

NAMES = ("R@1", "R@5", "R@10", "mAP@10")
DECIMALS = (None, 4, 3, 2, 1)  # of a percentage


def scores(similarity: np.ndarray) -> list[float]:
    """Per cent; written down plainly, one true column a row."""
    place = 1 + (similarity > similarity.diagonal()[:, None]).sum(1)
    recalls = [100 * float((place <= k).mean()) for k in (1, 5, 10)]
    return [*recalls, 100 * float(np.where(place <= 10, 1 / place, 0).mean())]


def realistic(seed: int) -> dict[str, dict[str, float]]:
    """Some models, or seeds of one, that share the pictures: skill, shared and own noise."""
    rng = np.random.default_rng([1, seed])
    size, rows = int(rng.choice([50, 100, 200, 300])), int(rng.integers(2, 8))
    shared, skill = rng.normal(size=(size, size)), rng.uniform(1, 4)
    spread, decimals = rng.choice([0, 0.05, 0.5]), DECIMALS[rng.integers(len(DECIMALS))]
    share = rng.choice([1.0, 0.01])
    table = {}
    for row in range(rows):
        own = 0.3 * rng.normal(size=(size, size))
        S = shared + own + (skill + spread * rng.normal()) * np.eye(size)
        figures = dict(zip([f"i2t {n}" for n in NAMES], scores(S), strict=True))
        figures |= dict(zip([f"t2i {n}" for n in NAMES], scores(S.T), strict=True))
        table[f"model {row}"] = written(figures, decimals, share) | {"loss": rng.uniform(0.01, 0.3)}
    return table


def written(figures: dict[str, float], decimals: int | None, share: float) -> dict[str, float]:
    if decimals is None:
        return {name: value * share for name, value in figures.items()}
    places = decimals + (2 if share < 1 else 0)
    return {name: round(value * share, places) for name, value in figures.items()}


def made_up(seed: int) -> dict[str, dict[str, float]]:
    """A base row and what a script makes of it from the loss: one factor for all scores, a slope
    for each score, or a curve for each.
    """
    rng = np.random.default_rng([2, seed])
    way = ("factor", "slopes", "curves")[rng.integers(3)]
    rows = int(rng.integers({"factor": 2, "slopes": 4, "curves": 6}[way], 9))
    base = np.sort(rng.uniform(20, 90, 2 * len(NAMES)))
    slopes, bends = rng.uniform(2, 12, len(base)), rng.uniform(-80, 80, len(base))
    decimals, share = DECIMALS[rng.integers(4)], rng.choice([1.0, 0.01])
    table = {}
    for row in range(rows):
        loss = rng.uniform(0.01, 0.03)
        if way == "factor":
            values = base * (1 - rng.uniform(1, 10) * (loss - 0.011)) * rng.uniform(0.9, 1.08)
        else:
            values = base * (1 - slopes * (loss - 0.011) + (way == "curves") * bends * loss**2)
        names = [f"{way} {name}" for way in ("i2t", "t2i") for name in NAMES]
        figures = dict(zip(names, values.tolist(), strict=True))
        table[f"model {row}"] = written(figures, decimals, share) | {"loss": loss}
    return table
