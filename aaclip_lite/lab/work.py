"""What `bench` measures both ways: AA-CLIP's operations on one model, and the metrics on one class.

Special: both ways get the same weights, pictures and masks, and each case gives the numbers by
which they are compared.
Use: `compare(Work(full=False), "inference", ("plain", "package"), rounds=3, until=...)`.
"""

import time
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from .. import losses, metrics, scoring
from ..load import load_clip
from ..model import AdaptedCLIP, stack_anchors
from ..recipe import Recipe
from ..service.matmul import quick_products
from ..world import factory
from ..world.products import PRODUCTS
from . import plain

REDUCED = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 224,
        "layers": 12,
        "width": 384,
        "head_width": 64,
        "patch_size": 14,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 12},
}
KEPT = "stage 1 step, kept"  # with the picture's features at hand, as --views keeps them
STAGE = {"stage 1 step": "text", KEPT: "text", "stage 2 step": "image"}
MODEL_CASES = ("text anchors", *STAGE, "inference")
METRIC_CASES = ("metrics, exact", "metrics, binned")
# what the package may differ from the plain way, in root mean squares; bf16's drift is only shown
EQUAL = 1e-4


class Work:
    """What both ways do, on the same weights and pictures: `run(case, way)` gives the numbers to
    compare.
    """

    def __init__(
        self,
        full: bool,
        recipe: Recipe | None = None,
        size: int | None = None,
        batch: int = 1,
        public: str = "",
        name: str = "",
    ):
        """name: a CLIP that load_clip knows, in place of the full or the reduced one."""
        torch.manual_seed(0)
        size = size or (518 if full else 336)
        source = name or ("ViT-L-14-336" if full else REDUCED)
        clip = load_clip(source, weights=None, image_size=size)
        self.model = AdaptedCLIP(clip, recipe or Recipe.released())
        self.other = plain.Public(self.model, public) if public else plain.Plain(self.model)
        self.size = size
        self.names = ["bottle", *PRODUCTS][:batch]
        drawn = [factory.draw(n, 1, min(size, 512), "hole", split="bench") for n in self.names]
        pictures = torch.from_numpy(np.stack([p.image for p in drawn])).permute(0, 3, 1, 2)
        mask = torch.from_numpy(np.stack([p.mask for p in drawn]))[:, None].float()
        self.images = self.model.preprocess(pictures)
        self.mask = torch.nn.functional.interpolate(mask, (size, size))
        self.label = torch.ones(len(self.names), dtype=torch.long)
        with torch.no_grad():
            self.anchors = stack_anchors(self.model.text_anchors(self.names), self.names)
        self.kept: tuple[Tensor, ...] = ()

    def prepare(self, case: str) -> None:
        """What is not part of the measured work."""
        self.kept = self.model.dense_features(self.images) if case == KEPT else ()

    def run(self, case: str, way: str) -> dict[str, Tensor]:
        """way: "plain", "package", or "bf16", the package under autocast."""
        model = self.model
        ours = way != "plain"
        stage = STAGE.get(case)
        # plain: frozen weights get gradients, which nobody reads
        model.requires_grad_(not ours and stage is not None)
        trained = model.trainable(stage) if stage else {}
        for p in trained.values():
            p.requires_grad_()
        with quick_products(model.clip) if way == "package" else nullcontext():
            with (
                torch.set_grad_enabled(stage is not None),
                torch.autocast("cpu", torch.bfloat16, enabled=way == "bf16"),
            ):
                results = self.package(case) if ours else self._plain(case)
            if stage:
                results["loss"].backward()
                results |= {name: p.grad for name, p in trained.items() if p.grad is not None}
        model.zero_grad(set_to_none=True)
        self.other.root.zero_grad(set_to_none=True)
        return {name: value.detach() for name, value in results.items()}

    def _plain(self, case: str) -> dict[str, Tensor]:
        other = self.other
        if case == "text anchors":
            return other.text_anchors(self.names)
        if case == "inference":
            return {"maps": other.anomaly_map(self.images, self.anchors, self.size)}
        if STAGE[case] == "text":
            return {"loss": other.stage1(self.images, self.names, self.mask)}
        return {"loss": other.stage2(self.images, self.anchors, self.mask, self.label)}

    def package(self, case: str) -> dict[str, Tensor]:
        model = self.model
        if case == "text anchors":
            return model.text_anchors(self.names)
        if case == "inference":
            levels = model(self.images).levels
            return {"maps": scoring.anomaly_map(levels, self.anchors, self.size)}
        if STAGE[case] == "text":
            anchors = stack_anchors(model.text_anchors(self.names), self.names)
            features = self.kept if case == KEPT else model.dense_features(self.images)
            return {"loss": losses.stage1(features, anchors, self.mask, model.recipe)}
        features = model(self.images)
        return {"loss": losses.stage2(features, self.anchors, self.mask, self.label, model.recipe)}


