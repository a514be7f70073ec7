"""Trials of chapters 12 and 13: contestants by name and seed, beside the one that they must beat.

Special: changes are paired by seed, and their interval is drawn; an interval that holds zero decides
nothing. The rows are those that a study of the laboratory keeps under data/clinic/.
Use: `kept = rows("crossing")`, `print(trial_table(kept, "base, more steps"))`, `forest(kept, ...)`.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..files.environment import data_path
from ..files.keep import read_jsonl, table
from ..files.seeds import change, interval, spoken
from .style import LINES, new_figure

SHOWN = {
    "pixel_auroc": "pixel AUROC",
    "inside_auroc": "inside",
    "peak_hit": "peak hit",
    "image_auroc": "picture AUROC",
}


def rows(study: str) -> list[dict]:
    return read_jsonl(data_path("clinic") / f"{study}.jsonl")


def named(kept: Sequence[dict]) -> dict[str, list[dict]]:
    """The rows of each contestant, in the order in which they first came."""
    by_name: dict[str, list[dict]] = {}
    for row in kept:
        by_name.setdefault(row["name"], []).append(row)
    return by_name


def trial_table(kept: Sequence[dict], rival: str) -> str:
    """Figures of every contestant, and the change of one against the rival, with its interval."""
    contestants = named(kept)
    changed = f"change of {SHOWN['pixel_auroc']}"
    lines = [["contestant", "seeds", *SHOWN.values(), changed, "weights", "cpu s"]]
    for name, mine in contestants.items():
        spans = [spoken(interval([row[each] for row in mine])) for each in SHOWN]
        against = change(mine, contestants[rival], "pixel_auroc")
        moved = "" if name == rival else spoken(against, "+")
        seconds = sum(row["seconds"] for row in mine) / len(mine)
        ends = [moved, f"{mine[0]['weights']:,}", f"{seconds:.0f}"]
        lines.append([name, str(len(mine)), *spans, *ends])
    return table(lines)


def forest(kept: Sequence[dict], rival: str) -> Figure:
    """The change of each contestant against the rival, mean and 95 % interval over the seeds."""
    contestants = named(kept)
    others = [name for name in contestants if name != rival]
    drawn, axes = new_figure(1, 2, 10.8, 0.34 * len(others) + 1.4, sharey=True)
    for ax, figure in zip(axes[0], ("pixel_auroc", "image_auroc"), strict=True):
        spans = [change(contestants[name], contestants[rival], figure) for name in others]
        changes(ax, spans, others)
        ax.set_xlabel(f"change of {SHOWN[figure]}")
    drawn.suptitle(f"Against {rival!r}: filled, the interval leaves zero out", fontsize=10)
    return drawn


def changes(ax: Axes, spans: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """From the top down (mean, half its interval) of each change, filled where zero lies outside."""
    for place, (middle, half) in enumerate(spans):
        reach = half if half == half else 0.0  # one seed has no interval
        decided = abs(middle) > half
        style = {"capsize": 3, "color": LINES[0][0]}
        style["markerfacecolor"] = LINES[0][0] if decided else "white"
        ax.errorbar(middle, place, xerr=reach, fmt="D" if decided else "o", **style)
    ax.axvline(0, color="black", linewidth=1)
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    ax.grid(axis="x", alpha=0.3)
