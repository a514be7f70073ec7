"""How well a detector decides at stations, with 0, 1, 4 and 16 references of each product.

Special: a picture is read once and judged with every number of references. "Found at 5 %" is the
share of defective parts above the line that 5 % of the product's own sound test parts exceed, which
compares scores; "met" and "found" with the detector's own line are what a user gets, who has the
references and nothing else. Figures are kept line by line; the card is made from them.

Rules that know less are judged by the same ruler, with the same references, under --rules.

    python -m aaclip_lite.lab.deciding --detectors data/checkpoints/course --sets val test
    python -m aaclip_lite.lab.deciding --detectors data/checkpoints/course --sets test --rules
    python -m aaclip_lite.lab.deciding --sets                    # the card from what was measured
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from .. import decision, metrics, scoring
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files.keep import append_jsonl, read_jsonl, write_text
from ..model import Features
from ..references import WEIGHT
from .rules import Rules
from .study import table

OUT = Path("data/checkpoints")
HEADS = {
    "pixel": "pixel AUROC",
    "ap": "AP",
    "inside": "inside",
    "peak": "peak",
    "image": "image AUROC",
    "found": "found at 5 %",
    "severe": "severe",
    "met": "own line: false alarms",
    "caught": "own line: found",
}
TRIED = ("image", "found", "severe", "pixel", "inside", "peak")


def share_above(
    scores: Float[np.ndarray, " n"], sound: Bool[np.ndarray, " n"], chosen: Bool[np.ndarray, " n"]
) -> float:
    """Share of the chosen parts above the line that 5 % of the sound ones exceed."""
    line = np.quantile(scores[sound], 0.95, method="higher")
    return float((scores[chosen] > line).mean())


def figures(
    maps: Float[Tensor, "n H W"], raw: Float[Tensor, " n"], known: dict
) -> dict[str, float]:
    """What maps and scores of one product's pictures are worth."""
    histogram = metrics.PixelHistogram().update(maps, known["mask"], known.get("inside"))
    pixels = histogram.result()
    scores = raw.double().numpy()
    defective = known["label"] == 1
    severe = defective & (known["severity"] == 2)
    return {
        "pixel": pixels["pixel_auroc"],
        "ap": pixels["pixel_ap"],
        "inside": pixels["inside_auroc"],
        "peak": pixels["peak_hit"],
        "image": metrics.image_metrics(scores, known["label"])["image_auroc"],
        "found": share_above(scores, ~defective, defective),
        "severe": share_above(scores, ~defective, severe),
        "sound": int((~defective).sum()),
    }


# what it says of itself, maps and scores of one product's pictures, which of them lie above its line
Judged = Iterator[tuple[dict, Float[Tensor, "n H W"], Float[Tensor, " n"], np.ndarray | None]]


def detector_on(detector: AnomalyDetector, name: str, batch: dict) -> Callable[..., Judged]:
    """A judge of one product's pictures, which it has read once, with these references or none."""
    parts = [detector.features(some, name) for some in batch["image"].split(16)]
    levels = tuple(torch.cat(level) for level in zip(*(f.levels for f in parts), strict=True))
    detection = torch.cat([f.detection for f in parts])
    features = Features(levels, detection, torch.cat([f.patches for f in parts]))

    def judge(known: AnomalyDataset | None) -> Judged:
        taught = detector if known is None else detector.with_references(known)
        anchors = taught.anchor(name).expand(len(detection), -1, -1)
        size = batch["image"].shape[-2:]
        maps, raw = taught.compare(features, anchors, size, taught.references.get(name))
        entry = taught.calibration.get(name)
        above = None
        if entry and entry["threshold"] is not None:
            above = scoring.z_scores(raw, entry["score"]).numpy() > entry["threshold"]
        yield {}, maps, raw, above

    return judge


def rules_on(rules: Rules, name: str, batch: dict) -> Callable[..., Judged]:
    """The same of what knows less; the hottest share of a map is a picture's score."""

    def judge(known: AnomalyDataset | None) -> Judged:
        sound = None if known is None else next(known.batches(len(known)))["image"]
        for rule, maps in rules.maps(batch, sound):
            yield {"rule": rule}, maps, scoring.top_fraction(maps, scoring.HOTTEST[0]), None

    return judge