class Pixels:
    """The same for the metrics: maps of a class, one hot blob in every second picture."""

    def __init__(self, full: bool):
        rng = np.random.default_rng(0)
        size = 518 if full else 224
        self.maps = rng.standard_normal((60, size, size), np.float32)
        self.masks = np.zeros((60, size, size), bool)
        for i in range(0, 60, 2):
            y, x = rng.integers(0, size - size // 8, 2)
            self.masks[i, y : y + size // 8, x : x + size // 8] = True
        self.maps[self.masks] += 1

    def prepare(self, case: str) -> None:
        pass

    def run(self, case: str, way: str) -> dict[str, Tensor]:
        if way == "plain":
            flat = self.maps.ravel(), self.masks.ravel()
            values = [plain.auroc(*flat), plain.average_precision(*flat)]
        elif case == "metrics, exact":
            curve = metrics.exact_curve(self.maps[self.masks], self.maps[~self.masks])
            values = curve.figures()[:2]
        else:
            result = metrics.PixelHistogram().update(self.maps, self.masks).result()
            values = [result["pixel_auroc"], result["pixel_ap"]]
        return {"figures": torch.tensor(values, dtype=torch.float64)}


# ---- both ways in turn ---------------------------------------------------------------------------


def difference(
    results: dict[str, Tensor], expected: dict[str, Tensor], typical: bool = False
) -> float:
    """The largest (typical: the root mean square) difference, in root mean squares of the worst
    tensor.
    """
    if results.keys() != expected.keys():
        raise RuntimeError(f"not the same results: {sorted(results.keys() ^ expected.keys())}")

    def size(x: Tensor) -> float:
        return float(x.double().square().mean().sqrt())

    gaps = {name: (results[name] - value).abs() for name, value in expected.items()}
    return max(
        (size(gap) if typical else float(gap.max())) / max(size(expected[n]), 1e-30)
        for n, gap in gaps.items()
    )


def unequal(cases: dict[str, dict]) -> list[str]:
    """In which cases the package's numbers are not the other side's."""
    gaps = {case: rows["package"]["difference"] for case, rows in cases.items()}
    return [
        f"{case}: the package differs from the other side by {gap:.1e}, more than {EQUAL}"
        for case, gap in gaps.items()
        if not gap <= EQUAL
    ]


def compare(work, case: str, ways: tuple[str, ...], rounds: int, until: float) -> dict[str, dict]:
    """{way: {cpu, wall, difference, rounds}}, the ways in turn, best of `rounds`; after the first
    round none begins that would end after `until` (time.monotonic) if it took as long.
    """
    rows = {way: {"cpu": float("inf"), "wall": float("inf"), "rounds": 0} for way in ways}
    work.prepare(case)
    for number in range(rounds):
        began = time.monotonic()
        expected = None
        for way in ways:
            row = rows[way]
            cpu = time.process_time()
            wall = time.perf_counter()
            results = work.run(case, way)
            row["cpu"] = min(row["cpu"], time.process_time() - cpu)
            row["wall"] = min(row["wall"], time.perf_counter() - wall)
            row["rounds"] = number + 1
            expected = expected or results
            row["difference"] = difference(results, expected, typical=way == "bf16")
        if 2 * time.monotonic() - began > until:
            break
    return rows
