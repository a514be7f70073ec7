"""Chapter 15's tree of causes: what to read, in which order, and what each reading rules out.

Special: every branch was produced on purpose (`FAULTS`), and the tree is judged by whether it names
what was done. Limits are errors of an AUC that knows nothing, or were measured on healthy runs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

CHANCE = 3  # standard deviations from 0.5 that count as knowing something
STRETCH = 3  # how far central spans may differ; arbitrary, as the 3 in S3 is
TAIL = 12  # range over the span from 5 to 95 %: 3.4 and 3.1 healthy, 90 struck, in two worlds
FAULTS = (
    "healthy",
    "broken data",
    "flipped labels",
    "swapped preprocessing",
    "uninformative teacher",
    "outlier",
    "scale mismatch",
    "frozen student",
)


def s3_verdict(teacher_auc: float, range_ratio: float, mse: float, control_auc: float) -> str:
    """The report's tree, as it stands there: thresholds 0.55 and 0.70, ratio 3, MSE 100."""
    if teacher_auc < 0.55:
        return "domain shift: skip distillation"
    if not 1 / 3 < range_ratio < 3 or mse > 100:
        return "scale mismatch: normalise"
    if control_auc < 0.60:
        return "data problem"
    if teacher_auc > 0.70:
        return "loss scaling: smaller alpha_distill"
    return "no answer"


def verdict(readings: Mapping[str, float]) -> tuple[str, str]:
    """(cause, reason). Readings, all on validation pictures:

    chance: standard deviation of an AUC that knows nothing; control: AUC of a network with every
    weight free, labels alone; alone: the same with only the weights that the student may move;
    teacher: AUC of the teacher on what the loader gives; own: its AUC on pictures prepared as in
    its own training; tail: the teacher's range over its span from 5 to 95 %; core: the student's
    such span over the teacher's, after training; student: its AUC.
    """
    r = readings
    edge = CHANCE * r["chance"]
    if r["teacher"] < 0.5 + edge < r["own"]:
        return "swapped preprocessing", f"prepared its own way, the teacher has {r['own']:.2f}"
    if r["teacher"] < 0.5 - edge:
        return "flipped labels", f"the teacher ranks upside down: mirror {1 - r['teacher']:.2f}"
    if abs(r["control"] - 0.5) < edge:
        return "broken data", f"labels and every weight reach {r['control']:.2f}"
    if r["teacher"] < 0.5 + edge:
        return "uninformative teacher", f"its own preparation gives {r['own']:.2f} too"
    if r["tail"] > TAIL:
        return "outlier", f"the range is {r['tail']:.0f} times the central span"
    if r["alone"] < r["control"] - edge:
        return (
            "frozen student",
            f"{r['alone']:.2f} alone, where free weights reach {r['control']:.2f}",
        )
    if not 1 / STRETCH < r["core"] < STRETCH:
        return "scale mismatch", f"the central spans differ by a factor of {r['core']:.3f}"
    return "healthy", f"student {r['student']:.2f}, control {r['control']:.2f}"


def spoil_maps(maps: Tensor, fault: str) -> Tensor:
    """What a fault does to a teacher's map."""
    if fault == "scale mismatch":
        return 200 * maps
    if fault == "outlier":
        maps = maps.clone()
        maps[::20, 0, 0, 0] = -1190  # S3's code speaks of a teacher that reaches from -1190 to 8
    return maps


def spoil_labels(labels: Tensor, fault: str, seed: int = 0) -> Tensor:
    """What a fault does to the labels that the loader gives."""
    if fault == "flipped labels":
        return 1 - labels
    if fault == "broken data":
        generator = torch.Generator().manual_seed(seed)
        return labels[torch.randperm(len(labels), generator=generator)]
    return labels
