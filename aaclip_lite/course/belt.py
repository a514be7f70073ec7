"""Chapter 15's student for a camera over a belt: a few thousand weights, one product.

Special: it learns from two sources at once, the detector's map (soft) and the masks of drawn
defects (hard), so that what each adds can be measured: `train(..., source="map", "masks", "both")`.
Use: `parts = draw_parts("wood", 800)`, `student = train(parts, teacher_cells(...))`.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Pretty
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor, nn

from .. import metrics
from ..detector import AnomalyDetector
from ..service.export import write_program
from ..world import factory
from . import plots
from .repairs import convolutions

GRID = 16  # cells a side, as the detector has patches
SOURCES = ("both", "masks", "map")
STATION = 0  # that of factory/test: its design, ground and light; the parts are other ones
TOP = 3  # a picture's score is the mean of its highest cells


class Parts(NamedTuple):
    images: UInt8[Tensor, "N 3 S S"]
    labels: Float[Tensor, " N"]
    masks: UInt8[Tensor, "N S S"]


def draw_parts(name: str, count: int, seed: int = 0) -> Parts:
    """Sound and defective pictures of one product by turns; none of them is in a shipped set."""
    kinds = factory.kinds_for(name)
    rng = np.random.default_rng([16, seed])
    drawn, number = [], 0
    while len(drawn) < count:
        kind = str(rng.choice(kinds)) if len(drawn) % 2 else None
        options = {"defect": kind, "severity": int(rng.integers(3)), "split": f"belt{seed}"}
        with contextlib.suppress(factory.NotShown):  # it does not show on this part: take the next
            drawn.append(factory.draw(name, number, station=STATION, **options))
        number += 1
    images = torch.from_numpy(np.stack([part.image for part in drawn])).movedim(-1, 1)
    masks = torch.from_numpy(np.stack([part.mask for part in drawn]))
    labels = torch.tensor([float(part.defect is not None) for part in drawn])
    return Parts(images, labels, masks)


class BeltStudent(nn.Module):
    """Pictures (B, 3, S, S) in [0, 1] -> map (B, S, S) of logits and score (B,)."""

    def __init__(self) -> None:
        super().__init__()
        layers = convolutions((3, 12, 6, 4), (12, 16, 3, 2), (16, 16, 3, 1))
        self.body = nn.Sequential(*layers, nn.Conv2d(16, 1, 1))

    def cells(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 h w"]:
        return self.body(images - 0.5)

    def forward(
        self, images: Float[Tensor, "B 3 S S"]
    ) -> tuple[Float[Tensor, "B S S"], Float[Tensor, " B"]]:
        cells = self.cells(images)
        maps = F.interpolate(cells, size=images.shape[-2:], mode="bilinear")
        return maps[:, 0], cells.flatten(1).topk(TOP, dim=1).values.mean(1)


@torch.no_grad()
def look(detector: AnomalyDetector, images: UInt8[Tensor, "N 3 S S"], name: str):
    """The detector's maps (N, S, S) and scores (N,)."""
    looks = (detector.anomaly_maps(p.float() / 255, [name] * len(p)) for p in images.split(16))
    maps, scores = zip(*looks, strict=True)
    return torch.cat(maps), torch.cat(scores)


def soft_cells(maps: Float[Tensor, "N S S"]) -> Float[Tensor, "N 1 h w"]:
    """The detector's map as a chance for each cell: one half at two deviations above the mean."""
    cells = F.adaptive_avg_pool2d(maps[:, None], GRID)
    return torch.sigmoid(1.5 * ((cells - cells.mean()) / cells.std() - 2))


def hard_cells(masks: UInt8[Tensor, "N S S"]) -> Float[Tensor, "N 1 h w"]:
    """How much of a cell is defect, a thin line counting half of a full cell and more."""
    masks = masks[:, None].float()
    return (F.adaptive_max_pool2d(masks, GRID) + F.adaptive_avg_pool2d(masks, GRID)) / 2


