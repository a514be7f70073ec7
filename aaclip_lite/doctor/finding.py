"""A finding: one verdict, its reasons, and every number beside its null value and its error.

Special: a kind of finding has a fixed list of verdicts, gravest first, the healthy one last.
Use: `print(finding)`, `finding.table()`, `finding.to_dict()` for JSON.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

VERDICTS = {  # gravest first; the last is the healthy one
    "checkpoint": "broken, wrong backbone, wrong variant, wrong recipe, untrained, unknown, "
    "inconsistent, partial, short, trained",
    "log": "unreadable, not finite, out of order, doubled, gaps, stopped, at null, learned",
    "dataset": "one label, swapped masks, broken files, leak, copies, odd masks, unbalanced, sound",
    "parts": "unreadable, copies, sound",
    "detector": "broken, half, whole",
    "losses": "not finite, one label, detached, dominated, at null, balanced",
    "gradients": "detached, frozen, exploding, cut off, vanishing, flowing",
    "anchors": "collapsed, saturated, untrained, apart",
    "scales": "constant, scale mismatch, alike",
}
Reasons = dict[str, list[str]]  # what is wrong: the reasons of each verdict


@dataclass(repr=False)
class Finding:
    """verdict: the gravest of what was found; reasons: all of it; rows: the numbers; samples: a
    data set's pictures.
    """

    kind: str  # which of VERDICTS
    subject: str
    verdict: str
    healthy: bool
    reasons: list[str]
    rows: list[dict]
    samples: list = field(default_factory=list)

    def table(self) -> str:
        """The rows as aligned text; "-" is a number that does not exist or is not known."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        cells = [names, *([shown(row.get(name)) for name in names] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)

    def to_dict(self) -> dict:
        """For JSON, which has no infinite numbers: they become text."""
        rows = [
            {k: str(v) if v in (math.inf, -math.inf) or v != v else v for k, v in r.items()}
            for r in self.rows
        ]
        told = {name: value for name, value in vars(self).items() if name != "samples"}
        return told | {"rows": rows}

    def __repr__(self) -> str:
        return "\n".join(
            [f"{self.subject}: {self.verdict}", *(f"- {r}" for r in self.reasons), self.table()]
        )


def conclude(kind: str, subject, reasons: Reasons, rows=(), notes=(), samples=()) -> Finding:
    """notes: what is said in any case."""
    order = VERDICTS[kind].split(", ")
    wrong = [verdict for verdict in sorted(reasons, key=order.index) if reasons[verdict]]
    told = [*(reason for verdict in wrong for reason in reasons[verdict]), *filter(None, notes)]
    verdict = [*wrong, order[-1]][0]
    return Finding(kind, str(subject), verdict, not wrong, told, list(rows), list(samples))


def shown(value) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def mean_and_error(values) -> tuple[float | None, float | None]:
    """(mean, its standard error); None where there are too few values."""
    values = torch.as_tensor(values).detach().double().flatten()
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None
    return float(values.mean()) if len(values) else None, error


def by_module(items) -> dict[str, list]:
    """(weight's name, value) pairs, gathered under the adapter or projection that the weight
    belongs to.
    """
    modules = defaultdict(list)
    for name, value in items:
        modules[name.split(".fc.")[0]].append(value)
    return modules


def flat(weights: Iterable[Tensor | None]) -> Tensor:
    """One row of all numbers, empty if there are none."""
    return torch.cat(
        [torch.zeros(0), *(g.detach().flatten().double().cpu() for g in weights if g is not None)]
    )
