"""S4, five critical issues: the rows and what measures them.

The code that it speaks of is MedSight3/ of Tuprott991/SoftAI---DataForLife---MedSightAI, at 2a929c2
before the fixes and b83e53e after them.
"""

import math

import torch
import torch.nn.functional as F

from ...doctor.statistics import adam_reach, xavier_bound
from ...variants.concepts import box_loss
from .claim import noise

SIDE = 12
BOX = torch.zeros(SIDE, SIDE, dtype=torch.float64)
BOX[2:6, 3:8] = 1
NAMED = 6 * 0.14  # F1 of the one class that is ever named


def gradient(version: str, level: float) -> torch.Tensor:
    """Of a level map, under the box loss that the report condemns ("old") or proposes ("fixed")."""
    cam = torch.full((SIDE, SIDE), level, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(box_loss(cam, BOX, version), cam)[0]


def order_after_descent() -> float:
    """A free map after 400 steps down the old loss, from noise: the chance that a cell inside the
    box is higher than one outside.
    """
    cam = noise(SIDE, SIDE).requires_grad_()
    for _ in range(400):
        slope = torch.autograd.grad(box_loss(cam, BOX, "old"), cam)[0]
        cam = (cam - 2.0 * slope).detach().requires_grad_()
    inside, outside = cam[BOX > 0][:, None], cam[BOX == 0][None]
    return float((inside > outside).double().mean() + 0.5 * (inside == outside).double().mean())


def collapsed() -> float:
    vectors = F.normalize(torch.ones(22 * 5, 128, dtype=torch.float64), dim=-1)
    similarity = vectors @ vectors[0] / 0.1
    return float(similarity.logsumexp(0) - similarity[0])


def similarity_of_collapsed() -> float:
    concepts = torch.eye(22, dtype=torch.float64)
    prototypes = F.normalize(concepts - concepts.mean(0), dim=-1).repeat_interleave(5, 0)
    cosines = prototypes @ prototypes.T
    return float(cosines[~torch.eye(len(cosines), dtype=torch.bool)].mean())


def scaled_norm() -> float:
    weight = torch.zeros(1, requires_grad=True)
    (65536.0 * 0.01 * weight).sum().backward()
    return float(weight.grad.norm())


def random_precision() -> float:
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(200, 1000, dtype=torch.float64)
    labels[:, :50] = 1
    ranked = labels.gather(1, torch.rand(200, 1000, generator=generator).argsort(1))
    precision = ranked.cumsum(1) / torch.arange(1, 1001)
    return float(((precision * ranked).sum(1) / 50).mean())


MEASURES = {  # key of a quick row: gives its value again
    "S4:113": collapsed,
    "S4:130": similarity_of_collapsed,
    "S4:176": scaled_norm,
    "S4:186": random_precision,
    "S4:20": lambda: float(gradient("old", -1.0)[3, 4]),
    "S4:21": lambda: float(gradient("old", 1.0)[0, 0]),
    "S4:22": order_after_descent,
    "S4:26": lambda: 1 / (1 + math.exp(10)),
    "S4:40": lambda: float(gradient("fixed", -8.0)[3, 4] / gradient("old", -8.0)[3, 4]),
    "S4:55": lambda: 1e-4 * 0.01,
    "S4:63": lambda: 1e-4 * 0.2,
    "S4:64": lambda: 50 * 53,
    "S4:65": lambda: adam_reach(1e-6, 2650, (0.9, 0.999))[0] / (xavier_bound((768, 768)) / 2),
    "S4:185": lambda: float(torch.tensor([0.50, 0.53, 0.48, 0.46], dtype=torch.float64).std()),
    "S4:190": lambda: 0.1 / math.sqrt(101 / (12 * 50 * 50)),
    "S4:194": lambda: NAMED / (2 - NAMED),
    "S4:204": lambda: 1e-4 / 2e-5,
    "S4:77": lambda: 1e-4 / 2e-5,
}
