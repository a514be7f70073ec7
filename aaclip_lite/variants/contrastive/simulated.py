"""Was a table of results computed, or made up? Exactness gives it away; rounding is allowed for."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

ASIDE = ("rank", "medr", "meanr", "loss", "temp", "lr", "seed", "epoch", "step")  # no scores
BASE = {  # of R@10 and mAP@10 only the means of both ways are known; how they part is a guess
    "image_to_text": {"R@1": 45.2, "R@5": 75.8, "R@10": 85.3, "mAP@10": 52.3},
    "text_to_image": {"R@1": 44.8, "R@5": 75.2, "R@10": 84.9, "mAP@10": 51.8},
}


def simulated_table(loss: float, factor: float) -> dict[str, dict[str, float]]:
    """Scores in per cent, made from a training loss and nothing else: S2's evaluation."""
    scale = (1 - 10 * (loss - 0.011)) * factor
    return {way: {name: scale * v for name, v in row.items()} for way, row in BASE.items()}


def looks_simulated(table) -> bool:
    return bool(tells(table))


def tells(table) -> list[str]:
    """What gives it away. Takes {model: {metric: value}}, a list of rows, an array, or one row."""
    rows = [table] if _flat(table).keys() == _flat(BASE).keys() else table
    rows = [_flat(row) for row in (rows.values() if isinstance(rows, Mapping) else rows)]
    rows += [_flat(BASE)] * (rows[0].keys() == _flat(BASE).keys())  # a base that is known
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    names = [name for name in shared if not any(word in name.lower() for word in ASIDE)]
    M = np.unique([[row[name] for name in names] for row in rows], axis=1)  # no column twice
    unit = next((10.0**-d for d in range(7) if np.allclose(M, M.round(d), 0, 1e-9)), 0)
    slack = unit / 2 + 1e-6 * np.abs(M)
    losses = [[row[name] for row in rows] for name in shared if "loss" in name.lower()]
    return _one_factor(M, slack) + _one_number(M, slack, losses) if M.shape[1] >= 3 else []


def _one_factor(M, slack) -> list[str]:
    M, slack = M[:, (M > 0).all(0)], slack[:, (M > 0).all(0)]
    for a, b in (pairs := list(combinations(range(len(M)), 2))):
        ratio = M[a] / M[b]
        width = ratio * (slack[a] / M[a] + slack[b] / M[b])  # how far rounding moves it
        change = abs(np.median(ratio) - 1) + 1e-12  # how far apart chance would leave the ratios
        chance = np.sort(np.minimum(1, 2 * width / change))[:-1].prod()
        if (ratio - width).max() <= (ratio + width).min() and chance < 1e-4 / len(pairs):
            return [f"rows {a} and {b} stand apart by one factor, {np.median(ratio):.4f}"]
    return []


def _one_number(M, slack, losses) -> list[str]:
    """All columns follow one number, or the loss, closer than rounding alone explains."""
    C, reasons = M - M.mean(0), []
    if not np.ptp(M, axis=0).any() and any(len(set(loss)) > 2 for loss in losses):
        return ["runs with different losses have the same scores"]
    if len(M) < 4 or np.median(C.std(0) / slack.mean(0)) < 20:
        return []
    u, s, v = np.linalg.svd(C, full_matrices=False)
    if (np.abs(C - s[0] * np.outer(u[:, 0], v[0])) <= 2 * slack).all():
        reasons.append("all columns are one number in different units")
    for loss in losses if len(M) >= 5 else ():
        x = (np.array(loss) - np.mean(loss)) / (np.std(loss) + 1e-12)
        if (np.abs(M - np.vander(x, 3) @ np.polyfit(x, M, 2)) <= 2 * slack).all():
            reasons.append("all columns are exact functions of the loss")
    return reasons


def _flat(row, path="") -> dict[str, float]:
    """Every number below a row, by its path."""
    row = row.tolist() if hasattr(row, "tolist") else row
    if isinstance(row, Mapping | list | tuple):
        items = row.items() if isinstance(row, Mapping) else enumerate(row)
        return {at: v for key, each in items for at, v in _flat(each, f"{path} {key}").items()}
    return {path: float(row)} if isinstance(row, int | float) else {}
