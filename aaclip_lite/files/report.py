"""What evaluate gives: figures by class, group and kind of defect, intervals, baselines; as a table,
as JSON, as Markdown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from html import escape as written
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .curves import jsonable
from .escape import markdown as markdown_of
from .escape import terminal
from .figures import IMAGE_NAMES, PIXEL_NAMES
from .keep import table, write_json, write_text

NAMES = (*PIXEL_NAMES, *IMAGE_NAMES)
HEADS = ("pixel AUROC", "AP", "F1-max", "PRO", "inside", "peak hit", "image AUROC", "AP", "F1-max")


@dataclass(repr=False)
class Report:
    """Figures under their names in metrics.py. One without a value is NaN with a reason, null in
    JSON, - in tables.
    """

    mean: dict[str, float]  # plain mean over the classes that have the figure
    classes: dict[str, dict[str, float]]
    groups: dict[str, dict[str, float]]  # means over groups of classes, as the data set has them
    # by kind: pixels of its own pictures; its pictures against all normal ones
    defects: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]  # 95 %, by class and for "mean"
    baselines: dict[str, dict[str, float]]  # their means, and below, class by class
    baseline_classes: dict[str, dict[str, dict[str, float]]]
    # index in the data set, path, class_name, defect, label, score, its own pixel_ap and peak_hit
    pictures: list[dict]
    about: dict[str, str | int]

    def table(self, markdown: bool = False) -> str:
        """Classes, means with their interval, kinds of defect and baselines, one row each."""
        rows = {**self.classes, "MEAN": self.mean}
        for end, words in enumerate(("  95 % from", "  95 % to")):
            known = self.intervals["mean"]
            rows[words] = {name: known.get(name, (np.nan, np.nan))[end] for name in NAMES}
        rows |= self.groups
        rows |= {f"defect: {name}": row for name, row in self.defects.items()}
        rows |= {f"baseline: {name}": row for name, row in self.baselines.items()}
        cells = [["", *HEADS]]
        for name, row in rows.items():
            shown = markdown_of(name) if markdown else terminal(name)
            cells.append([shown, *(_shown(row[figure]) for figure in NAMES)])
        return table(cells, markdown)

    __repr__ = table

    def _repr_html_(self) -> str:
        """The same in three tables for a page, the best figure of each column in bold; on a phone
        each scrolls by itself.
        """
        rest = {"MEAN": self.mean}
        for end, words in enumerate(("95 % from", "95 % to")):
            rest[words] = {name: ends[end] for name, ends in self.intervals["mean"].items()}
        rest |= self.groups
        peers = {"what is judged": self.mean, **self.baselines}
        tables = (_html("product", self.classes, rest), _html("kind of defect", self.defects))
        return "".join((*tables, _html("beside simpler methods", peers)))

    def to_dict(self) -> dict:
        return jsonable(asdict(self))

    def save(self, path: str | Path) -> Path:
        """All of it as .json, or what was judged and the table as .md."""
        path = Path(path)
        if path.suffix == ".json":
            return write_json(path, self.to_dict())
        if path.suffix != ".md":
            raise ValueError(f"{path}: a report is saved as .json or .md")
        about = [
            f"- {key.replace('_', ' ')}: {markdown_of(value)}" for key, value in self.about.items()
        ]
        return write_text(path, "\n".join([*about, "", self.table(True), ""]))

    def extremes(self, count: int = 8) -> dict[str, list[dict]]:
        """Defective pictures with the best and worst maps (by their own pixel AP), normal ones that
        score highest. A raw score (not a detector's) is compared with its own product's only.
        """
        known = [row for row in self.pictures if row["pixel_ap"] is not None]
        known.sort(key=lambda row: -row["pixel_ap"])
        alarms = [row for row in self.pictures if not row["label"]]
        by_class = {}
        for row in alarms if self.about["judged"] != "detector" else []:
            by_class.setdefault(row["class_name"], []).append(row["score"])

        def height(row: Mapping) -> float:
            scores = by_class.get(row["class_name"], [0.0])
            return (row["score"] - np.mean(scores)) / (np.std(scores) or 1.0)

        alarms.sort(key=height, reverse=True)
        return {"best": known[:count], "worst": known[::-1][:count], "false alarms": alarms[:count]}


def _shown(figure: float) -> str:
    return "-" if np.isnan(figure) else f"{figure:.3f}"


def _html(head: str, rows: Mapping[str, Mapping], more: Mapping[str, Mapping] | None = None) -> str:
    """One table. The best of `rows` in each column is bold; `more` stands below, never bold."""
    if not rows:
        return ""
    best = {name: np.nanmax([row[name] for row in rows.values()] + [-1]) for name in NAMES}
    lines = []
    for label, row in {**rows, **(more or {})}.items():
        name = written(terminal(label.replace("_", " ")))
        cells = [f"<th style='position:sticky;left:0;text-align:left'>{name}</th>"]
        for figure in NAMES:
            value = row.get(figure, np.nan)
            bold = label in rows and value == best[figure]
            cells.append(
                f"<td><b>{_shown(value)}</b></td>" if bold else f"<td>{_shown(value)}</td>"
            )
        lines.append("".join(cells))
    heads = "".join(f"<th>{word}</th>" for word in (head, *HEADS))
    body = "".join(f"<tr>{line}</tr>" for line in (heads, *lines))
    return f"<div style='overflow-x:auto'><table style='font-size:85%'>{body}</table></div>"


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Figure by figure, over those classes that have it."""
    rows = list(rows)
    means = {}
    for name in NAMES:
        known = [row[name] for row in rows if not np.isnan(row[name])]
        means[name] = float(np.mean(known)) if known else rows[0][name]
    return means


def _interval(
    replicas: Float[np.ndarray, "rounds_and_1 9"], figures: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Where 95 % of the replicas lie; the offset that coarse bins give all of them is taken out."""
    intervals = {}
    for name, (coarse, *drawn) in zip(NAMES, replicas.T, strict=True):
        if not np.isnan(figures[name]) and not np.isnan(drawn).all():
            ends = np.nanquantile(drawn, (0.025, 0.975)) - coarse + figures[name]
            intervals[name] = tuple(ends.clip(0, 1).tolist())
    return intervals


def assemble(results: dict[str, dict], about: dict, group_of: Mapping[str, str]) -> Report:
    """{class: {source ("" for what is judged): its results}} -> Report"""
    judged = {name: result[""] for name, result in results.items()}
    classes = {name: result["figures"] for name, result in judged.items()}
    replicas = {name: result["replicas"] for name, result in judged.items()}
    mean = _mean(classes.values())
    together = np.ma.masked_invalid(np.stack(list(replicas.values()))).mean(0).filled(np.nan)
    intervals = {"mean": _interval(together, mean)}
    intervals |= {name: _interval(replicas[name], classes[name]) for name in classes}
    groups = defaultdict(list)
    defects = defaultdict(list)
    for name in classes:
        if name in group_of:
            groups[group_of[name]].append(classes[name])
        for kind, figures in judged[name]["kinds"].items():
            defects[kind].append(figures)
    baselines = defaultdict(dict)
    for name, result in results.items():
        for label in filter(None, result):
            baselines[label][name] = result[label]["figures"]
    return Report(
        mean=mean,
        classes=classes,
        groups={word: _mean(groups[word]) for word in sorted(groups)},
        defects={kind: _mean(defects[kind]) for kind in sorted(defects)},
        intervals=intervals,
        baselines={label: _mean(rows.values()) for label, rows in baselines.items()},
        baseline_classes=dict(baselines),
        pictures=[row for result in judged.values() for row in result["pictures"]],
        about=about,
    )
