"""Curves, bars and anchors: what training, evaluation and the doctor measured, drawn."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ..evaluation import NAMES, Report
from ..files.keep import read_jsonl
from .style import LINES, WORDS, as_array, name_points, new_axes, new_figure


def curves(
    rows, names: Sequence[str] | None = None, x: str = "step", title: str = "Training"
) -> Figure:
    """One small plot a column: thin each row, thick the running mean; a learning rate as it is.

    rows: a History, its rows, a .jsonl log (of training or of pretraining), or {label: one of
    these} to compare runs.
    """
    named = rows if isinstance(rows, Mapping) else {"": rows}
    runs = {label: _rows_of(run) for label, run in named.items()}
    # a later row may have more columns
    known = {k: v for run in runs.values() for row in run for k, v in row.items()}
    if not known:
        raise ValueError("no rows to draw: the run has not taken a step yet")
    plain = (
        k
        for k, v in known.items()
        if isinstance(v, int | float) and k not in _CLOCKS and "/" not in k and k != x
    )
    names = list(names or sorted(plain, key="lr".__eq__))
    if unknown := [name for name in (x, *names) if name not in known]:
        raise ValueError(f"no column {', '.join(unknown)}; there are: {', '.join(known)}")
    columns, lines = min(len(names), 4), math.ceil(len(names) / 4)
    figure, axes = new_figure(lines, columns, 3.1 * columns, 2.3 * lines + 0.4)
    for ax, name in zip(axes.flat, names, strict=False):
        for (label, run), (colour, dash, _) in zip(runs.items(), LINES * len(runs), strict=False):
            at, values = (np.array([row.get(key) for row in run], float) for key in (x, name))
            steps = name == "lr"  # stairs are stairs: a running mean would make ramps of them
            width = 1 if steps else max(1, len(values) // 20)
            smooth = np.convolve(
                np.pad(values, (width - 1, 0), "edge"), np.ones(width) / width, "valid"
            )
            style = {"color": colour, "drawstyle": "steps-post" if steps else "default"}
            ax.plot(at, values, alpha=0.3, linewidth=0.8, **style)
            ax.plot(at, smooth, dash, linewidth=1.8, label=label, **style)
        ax.set_title(name.replace("_", " "), fontsize=9)
        ax.set_xlabel(x)
        ax.set_ylabel(_AXES.get(name, "loss"))
        ax.grid(alpha=0.25)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    if len(runs) > 1:
        axes.flat[0].legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    return figure


def _rows_of(run) -> list[dict]:
    return read_jsonl(run) if isinstance(run, str | Path) else list(getattr(run, "rows", run))


def class_bars(
    report: Report, figure_name: str = "pixel_auroc", baselines: Sequence[str] | None = None
) -> Figure:
    """A figure of every class with its 95 % interval, the mean, and what baselines reach on the
    same class.
    """
    if figure_name not in NAMES:
        raise ValueError(f"no figure {figure_name!r}; there are: {', '.join(NAMES)}")
    if unknown := sorted(set(baselines or ()) - report.baseline_classes.keys()):
        raise ValueError(
            f"no baseline {', '.join(unknown)}; the report has: "
            f"{', '.join(report.baseline_classes)}"
        )
    means = {
        label: row[figure_name]
        for label, row in report.baselines.items()
        if not math.isnan(row[figure_name])
    }
    chosen = sorted(means, key=means.get)[-2:] if baselines is None else baselines
    classes = sorted(
        report.classes, key=lambda name: np.nan_to_num(report.classes[name][figure_name], nan=-1)
    )
    place = np.arange(len(classes))
    figure, ax = new_axes(7, 0.3 * len(classes) + 1.6, xlim=(0, 1), xlabel=WORDS[figure_name])
    values = [report.classes[name][figure_name] for name in classes]
    ax.barh(place, values, color="#9ec5e0", label="this model", height=0.7)
    for y, name in zip(place, classes, strict=True):
        ends = report.intervals[name].get(figure_name, (np.nan,) * 2)
        ax.plot(ends, (y, y), color="#0b3d63", linewidth=1.6)
    for label, (colour, _, marker) in zip(chosen, LINES[1:] * 9, strict=False):
        values = [report.baseline_classes[label][name][figure_name] for name in classes]
        ax.plot(values, place, marker, color=colour, markersize=5, label=label.replace("_", " "))
    mean = report.mean[figure_name]
    ax.axvline(mean, color="#0b3d63", linestyle="--", linewidth=1, label=f"mean {mean:.3f}")
    if figure_name in ("pixel_auroc", "inside_auroc", "image_auroc"):
        ax.axvline(0.5, color="black", linestyle=":", linewidth=1, label="guessing")
    ax.set_yticks(place, [name.replace("_", " ") for name in classes], parse_math=False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_title(f"{WORDS[figure_name]} by class (line: 95 % interval)", fontsize=10)
    return figure


def anchors(
    stages: Mapping[str, Mapping[str, Tensor]], title: str = "Where the words lie"
) -> Figure:
    """{"before": {class: (d, 2)}, "after": ...} -> normal and abnormal anchors, all on the same two
    main axes.
    """
    points = {
        label: np.stack([as_array(a).T for a in stage.values()]) for label, stage in stages.items()
    }
    flat = np.concatenate([p.reshape(-1, p.shape[-1]) for p in points.values()])
    centre, axes_of = flat.mean(0), np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:2]
    figure, axes = new_figure(1, len(points), 4.4 * len(points), 4.4, sharex=True, sharey=True)
    for ax, (label, each) in zip(axes[0], points.items(), strict=True):
        flat_points = (each - centre) @ axes_of.T
        for normal, abnormal in flat_points:
            ax.plot(*np.stack([normal, abnormal]).T, color="#888888", linewidth=0.7)
        for side, (colour, _, marker), word in ((0, LINES[0], "normal"), (1, LINES[1], "abnormal")):
            style = {"color": colour, "linestyle": "", "markersize": 7, "label": word}
            ax.plot(*flat_points[:, side].T, marker, **style)
        name_points(ax, list(stages[label]), flat_points[:, 0], size=7)
        cosine = (each[:, 0] * each[:, 1]).sum(-1).mean()
        ax.set(xlabel="first main axis", ylabel="second main axis")
        ax.set_title(f"{label}: mean cosine {cosine:.2f}")
        ax.margins(0.12)
        ax.grid(alpha=0.25)
    axes[0, 0].legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    return figure


def ratios(result: Mapping) -> Figure:
    """What `bench` measured: how many times the plain way's CPU time and memory the package's fit
    into.
    """
    rows = [
        (f"{case}, bf16" if way == "bf16" else case, rows["plain"], row)
        for case, rows in result["cases"].items()
        for way, row in rows.items()
        if way != "plain"
    ]
    figure, axes = new_figure(1, 2, 9, 0.32 * len(rows) + 1)
    for ax, key, words in zip(
        axes.flat, ("cpu", "peak_mb"), ("CPU time", "peak memory"), strict=True
    ):
        values = []
        for _, base, row in rows:  # memory that there was no time to measure has no bar
            values.append(base[key] / row[key] if base[key] and row[key] else math.nan)
        bars = ax.barh([name for name, *_ in rows], values, color=LINES[0][0], height=0.65)
        texts = ["" if math.isnan(value) else f" {value:.3g}" for value in values]
        ax.bar_label(bars, texts, fontsize=8)
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set_xscale("log")
        ends = [value for value in values if not math.isnan(value)] or [1]
        ax.set_xlim(min(0.8, 0.9 * min(ends)), 2 * max(ends))
        ax.set_xlabel(f"{words} of the plain way / the package's")
        ax.grid(axis="x", alpha=0.25)
        ax.invert_yaxis()
    axes.flat[1].set_yticklabels([])
    figure.suptitle(f"{result['model']}, {result['machine']}, {result['date']}", fontsize=11)
    return figure


def growth(result: Mapping) -> Figure:
    """How cost grows, as `bench --what growth` measured it: a panel for each thing that grows."""
    panels = result["growth"]
    figure, axes = new_figure(1, len(panels), 2.7 * len(panels), 2.7)
    for ax, (what, row) in zip(axes.flat, panels.items(), strict=True):
        curves = {name: values for name, values in row.items() if name != "x"}
        for (name, values), (colour, dash, mark) in zip(curves.items(), LINES, strict=False):
            ax.plot(row["x"], values, dash, color=colour, marker=mark, markersize=4, label=name)
        ax.set_ylim(0, 1.35 * max(map(max, curves.values())))
        ax.set_xlabel(what)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=7, loc="upper left")
    figure.suptitle(
        f"12 blocks of width 384, {result['machine']}, one thread, {result['date']}", fontsize=10
    )
    return figure


def finding(diagnosis, title: str | None = None) -> Figure:
    """A doctor's finding: a line a row, each value as a dot (with two errors to each side) beside
    its null values.

    The pictures that doctor.dataset looked at are in `diagnosis.samples`; `sheet` draws them.
    """
    if diagnosis.kind not in _PANELS:
        raise ValueError(
            f"a finding of kind {diagnosis.kind!r} cannot be drawn; known are {', '.join(_PANELS)}"
        )
    labels = []
    for row in diagnosis.rows:
        words = " ".join(v for v in list(row.values())[:2] if isinstance(v, str))
        labels.append(words.replace("image_adapter.", "").replace("text_adapter.", "text "))
    panels = [
        p for p in _PANELS[diagnosis.kind] if np.isfinite(_numbers(diagnosis.rows, p[0])).any()
    ]
    if not panels:
        raise ValueError(
            f"{diagnosis.subject}: no number to draw ({diagnosis.verdict}: {'; '.join(diagnosis.reasons)})"
        )
    figure, axes = new_figure(
        1, len(panels), 1.5 + 4 * len(panels), 0.24 * len(labels) + 2.2, sharey=True
    )
    place = np.arange(len(labels))[::-1]
    for ax, (name, nulls, error, scale) in zip(axes[0], panels, strict=True):
        for null, colour, marker in zip(nulls, ("#555555", "#999999"), "Ds", strict=False):
            style = {"color": colour, "markerfacecolor": "none", "markersize": 7, "label": null}
            ax.plot(_numbers(diagnosis.rows, null), place, marker, **style)
        spread = 2 * np.nan_to_num(_numbers(diagnosis.rows, error))
        style = {"fmt": "o", "color": LINES[0][0], "markersize": 4, "capsize": 2}
        ax.errorbar(_numbers(diagnosis.rows, name), place, xerr=spread, label=name, **style)
        ax.set_xscale("symlog", linthresh=1e-9) if scale == "log" else None
        ax.set(xlabel=name + (", bars: two errors" if spread.any() else ""), yticks=place)
        ax.set_yticklabels(labels, fontsize=9)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    why = diagnosis.reasons[0] if diagnosis.reasons else ""
    figure.suptitle(
        f"{title or diagnosis.subject}: {diagnosis.verdict}" + (f"\n{why[:110]}" if why else ""),
        fontsize=10,
    )
    return figure


def _numbers(rows: Sequence[Mapping], name: str | None) -> np.ndarray:
    """A column, with NaN where a row has no finite number in it."""
    values = [row.get(name) for row in rows]
    plain = [value if isinstance(value, int | float) else math.nan for value in values]
    return np.where(np.isfinite(plain), plain, math.nan)


_PANELS = {  # kind of finding: (value, its null values, its error, scale) of each panel
    "checkpoint": (("mean |w|", ("null",), "±", ""), ("moved", ("reach",), "moved ±", "")),
    "log": (("last", ("all normal", "coin toss"), "±", ""),),
    "dataset": (("balance", ("even",), "±", ""), ("mask share", ("inverted",), "mask ±", "")),
    "parts": (("pictures", ("looked at",), None, ""),),
    "detector": (("line", (), None, ""), ("sound parts", (), None, "")),
    "losses": (("value", ("undecided", "all normal"), "±", ""), ("share", ("even",), None, "")),
    "gradients": (("a weight", ("epsilon",), None, "log"),),
    "anchors": (
        ("cosine", ("frozen cosine",), None, ""),
        ("reach", ("frozen reach", "random"), None, ""),
    ),
    "scales": (("b / a", ("equal",), "±", ""), ("std", (), None, "log")),
}
_AXES = {  # what a column counts, where it is no loss
    "lr": "learning rate",
    "cosine": "cosine of the anchors",
    "gradient": "length of the gradient",
}
_CLOCKS = ("step", "epoch", "seconds", "seen", "drawn")  # columns that only count
