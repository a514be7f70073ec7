"""S0, "your base model is untrained": the rows and what measures them."""

import math

import torch

from ... import losses
from ...doctor.statistics import adam_reach, expected_statistic, xavier_bound, z_score

TEXT = [(768, 768)] * 4  # the public adapters: no biases
IMAGE = [(1024, 1024)] * 6 + [(768, 1024)] * 5
PICTURES = 1725  # of MVTec in the public list, 1258 of them defective
DEFECTIVE = 1258 / PICTURES
STEPS = 5 * math.ceil(PICTURES / 16)  # of stage 1, batch 16
FARTHEST = expected_statistic(TEXT)[0] + adam_reach(1e-5, STEPS)[1]  # where text weights can get


def constant(p_abnormal: float, area: float = 0.02, size: int = 128) -> float:
    """Segmentation loss of one level for a map that says the same everywhere."""
    mask = torch.zeros(PICTURES // 25, 1, size, size)
    mask[: round(len(mask) * DEFECTIVE), :, : round(size * area), :] = 1
    p = torch.full((len(mask), 2, size, size), 1 - p_abnormal)
    p[:, 1] = p_abnormal
    return float(losses.segmentation(p, mask))


def share_of_the_way_2() -> float:
    toss = math.log(2) + 4 * constant(0.5)
    return (toss - 4.98) / (toss - math.log(2) - 4 * constant(0.0))


def trained_and_still_below() -> float:
    b, drift = xavier_bound((768, 768)), adam_reach(1e-5, STEPS)[0]
    return b / 2 + drift**2 / (2 * b)  # of a uniform weight shifted by the drift


MEASURES = {  # key of a quick row: gives its value again
    "S0:71": share_of_the_way_2,
    "S0:164": trained_and_still_below,
    "S0:6": lambda: z_score(0.031234, TEXT),
    "S0:7": lambda: z_score(0.055399, IMAGE),
    "S0:7b": lambda: xavier_bound((64, 64)) / 2,
    "S0:55": lambda: DEFECTIVE,
    "S0:58": lambda: constant(0.0),
    "S0:61": lambda: 4 * DEFECTIVE + math.log(2),
    "S0:69": lambda: (constant(0.5) - 1.35) / (constant(0.5) - constant(0.0)),
    "S0:116b": lambda: (25 + 25) / 25,
    "S0:129": lambda: FARTHEST,
    "S0:129b": lambda: expected_statistic(TEXT)[0],
    "S0:130": lambda: expected_statistic(IMAGE)[0],
    "S0:138": lambda: (2.0 - 1.8) / 2.0,
    "S0:163": lambda: STEPS + 20 * math.ceil(PICTURES / 2),
    "S0:183": lambda: expected_statistic(IMAGE)[0] / 0.055399,
    "S0:185": lambda: math.log(2) + 4 * constant(0.0),
    "S0:186": lambda: 0.2 / FARTHEST,
    "S0:187": lambda: DEFECTIVE,
}
