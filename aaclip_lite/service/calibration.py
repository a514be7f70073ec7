"""What a detector learns from several products at once: the scale of products it has nothing of,
and how well a line from five sound parts keeps its promise. One product: sound_parts.py beside this.

Use: `detector.calibrate(open_dataset("factory/val"))`, which calls `calibrate` here.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import decision, scoring
from ..datasets import AnomalyDataset
from ..detector import AnomalyDetector
from .sound_parts import Measured

Scores = dict[str, Float[Tensor, " n"]]  # of each product's sound parts


def calibrate(detector: AnomalyDetector, data: AnomalyDataset, false_alarms: float) -> dict:
    """Constants and line of products without their own, and what lines from few parts met here."""
    sound = data.filter(labels=0) if 0 in {r.label for r in data.records} else data.view(())
    if not len(sound):
        raise ValueError(f"calibrate needs normal pictures, and there are none in {data!r}")
    everyone = Measured()
    scores = _scores(detector, sound, everyone)
    entry = everyone.entry(None, false_alarms)
    few = {"words": {"spread": middle(scores)}}
    try:
        references = sound.references(decision.FEWEST)
    except ValueError:  # the set keeps no sound parts apart
        return entry | {"few": few}
    alarms = 0
    for name, raw in _scores(detector, references).items():
        line = decision.draw_line(raw, few["words"]["spread"], false_alarms)
        alarms += above(scores[name], line)
    few["words"] |= {"alarms": alarms, "parts": len(sound)}
    taught = detector.with_references(references)
    raw = _scores(taught, sound)
    spread = middle(raw)
    # remembered again, now that it is known how far such scores scatter
    general = {"few": {"references": {"spread": spread}}}
    taught.calibration = {"*": general}
    taught = taught.with_references(references)
    alarms = sum(above(each, taught.calibration[name]) for name, each in raw.items())
    few["references"] = {"spread": spread, "alarms": alarms, "parts": len(sound)}
    return entry | {"few": few}


def middle(scores: Scores) -> float:
    """The median product's spread; products with a single part say nothing."""
    return float(np.median([decision.spread(each) for each in scores.values()]))


def above(raw: Tensor, line: dict) -> int:
    """How many of a product's sound parts a line would have called anomalous."""
    return int((scoring.z_scores(raw, line["score"]) > line["threshold"]).sum())


def _scores(
    detector: AnomalyDetector, data: AnomalyDataset, everyone: Measured | None = None
) -> Scores:
    device = detector.model.clip.text_projection.device
    scores = {}
    for name in data.classes:
        anchor, measured = detector.anchor(name), []
        for batch in data.filter(name).batches(16, device=device):
            anchors = anchor.expand(len(batch["image"]), -1, -1)
            bank = detector.references.get(name)
            maps, raw = detector.measure(batch["image"], anchors, bank, name)
            measured.append(raw)
            if everyone is not None:
                everyone.add(maps, raw)
        scores[name] = torch.cat(measured).double()
    return scores