def train(
    parts: Parts,
    soft: Float[Tensor, "M 1 h w"],
    source: str = "both",
    steps: int = 600,
    seed: int = 0,
    rate: float = 1e-2,
) -> BeltStudent:
    """soft: the detector's cells of the first M parts; "both" takes turns between the sources."""
    if source not in SOURCES:
        raise ValueError(f"source = {source!r}: choose one of {', '.join(SOURCES)}")
    torch.manual_seed(seed)
    hard = hard_cells(parts.masks)
    student = BeltStudent()
    optimiser = torch.optim.AdamW(student.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)
    rare = torch.tensor(3.0)  # few cells are hot
    for step in range(steps):
        follows = source == "map" or (source == "both" and step % 3 == 0)
        target = soft if follows else hard
        chosen = torch.randint(len(target), (32,))
        cells = student.cells(parts.images[chosen].float() / 255)
        loss = F.binary_cross_entropy_with_logits(cells, target[chosen], pos_weight=rare)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return student.eval()


def stack(data) -> tuple[Tensor, list[int], np.ndarray]:
    """Pictures (N, 3, S, S), labels and masks (N, S, S) of a data set."""
    samples = [data[i] for i in range(len(data))]
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).movedim(-1, 1)
    labels = [sample.label for sample in samples]
    return images, labels, np.stack([sample.mask for sample in samples])


def judge(student: BeltStudent, images, labels, masks) -> dict[str, float]:
    with torch.no_grad():
        maps, scores = student(images.float() / 255)
    return figures(maps, scores, labels, masks)


def figures(maps, scores, labels, masks) -> dict[str, float]:
    """Image and pixel AUROC, with the interval of the first from pictures drawn anew."""

    def image(scores, labels):
        return float(metrics.image_metrics(scores, labels)["image_auroc"])

    _, low, high = metrics.bootstrap({"": (np.asarray(scores), np.asarray(labels))}, image)
    pixel = float(metrics.pixel_metrics(maps, masks)["pixel_auroc"])
    return {"image": image(scores, labels), "low": low, "high": high, "pixel": pixel}


def to_onnx(student: BeltStudent, path: str | Path, name: str, threshold: float) -> Path:
    """As the detector's file; product and threshold stand in its metadata."""
    return write_program(student, Path(path), name, 8 * GRID, threshold)


def median_seconds(calls: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Median time of each call, taken by turns, so that a busy machine slows all alike."""
    times = {name: [] for name in calls}
    for number in range(rounds + 2):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number >= 2:  # the first ones warm up
                times[name].append(time.perf_counter() - began)
    return {name: float(np.median(each)) for name, each in times.items()}


def belt_of_parts(name: str, count: int, seed: int) -> Iterator[tuple[Tensor, bool]]:
    """New parts one by one, (3, S, S) in [0, 1], one in ten of them defective."""
    rng = np.random.default_rng([17, seed])
    kinds = factory.kinds_for(name)
    number = 0
    for place in range(1, count + 1):
        defective, part = place % 10 == 0, None
        while part is None:
            kind = str(rng.choice(kinds)) if defective else None
            with contextlib.suppress(factory.NotShown):
                options = {"defect": kind, "split": f"stream{seed}", "station": STATION}
                part = factory.draw(name, number, **options)
            number += 1
        yield torch.from_numpy(part.image).movedim(-1, 0).float() / 255, defective


def ask(session, image: Float[Tensor, "3 S S"]) -> tuple[np.ndarray, float, float]:
    """One part through an exported file: map (S, S), score, seconds."""
    began = time.perf_counter()
    maps, scores = session.run(None, {"image": image[None].numpy()})
    return maps[0], float(scores[0]), time.perf_counter() - began


def outcome(alarm: bool, defective: bool) -> str:
    if defective:
        return "found" if alarm else "missed"
    return "false alarm" if alarm else "passed"


def progress_line(number: int, total: int, counts: dict[str, int]) -> Pretty:
    done = round(30 * number / total)
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Pretty(f"[{'#' * done}{'.' * (30 - done)}] {number} of {total}: {said}")


def live_picture(image: Float[Tensor, "3 S S"], anomaly_map: np.ndarray, title: str) -> Figure:
    pictures = [image.movedim(0, -1)]
    return plots.sheet(pictures, [anomaly_map], None, [title], "", 1, (-6, 2), "logit")
