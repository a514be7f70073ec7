"""Chapter 15's runs: one world of pictures and a teacher, one fault put in, readings taken out.

Use: `world = make_world(seed=0)`, `readings = run("flipped labels", world)`,
`verdict(readings)`.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..files.environment import data_path
from ..variants import distillation
from .repairs import Repairs, Teacher, chance_error, draw_repairs, maps_of, settle, task_only
from .repairs import train_teacher as taught
from .verdict import spoil_labels, spoil_maps

FREE = ((None, 20, 2e-2),)  # every weight, twenty epochs
HELD = ((1, 5, 1e-3),)  # nine weights on random features
REPORT = ((1, 5, 1e-3), (2, 20, 1e-4))  # S3's two stages, from a random start


def kept_rows(part: str) -> dict[str, dict]:
    """What `python -m aaclip_lite.lab.distillation` measured: part "tree", "loss" or "belt"."""
    stored = json.loads((data_path("clinic") / "distillation.json").read_text(encoding="utf-8"))
    return {key: row for key, row in stored["rows"].items() if key.startswith(f"{part}/")}


class World(NamedTuple):
    seed: int
    train: Repairs
    val: Repairs
    teacher: nn.Module
    controls: dict[tuple, nn.Module]  # trained once for the same labels


def make_world(seed: int = 0) -> World:
    """Pictures of three seeds of their own: for the teacher, for the student, for validation."""
    train = draw_repairs(240, 10 * seed)
    val = draw_repairs(160, 10 * seed + 1)
    return World(seed, train, val, taught(draw_repairs(400, 10 * seed + 2), 20, seed), {})


def resized(images: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N 3 S S"]:
    """Down to half and back, as a loader does that was made for another size."""
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    return F.interpolate(small, scale_factor=2, mode="bilinear")


def fresh(images: Tensor, seed: int) -> nn.Module:
    """A student at its random start, its norms set to these pictures."""
    torch.manual_seed(seed)
    return settle(distillation.TinyStudent(), images[:64])


def trained(
    world: World, teacher_maps: Tensor, labels: Tensor, stages=FREE, loss: str | Callable = "plain"
) -> tuple[nn.Module, list[dict]]:
    images = world.train.images
    student = fresh(images, world.seed)
    rows = distillation.train(student, images, teacher_maps, labels, stages, loss, world.seed)
    return settle(student, images), rows


def control_of(world: World, labels: Tensor, stages=FREE) -> nn.Module:
    """Labels alone, no teacher: with every weight free, or in the stages of a student."""
    key = (stages, *labels.tolist())
    if key not in world.controls:
        unused = torch.zeros(len(labels), 1, 1, 1)
        world.controls[key] = trained(world, unused, labels, stages, task_only)[0]
    return world.controls[key]


def auc_of(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return distillation.auc(distillation.top_k_pool(maps_of(model, images)), labels)[0]


def run(fault: str, world: World) -> dict[str, float]:
    """Put one fault in, train student and controls, and read what `verdict` asks for."""
    teacher, prepare, images = world.teacher, nn.Identity(), world.val.images
    if fault == "uninformative teacher":
        torch.manual_seed(world.seed + 1)
        teacher = settle(Teacher(), world.train.images)
    if fault == "swapped preprocessing":
        prepare = resized
    labels = spoil_labels(world.train.labels, fault, world.seed)
    judged = spoil_labels(world.val.labels, fault, world.seed + 100)
    maps = spoil_maps(maps_of(teacher, prepare(world.train.images)), fault)
    val_maps = spoil_maps(maps_of(teacher, prepare(images)), fault)
    stages = HELD if fault == "frozen student" else FREE
    student, rows = trained(world, maps, labels, stages)
    found = distillation.diagnose_maps(maps_of(student, images), val_maps, judged)
    span = found["teacher"]["quantiles"]
    return {
        "chance": chance_error(judged),
        "control": auc_of(control_of(world, labels), images, judged),
        "alone": auc_of(control_of(world, labels, stages), images, judged),
        "teacher": found["teacher"]["auc"],
        "own": auc_of(teacher, images, judged),
        "tail": (found["teacher"]["max"] - found["teacher"]["min"]) / (span[0.95] - span[0.05]),
        "core": found["core_ratio"],
        "student": found["student"]["auc"],
        **{name: found[name] for name in ("range_ratio", "mse", "correlation")},
        **{name: rows[-1][name] for name in ("total", "distill", "task")},
    }
