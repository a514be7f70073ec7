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
NAMED = 6 * 0.14  # F1 of the one class that is ever named


def box() -> torch.Tensor:
    mask = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    mask[2:6, 3:8] = 1
    return mask


def old(cam: torch.Tensor) -> torch.Tensor:
    """The box loss that the report condemns."""
    return box_loss(cam, box(), "old")


def fixed(cam: torch.Tensor) -> torch.Tensor:
    """The box loss that the report proposes."""
    return box_loss(cam, box(), "fixed")


def gradient(loss, level: float) -> torch.Tensor:
    cam = torch.full((SIDE, SIDE), level, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(cam), cam)[0]


def descended(loss, steps: int = 400, rate: float = 2.0) -> torch.Tensor:
    """A free map after so many steps downhill from noise."""
    cam = noise(SIDE, SIDE).requires_grad_()
    for _ in range(steps):
        slope = torch.autograd.grad(loss(cam), cam)[0]
        cam = (cam - rate * slope).detach().requires_grad_()
    return cam.detach()


def order(cam: torch.Tensor) -> float:
    """Chance that a cell inside the box is higher than one outside."""
    inside, outside = cam[box() > 0][:, None], cam[box() == 0][None]
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
    "S4:20": lambda: float(gradient(old, -1.0)[3, 4]),
    "S4:21": lambda: float(gradient(old, 1.0)[0, 0]),
    "S4:22": lambda: order(descended(old)),
    "S4:26": lambda: 1 / (1 + math.exp(10)),
    "S4:40": lambda: float(gradient(fixed, -8.0)[3, 4] / gradient(old, -8.0)[3, 4]),
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
