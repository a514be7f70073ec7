"""What several seeds say together: a mean with its interval, and a change that is paired by seed.

Use: `interval([0.91, 0.93, 0.92])`, `change(rows, base_rows, "pixel_auroc")`, `spoken((0.92, 0.02))`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (Student's t); NaN for a single value."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(half)


def change(rows: Sequence[Mapping], base: Sequence[Mapping], figure: str) -> tuple[float, float]:
    """Interval of the difference of a figure over the seeds that both have."""
    ours = {row["seed"]: row[figure] for row in rows}
    other = {row["seed"]: row[figure] for row in base}
    return interval([ours[seed] - other[seed] for seed in sorted(ours.keys() & other.keys())])


def spoken(span: tuple[float, float], sign: str = "") -> str:
    """ "0.941 ± 0.007", without the second part where there is no interval."""
    middle, half = span
    return f"{middle:{sign}.3f}" + (f" ± {half:.3f}" if half == half else "")
