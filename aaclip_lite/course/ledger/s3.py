"""S3, distillation with an AUC of one half: the rows and what measures them.

The public history of such a run is outputs/checkpoints_two_stage/training_history_two_stage.json in
roshr22/Team-Converge at 0033992 (449 validation pictures).
"""

import math

import torch
import torch.nn.functional as F

from .claim import noise


def auc_error(normal: int, abnormal: int) -> float:
    """Standard error of an AUC where nothing is to be seen."""
    return math.sqrt((normal + abnormal + 1) / (12 * normal * abnormal))


def maps(cells: int, seed: int = 0) -> torch.Tensor:
    return noise(16, 1, cells, cells, seed=seed)


def pull_ratio(weight: float = 0.5) -> float:
    """Gradient of the distillation term for each of the task term, at one picture's map."""
    student = torch.zeros(31 * 31, dtype=torch.float64, requires_grad=True)
    distill = F.mse_loss(student, torch.full_like(student, 450**0.5))
    top = student.topk(math.ceil(0.1 * student.numel())).values.mean()
    task = F.binary_cross_entropy_with_logits(top, torch.ones_like(top))
    terms = (weight * distill, (1 - weight) * task)
    first, second = (torch.autograd.grad(t, student, retain_graph=True)[0].norm() for t in terms)
    return float(first / second)


def pictures_needed() -> float:
    half = next(n for n in range(2, 10000) if 2 * auc_error(n, n) <= 0.05)
    return 2 * half


def range_of_equals() -> float:
    teacher, student = maps(31), F.adaptive_avg_pool2d(maps(124, seed=1), 31)
    return float((teacher.max() - teacher.min()) / (student.max() - student.min()))


def units() -> float:
    a, b = maps(31), maps(31, seed=1)
    return float(F.mse_loss(10 * a, 10 * b) / F.mse_loss(a, b))


def normalised_noise() -> float:
    a, b = (x - x.mean() for x in (maps(31), maps(31, seed=1)))
    return float(F.mse_loss(a / a.std(), b / b.std()))


MEASURES = {  # key of a quick row: gives its value again
    "S3:33": pictures_needed,
    "S3:49": range_of_equals,
    "S3:50": units,
    "S3:117": normalised_noise,
    "S3:4": lambda: 0.5 * 450 + 0.5 * 0.7,
    "S3:5": lambda: math.log(2),
    "S3:10": pull_ratio,
    "S3:12": lambda: 0.5 * 450,
    "S3:33b": lambda: 1 - 0.3,
    "S3:34": lambda: 0.70 - 0.55,
    "S3:61": lambda: pull_ratio(weight=0.0),
    "S3:68": lambda: 5 + 20,
    "S3:75": lambda: -math.log(0.5),
    "S3:111": lambda: (10 + 0.5) ** 2,
    "S3:126": lambda: pull_ratio(weight=0.01),
    "S3:201": lambda: 1 - 0.5 / 0.1**2,
}
