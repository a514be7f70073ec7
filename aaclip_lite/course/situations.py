"""Chapter 15's runs and its tree of causes: one world of pictures and a teacher, one fault put in,
readings taken out; what to read, in which order, and what each reading rules out.

Special: every branch was produced on purpose (`FAULTS`), and the tree is judged by whether it names
what was done. Limits are errors of an AUC that knows nothing, or were measured on healthy runs.
Use: `world = make_world(seed=0)`, `readings = run("flipped labels", world)`,
`verdict(readings)`.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..files.environment import data_path
from ..variants import distillation
from .repairs import Repairs, Teacher, chance_error, draw_repairs, maps_of, settle, task_only
from .repairs import train_teacher as taught

FREE = ((None, 20, 2e-2),)  # every weight, twenty epochs
HELD = ((1, 5, 1e-3),)  # nine weights on random features
REPORT = ((1, 5, 1e-3), (2, 20, 1e-4))  # S3's two stages, from a random start
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
    report = distillation.diagnose_maps(maps_of(student, images), val_maps, judged)
    span = report["teacher"]["quantiles"]
    return {
        "chance": chance_error(judged),
        "control": auc_of(control_of(world, labels), images, judged),
        "alone": auc_of(control_of(world, labels, stages), images, judged),
        "teacher": report["teacher"]["auc"],
        "own": auc_of(teacher, images, judged),
        "tail": (report["teacher"]["max"] - report["teacher"]["min"]) / (span[0.95] - span[0.05]),
        "core": report["core_ratio"],
        "student": report["student"]["auc"],
        **{name: report[name] for name in ("range_ratio", "mse", "correlation")},
        **{name: rows[-1][name] for name in ("total", "distill", "task")},
    }


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