@torch.no_grad()
def measure(
    look: Callable[[str, dict], Callable[..., Judged]],
    data: AnomalyDataset,
    numbers: tuple[int, ...],
    every: int = 1,
) -> Iterator[dict]:
    """A line for each product and number of references; of the pictures every so many-th."""
    for name in data.classes:
        part = data.filter(name)
        part = part.view(part.records[::every])
        (batch,) = part.batches(len(part))
        facts = {key: batch[key].numpy() for key in ("mask", "inside", "label")}
        facts["severity"] = np.array([record.extra.get("severity", 0) for record in part.records])
        defective = facts["label"] == 1
        judge = look(name, batch)
        for number in numbers:
            for said, maps, scores, above in judge(part.references(number) if number else None):
                row = said | {"product": name, "references": number, "every": every}
                row |= figures(maps, scores, facts)
                if above is not None:
                    row["alarms"] = int(above[~defective].sum())
                    row["met"] = row["alarms"] / row["sound"]
                    row["caught"] = float(above[defective].mean())
                yield row


def card(rows: list[dict]) -> str:
    """The table: means over products, then over detectors (seeds), with their spread."""
    cells = [["set", "what", "references", "seeds", *HEADS.values()]]
    parts: dict[tuple, list[dict]] = {}
    for row in rows:
        key = (row["set"], row["every"], row.get("rule", "**detector**"), row["references"])
        parts.setdefault(key, []).append(row)
    for (shown, every, what, number), chosen in parts.items():
        seeds = dict.fromkeys(row["detector"] for row in chosen)
        shown += f", 1 in {every}" if every > 1 else ""
        cells.append([shown, what, number, len(seeds)])
        for name in HEADS:
            means = [
                np.mean([r.get(name, np.nan) for r in chosen if r["detector"] == seed])
                for seed in seeds
            ]
            spread = f" ± {np.std(means, ddof=1):.3f}" if len(means) > 1 else ""
            text = f"{np.mean(means):.3f}{spread}"
            if name == "met" and not np.isnan(means[0]):
                alarms = sum(r["alarms"] for r in chosen)
                low, high = decision.rate_interval(alarms, sum(r["sound"] for r in chosen))
                text += f" ({low:.3f} to {high:.3f})"
            cells[-1].append("-" if np.isnan(means).any() else text)
    return table(cells)


def tried(rows: list[dict]) -> str:
    """The table of what was compared before a choice was made."""
    cells = [["about", "tried", "references", *(HEADS[name] for name in TRIED)]]
    for row in rows:
        figures = [row.get(name, "-") for name in TRIED]
        cells.append([row["about"], row["tried"], row["references"], *figures])
    return table(cells)


def main(
    detectors: tuple[str, ...] = ("data/checkpoints/course",),
    sets: tuple[str, ...] = ("val", "test"),
    references: tuple[int, ...] = (0, 1, 4, 16),
    every: int = 1,
    rules: bool = False,
) -> None:
    """How well a detector decides at stations.

    Args:
        rules: judge what knows less instead
    """
    lines = OUT / "deciding.jsonl"
    for folder in detectors:
        detector = AnomalyDetector.load(folder)
        look = partial(rules_on, Rules(detector)) if rules else partial(detector_on, detector)
        for name in sets:
            data = open_dataset(f"factory/{name}", size=128)
            for row in measure(look, data, references, every):
                append_jsonl(lines, [{"set": name, "detector": folder} | row])
    text = CARD.format(
        table=card(read_jsonl(lines)),
        notes=(OUT / "deciding_notes.md").read_text(encoding="utf-8"),
        tried=tried(read_jsonl(OUT / "deciding_tried.jsonl")),
        weight=WEIGHT,
        trust=decision.TRUST,
    )
    print(write_text(OUT / "deciding.md", text))


CARD = """# How well the shipped detector decides

Made by `python -m aaclip_lite.lab.deciding` from `deciding.jsonl`. Means over the products, then over
the seeds, ± their standard deviation. **found at 5 %**: share of defective parts above the line that
5 % of the product's own sound test parts exceed. **own line**: the line that the detector draws from
the references alone (five or more): mean and {trust} parts' worth of trust in the scatter of
validation products; in brackets the 95 % interval of the rate of false alarms (Clopper and Pearson).
A step of distance to the nearest reference patch counts as {weight:g} of the words' cosine difference.

{table}

{notes}
{tried}
"""

if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.FlagCreatePairsOff,))
