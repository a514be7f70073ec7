"""Every version of the loss that the report and its code went through, and two that work."""

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from .pooling import align

# version -> weights of (distill, task)
WEIGHTS = dict.fromkeys(("plain", "guard", "normalised", "kl_positions"), (0.5, 0.5))
WEIGHTS |= dict.fromkeys(("improved_kl", "improved_mse"), (0.3, 0.7))
TINY = 1e-8
TEMPERATURE = 4.0


def z_score(x: Tensor) -> Tensor:
    return (x - x.mean()) / (x.std() + TINY)


def guard(x: Tensor) -> Tensor:
    """The public code's guard: one value beyond 100 rescales the whole tensor and clips it."""
    return (5 * z_score(x)).clamp(-10, 10) if x.abs().max() > 100 else x


def match_scale(student: Tensor, teacher: Tensor) -> Tensor:
    """The student stretched to the teacher's spread, by at most 10; its offset is stretched too."""
    return student * ((teacher.std() + TINY) / (student.std() + TINY)).clamp(0.1, 10)


def divergence(student: Tensor, teacher: Tensor, dim: int) -> Tensor:
    """T^2 / B sum p_t log(p_t / p_s), both softened over `dim`."""
    log_s = (student / TEMPERATURE).log_softmax(dim)
    log_t = (teacher / TEMPERATURE).log_softmax(dim)
    return TEMPERATURE**2 * (log_t.exp() * (log_t - log_s)).sum() / len(student)


def distill(
    student: Float[Tensor, "B C H W"],
    teacher: Float[Tensor, "B C h w"],
    image_logit: Float[Tensor, " B"] | Float[Tensor, "B 1"],
    labels: Shaped[Tensor, " B"],
    version: str = "plain",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """(total, distill, task): the last two unweighted; total = their sum with WEIGHTS[version].

    Gradients reach student and image_logit; the teacher is given as it is.
    """
    if version not in WEIGHTS:
        raise ValueError(f"version = {version!r}: choose one of {', '.join(WEIGHTS)}")
    if version == "guard":
        student, teacher, image_logit = guard(student), guard(teacher), guard(image_logit)
    if version.startswith("improved"):
        student = match_scale(student, teacher)
        image_logit = image_logit.clamp(-100, 100)
    student = align(student, *teacher.shape[-2:])
    if version == "normalised":
        student, teacher = z_score(student), z_score(teacher)
    if version == "improved_kl":  # over the channels: with one channel every softmax is 1
        term = divergence(student, teacher, dim=1)
    elif version == "kl_positions":
        term = divergence(student.flatten(1), teacher.flatten(1), dim=1)
    else:
        term = (student - teacher).square().mean()
    task = F.binary_cross_entropy_with_logits(image_logit.flatten(), labels.flatten().to(student))
    of_distill, of_task = WEIGHTS[version]
    return of_distill * term + of_task * task, term, task
