"""What a detector learns from several products at once: the scale of products it has nothing of,
and how well a line from five sound parts keeps its promise. One product: sound_parts.py beside this.

Use: `detector.calibrate(open_dataset("factory/val"))`, which calls `calibrate` here.
"""

from collections.abc import Iterator

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
    few["words"] |= met(_scores(detector, references), scores, false_alarms)
    taught = detector.with_references(references)
    raw = _scores(taught, sound)
    spread = middle(raw)
    # remembered again, now that it is known how far such scores scatter
    general = {"few": {"references": {"spread": spread}}}
    taught.calibration = {"*": general}
    taught = taught.with_references(references)
    alarms = 0
    for name, each in raw.items():
        own = taught.calibration[name]
        alarms += int((scoring.z_scores(each, own["score"]) > own["threshold"]).sum())
    few["references"] = {"spread": spread, "alarms": alarms, "parts": len(sound)}
    return entry | {"few": few}


def middle(scores: Scores) -> float:
    """The median product's spread; products with a single part say nothing."""
    return float(np.median([decision.spread(each) for each in scores.values()]))


def met(references: Scores, scores: Scores, false_alarms: float) -> dict:
    """How many sound parts lines from the references would have called anomalous."""
    others = middle(scores)
    alarms = 0
    for name, raw in scores.items():
        line = decision.draw_line(references[name], others, false_alarms)
        alarms += int((scoring.z_scores(raw, line["score"]) > line["threshold"]).sum())
    return {"alarms": alarms, "parts": sum(map(len, scores.values()))}


def _scores(
    detector: AnomalyDetector, data: AnomalyDataset, everyone: Measured | None = None
) -> Scores:
    scores = {}
    for name in data.classes:
        measured = list(_measured(detector, data.filter(name), name))
        scores[name] = torch.cat([each for _, each in measured]).double()
        for maps, each in measured if everyone else ():
            everyone.add(maps, each)
    return scores


def _measured(
    detector: AnomalyDetector, part: AnomalyDataset, name: str
) -> Iterator[tuple[Tensor, Tensor]]:
    anchor = detector.anchor(name)
    device = detector.model.clip.text_projection.device
    for batch in part.batches(16, device=device):
        anchors = anchor.expand(len(batch["image"]), -1, -1)
        yield detector.measure(batch["image"], anchors, detector.references.get(name), name)
