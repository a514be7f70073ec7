"""Chapter 15's runs: one world of pictures and a teacher, one fault put in, readings taken out.

Use: `world = make_world(seed=0)`, `readings = run("flipped labels", world)`,
`verdict(readings)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..variants import distillation
from .repairs import Repairs, Teacher, chance_error, draw_repairs, maps_of, settle, task_only
from .repairs import train_teacher as taught
from .verdict import spoil_labels, spoil_maps

FREE = ((None, 20, 2e-2),)  # every weight, twenty epochs
REPORT = ((1, 5, 1e-3), (2, 20, 1e-4))  # S3's two stages, from a random start


class World(NamedTuple):
    seed: int
    train: Repairs
    val: Repairs
    teacher: nn.Module


def make_world(seed: int = 0) -> World:
    """Pictures of three seeds of their own: for the teacher, for the student, for validation."""
    train = draw_repairs(240, 10 * seed)
    val = draw_repairs(160, 10 * seed + 1)
    return World(seed, train, val, taught(draw_repairs(400, 10 * seed + 2), 20, seed))


def resized(images: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N 3 S S"]:
    """Down to half and back, as a loader does that was made for another size."""
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    return F.interpolate(small, scale_factor=2, mode="bilinear")


def fresh(images: Tensor, seed: int) -> nn.Module:
    """A student at its random start, its norms set to these pictures."""
    torch.manual_seed(seed)
    return settle(distillation.TinyStudent(), images[:64])


def trained(
    world: World,
    teacher_maps: Tensor,
    labels: Tensor,
    stages=FREE,
    loss: str | Callable = "normalised",
) -> tuple[nn.Module, list[dict]]:
    images = world.train.images
    student = fresh(images, world.seed)
    rows = distillation.train(student, images, teacher_maps, labels, stages, loss, world.seed)
    return settle(student, images), rows


def run(fault: str, world: World) -> dict[str, float]:
    """Put one fault in, train student and control, and read what `verdict` asks for."""
    teacher, prepare = world.teacher, lambda images: images
    if fault == "uninformative teacher":
        torch.manual_seed(world.seed + 1)
        teacher = settle(Teacher(), world.train.images)
    if fault == "swapped preprocessing":
        prepare = resized
    labels, judged = (
        spoil_labels(each.labels, fault, world.seed + part)
        for part, each in enumerate((world.train, world.val))
    )
    maps, val_maps = (
        spoil_maps(maps_of(teacher, prepare(each.images)), fault)
        for each in (world.train, world.val)
    )
    start = fresh(world.train.images, world.seed)
    before = distillation.diagnose_maps(maps_of(start, world.val.images), val_maps, judged)
    stages = ((1, 5, 1e-3),) if fault == "frozen student" else FREE
    loss = "plain" if fault in ("scale mismatch", "outlier", "frozen student") else "normalised"
    student, rows = trained(world, maps, labels, stages, loss)
    control, _ = trained(world, maps, labels, FREE, task_only)
    after = distillation.diagnose_maps(maps_of(student, world.val.images), val_maps, judged)
    free_maps = maps_of(control, world.val.images)
    own = maps_of(teacher, world.val.images)
    span = before["teacher"]["quantiles"]
    return {
        "chance": chance_error(judged),
        "control": distillation.auc(distillation.top_k_pool(free_maps), judged)[0],
        "teacher": before["teacher"]["auc"],
        "own": distillation.auc(distillation.top_k_pool(own), judged)[0],
        "tail": (before["teacher"]["max"] - before["teacher"]["min"]) / (span[0.95] - span[0.05]),
        "core": before["core_ratio"],
        "range_ratio": before["range_ratio"],
        "mse": before["mse"],
        "student": after["student"]["auc"],
        "correlation": after["correlation"],
        "distill": rows[-1]["distill"],
        "task": rows[-1]["task"],
    }
