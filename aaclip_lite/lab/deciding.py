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

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import decision, metrics, references, scoring
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files.keep import append_jsonl, read_jsonl, table, write_text
from ..model import Features
from .rules import Rules

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


def read(detector: AnomalyDetector, data: AnomalyDataset) -> tuple[Features, dict[str, np.ndarray]]:
    """Features of all pictures of one product, and what is known of them."""
    parts = []
    facts: dict[str, list] = {"mask": [], "inside": [], "label": []}
    for batch in data.batches(16):
        with torch.no_grad():
            parts.append(detector.features(batch["image"], batch["class_name"][0]))
        for name, values in facts.items():
            values.append(batch[name].numpy() if name in batch else None)
    levels = tuple(torch.cat(level) for level in zip(*(f.levels for f in parts), strict=True))
    detection = torch.cat([f.detection for f in parts])
    features = Features(levels, detection, torch.cat([f.patches for f in parts]))
    known = {
        name: np.concatenate(values) for name, values in facts.items() if values[0] is not None
    }
    known["severity"] = np.array([record.extra.get("severity", 0) for record in data.records])
    return features, known


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


def judge(
    detector: AnomalyDetector, name: str, features: Features, known: dict, size: Sequence[int]
) -> dict[str, float]:
    """The row of one product with what the detector remembers of it."""
    anchors = detector.anchor(name).detach().expand(len(features.detection), -1, -1)
    with torch.no_grad():
        maps, raw = detector.compare(features, anchors, size, detector.references.get(name))
    row = figures(maps, raw, known)
    defective = known["label"] == 1
    entry = detector.calibration.get(name)
    if entry and entry["threshold"] is not None:
        above = scoring.z_scores(raw, entry["score"]).numpy() > entry["threshold"]
        row["alarms"] = int(above[~defective].sum())
        row["met"] = row["alarms"] / row["sound"]
        row["caught"] = float(above[defective].mean())
    return row


def measure(
    folder: str, data: AnomalyDataset, numbers: Sequence[int], every: int = 1
) -> Iterator[dict]:
    """A line for each product and number of references; of the pictures every so many-th."""
    detector = AnomalyDetector.load(folder)
    for name in data.classes:
        part = data.filter(name)
        part = part.view(part.records[::every])
        features, known = read(detector, part)
        size = known["mask"].shape[-2:]
        for number in numbers:
            taught = detector
            if number:
                taught = detector.with_references(part.references(number))
            row = judge(taught, name, features, known, size)
            yield {"product": name, "references": number, "every": every} | row


@torch.no_grad()
def measure_rules(
    folder: str, data: AnomalyDataset, numbers: Sequence[int], every: int = 1
) -> Iterator[dict]:
    """The same lines for the rules; the hottest share of a map is a picture's score."""
    rules = Rules(AnomalyDetector.load(folder))
    for name in data.classes:
        part = data.filter(name)
        part = part.view(part.records[::every])
        (batch,) = part.batches(len(part))
        facts = {key: batch[key].numpy() for key in ("mask", "inside", "label")}
        facts["severity"] = np.array([record.extra.get("severity", 0) for record in part.records])
        for number in numbers:
            if number:
                (known,) = part.references(number).batches(number)
                maps_of = rules.with_references(batch, known["image"])
            else:
                maps_of = rules.without_references(batch)
            for rule, maps in maps_of:
                row = figures(maps, scoring.top_fraction(maps, scoring.HOTTEST[0]), facts)
                about = {"rule": rule, "product": name, "references": number, "every": every}
                yield about | row


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
        cells.append([shown, what, str(number), str(len(seeds))])
        for name in HEADS:
            means = [
                np.mean(
                    [r[name] for r in chosen if r["detector"] == seed and name in r] or [np.nan]
                )
                for seed in seeds
            ]
            spread = f" ± {np.std(means, ddof=1):.3f}" if len(means) > 1 else ""
            text = f"{np.mean(means):.3f}{spread}"
            if name == "met" and not np.isnan(means[0]):
                alarms = sum(r["alarms"] for r in chosen)
                low, high = decision.rate_interval(alarms, sum(r["sound"] for r in chosen))
                text += f" ({low:.3f} to {high:.3f})"
            cells[-1].append("-" if np.isnan(means).any() else text)
    return table(cells, markdown=True)


def tried(rows: list[dict]) -> str:
    """The table of what was compared before a choice was made."""
    cells = [["about", "tried", "references", *(HEADS[name] for name in TRIED)]]
    for row in rows:
        figures = [f"{row[name]:.3f}" if name in row else "-" for name in TRIED]
        cells.append([row["about"], row["tried"], str(row["references"]), *figures])
    return table(cells, markdown=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--detectors", nargs="*", default=["data/checkpoints/course"])
    parser.add_argument("--sets", nargs="*", default=["val", "test"])
    parser.add_argument("--references", nargs="*", type=int, default=[0, 1, 4, 16])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rules", action="store_true", help="judge what knows less instead")
    given = parser.parse_args()
    judged: Callable[..., Iterator[dict]] = measure_rules if given.rules else measure
    lines = OUT / "deciding.jsonl"
    for folder in given.detectors:
        for name in given.sets:
            data = open_dataset(f"factory/{name}", size=128)
            for row in judged(folder, data, given.references, given.every):
                append_jsonl(lines, [{"set": name, "detector": folder} | row])
    text = CARD.format(
        table=card(read_jsonl(lines)),
        notes=(OUT / "deciding_notes.md").read_text(encoding="utf-8"),
        tried=tried(read_jsonl(OUT / "deciding_tried.jsonl")),
        weight=references.WEIGHT,
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
    main()
