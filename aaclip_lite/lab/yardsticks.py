"""How hard is the factory's world: two yardsticks, and the data card that reports them beside
contact sheets.

Trivial rules (brightness, distance from the median colour, ...) must fail: the world can't be
cheated. A small U-Net, supervised on the training products for a few minutes, must find damage on
products it has never seen: the world can be learned. Both are measured class by class, inside the
object beside the whole picture.

    python -m aaclip_lite yardsticks                       # draws, measures, writes data/README.md
    and data/sheets
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import metrics, scoring
from ..datasets import AnomalyDataset, open_dataset
from ..service.baselines import trivial_maps
from ..world import factory
from ..world.products import PRODUCTS

# a picture on a sheet, and the size it is drawn at: smaller and smoother, as in print
TILE, DRAWN = (
    120,
    240,
)
GOALS = {"trivial": 0.70, "whole": 0.88, "inside": 0.82}


class UNet(nn.Module):
    """A small U-Net that works at half resolution: four pixels become channels first, and come
    apart last.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96, 128)):
        super().__init__()
        self.down = nn.ModuleList(self._pair(i, o) for i, o in pairwise((12, *widths)))
        self.up = nn.ModuleList(
            self._pair(fine + coarse, fine) for fine, coarse in [*pairwise(widths)][::-1]
        )
        self.last = nn.Conv2d(widths[0], 4, 1)

    @staticmethod
    def _pair(i: int, o: int) -> nn.Sequential:
        parts = [(nn.Conv2d(a, o, 3, padding=1), nn.GroupNorm(4, o), nn.SiLU()) for a in (i, o)]
        return nn.Sequential(*(layer for part in parts for layer in part))

    def forward(self, images: Tensor) -> Tensor:
        """images (B, 3, H, W) in [0, 1], sides multiples of 16 -> logits of damage (B, H, W)."""
        x = F.pixel_unshuffle((images - 0.45) / 0.25, 2).contiguous(
            memory_format=torch.channels_last
        )
        kept = [self.down[0](x)]
        for block in self.down[1:]:
            kept.append(block(F.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), kept.pop()], 1))
        return F.pixel_shuffle(self.last(x), 2)[:, 0]


def train_unet(
    data: AnomalyDataset, steps: int, seed: int = 0, batch: int = 16, lr: float = 3e-3
) -> UNet:
    """A U-Net taught by the masks of the training products; pictures are turned, mirrored and
    re-lit.
    """
    samples = [data[i] for i in tqdm(range(len(data)), desc="reading", leave=False)]
    images = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([s.mask for s in samples]))
    torch.manual_seed(seed)
    model = UNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    for step in tqdm(range(steps), desc="teaching a U-Net", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = (
                lr
                * min(1, (step + 1) / 50)
                * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps)))
            )
        chosen, turns = torch.randint(len(images), (batch,)), int(torch.randint(4, ()))
        x, y = images[chosen].float() / 255, masks[chosen].float()
        x, y = x.rot90(turns, (2, 3)), y.rot90(turns, (1, 2))
        x, y = (x.flip(3), y.flip(2)) if torch.rand(()) < 0.5 else (x, y)
        x = x * torch.empty(batch, 3, 1, 1).uniform_(0.85, 1.15)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x)
        p = (logits := logits.float()).sigmoid()
        entropy = (
            F.binary_cross_entropy_with_logits(logits, y, reduction="none") * (1 + 6 * y)
        ).mean()
        loss = entropy + 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def measure(data: AnomalyDataset, unet: Callable[[Tensor], Tensor]) -> tuple[dict, dict]:
    """{rule: {class: figures}} of the trivial rules and the U-Net, and {kind of defect: the U-Net's
    mean figures}.
    """
    rules, kinds = {}, {}
    for name in tqdm(data.classes, desc="measuring", unit="class"):
        part, maps, batches = data.filter(name), {}, []
        for batch in part.batches(64):
            batches.append(batch)
            with torch.inference_mode():
                found = {rule: heat for rule, (heat, *_) in trivial_maps(batch).items()}
                for rule, heat in (found | {"U-Net": unet(batch["image"]).float()}).items():
                    maps.setdefault(rule, []).append(heat)
        mask, inside = (
            torch.cat([batch[key][:, 0] for batch in batches]).numpy() for key in ("mask", "inside")
        )
        label, kind = (
            torch.cat([b["label"] for b in batches]).numpy(),
            np.array([r.defect for r in part.records]),
        )
        for rule, heat in ((rule, torch.cat(parts)) for rule, parts in maps.items()):
            scores, heat = scoring.top_fraction(heat).numpy(), heat.numpy()
            rules.setdefault(rule, {})[name] = metrics.evaluate(
                scores, label, heat, mask, inside, binned=True
            )
        for each in set(kind[label == 1]):
            chosen = kind == each
            figures = metrics.pixel_metrics(heat[chosen], mask[chosen], inside[chosen])
            kinds.setdefault(each, []).append(figures | {"area": mask[chosen].mean((1, 2))})
    areas = {each: np.concatenate([row["area"] for row in rows]) for each, rows in kinds.items()}
    return rules, {each: mean(rows) | {"areas": areas[each]} for each, rows in kinds.items()}


def mean(rows: Iterable[dict]) -> dict[str, float]:
    rows = list(rows)
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "area"}


# -- contact sheets --------------------------------------------------------------------------------


def tiles(
    name: str, seed: int, split="sheet", defect: str | None = None, severity: int = 1
) -> list[Image.Image]:
    """One picture of a product; of a damaged one also a copy with the mask's outline."""
    while True:
        try:
            picture = factory.draw(name, seed, DRAWN, defect, severity, split=split)
            break
        except factory.NotShown:
            seed += 1000
    shown = [picture.image]
    if defect:
        reach = [ndimage.binary_dilation(picture.mask, iterations=by) for by in (3, 6)]
        shown.append(
            np.where((reach[1] & ~reach[0])[..., None], np.uint8((255, 0, 255)), picture.image)
        )
    return [
        Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.LANCZOS) for pixels in shown
    ]


def sheet(path: Path, blocks: list[tuple[str, list[Image.Image]]], across: int) -> None:
    """Blocks of pictures with a line of text above each, as a PNG of 256 colours."""
    strip, wide = 18, max(len(row) for _, row in blocks) * TILE + 8
    canvas = Image.new("RGB", (across * wide, -(-len(blocks) // across) * (TILE + strip)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for number, (text, row) in enumerate(blocks):
        x, y = number % across * wide, number // across * (TILE + strip)
        pen.text((x + 2, y + 1), text.replace("_", " "), fill="black", font=font)
        for i, tile in enumerate(row):
            canvas.paste(tile, (x + i * TILE, y + strip))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.quantize(256).save(path.with_name(f".{path.name}"), "PNG", optimize=True)
    os.replace(path.with_name(f".{path.name}"), path)


def normal_blocks(split: str, count: int) -> list[tuple[str, list[Image.Image]]]:
    return [
        (name, [tiles(name, i)[0] for i in range(count)])
        for name, p in PRODUCTS.items()
        if p.split == split
    ]


def unseen_blocks() -> list[tuple[str, list[Image.Image]]]:
    blocks = []
    for number, name in enumerate(factory.jobs("val") + factory.jobs("test")):
        able = factory.kinds_for(name)
        kinds = [able[(3 * number + k) % len(able)] for k in range(3)]
        row = [
            tile
            for k, kind in enumerate(kinds)
            for tile in tiles(name, k, "sheet", kind, (number + k) % 3)
        ]
        blocks.append((f"{name}: normal, {', '.join(kinds)}", tiles(name, 9) + row))
    return blocks


def kind_blocks() -> list[tuple[str, list[Image.Image]]]:
    blocks, carriers = [], ("candle", "pcb2", "brushed_metal", "leaf", "wicker", "cookie")
    for number, kind in enumerate(factory.LOCAL_DEFECTS):
        able = [name for name in carriers if kind in factory.kinds_for(name)]
        for name in (able[number % len(able)], able[(number + 3) % len(able)]):
            row = [tile for severity in range(3) for tile in tiles(name, 20, kind, kind, severity)]
            blocks.append((f"{kind} on {name}: slight, medium, severe", row))
    return blocks


def hard_blocks() -> list[tuple[str, list[Image.Image]]]:
    kinds = factory.STRUCTURAL_DEFECTS
    return [
        (
            f"{name}: normal, {', '.join(kinds)}",
            tiles(name, 30) + [t for k in kinds for t in tiles(name, 30, "hard", k)],
        )
        for name in factory.jobs("test_hard")
    ]


def sheets(folder: Path) -> dict[str, str]:
    """Draw the five sheets; {file name: caption}."""
    made = {
        "train": (
            "Training products with VisA's names, normal parts.",
            normal_blocks("train", 6),
            2,
        ),
        "extension": (
            "The extension of the training products, normal parts.",
            normal_blocks("extension", 3),
            3,
        ),
        "unseen": (
            "Validation (first five) and test products: normal, then damaged and outlined.",
            unseen_blocks(),
            2,
        ),
        "kinds": ("Every local kind of defect in three severities.", kind_blocks(), 2),
        "hard": ("The hard set: structural defects on test products.", hard_blocks(), 1),
    }
    for name, (_, blocks, across) in made.items():
        sheet(folder / f"{name}.png", blocks, across)
    return {f"{name}.png": caption for name, (caption, *_) in made.items()}


# -- the card --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Yardsticks:
    """Measure how hard the factory's world is, draw its contact sheets and write its card."""

    out: str = "data"  # folder: README.md and sheets/ go there
    unet_steps: int = 1100  # steps of 16 pictures that the U-Net learns
    threads: int = 2  # CPU threads


def rule_table(rules: dict[str, dict[str, dict]]) -> str:
    lines = [
        "| rule | pixel AUROC | objects | textures | inside the object | peak on the defect | "
        "image AUROC |"
    ]
    lines.append("| --- |" + " ---: |" * 6)
    for rule, rows in rules.items():
        whole, groups = mean(rows.values()), []
        for texture in (False, True):
            groups.append(
                np.mean(
                    [r["pixel_auroc"] for n, r in rows.items() if PRODUCTS[n].texture == texture]
                )
            )
        cells = (
            whole["pixel_auroc"],
            *groups,
            whole["inside_auroc"],
            whole["peak_hit"],
            whole["image_auroc"],
        )
        lines.append(
            f"| {rule.replace('_', ' ')} | " + " | ".join(f"{value:.3f}" for value in cells) + " |"
        )
    return "\n".join(lines)


def class_table(rows: dict[str, dict]) -> str:
    lines = [
        "| product | pixel AUROC | inside the object | peak on the defect |",
        "| --- |" + " ---: |" * 3,
    ]
    for name, row in rows.items():
        cells = (row[key] for key in ("pixel_auroc", "inside_auroc", "peak_hit"))
        lines.append(
            f"| {name.replace('_', ' ')} | " + " | ".join(f"{value:.3f}" for value in cells) + " |"
        )
    return "\n".join(lines)


def kind_table(kinds: dict[str, dict]) -> str:
    lines = [
        "| kind | mask, share of the picture: 10 %, median, 90 % | U-Net pixel AUROC | inside | "
        "peak on the defect |"
    ]
    lines.append("| --- |" + " ---: |" * 4)
    for kind, row in sorted(kinds.items()):
        low, middle, high = np.percentile(row["areas"] * 100, (10, 50, 90))
        cells = " | ".join(f"{row[key]:.3f}" for key in ("pixel_auroc", "inside_auroc", "peak_hit"))
        lines.append(
            f"| {kind.replace('_', ' ')} | {low:.1f}, {middle:.1f}, {high:.1f} % | {cells} |"
        )
    return "\n".join(lines)


def count_table() -> str:
    lines = [
        "| set | products | normal | defective | each product |",
        "| --- |" + " ---: |" * 3 + " --- |",
    ]
    for split in factory.SPLITS:
        extra, normal, damaged = factory.COUNTS[split]
        count = len(factory.jobs(split))
        each = f"{normal} normal and {damaged} defective" + (
            f", and {extra} normal for calibration" if extra else ""
        )
        lines.append(f"| {split} | {count} | {count * normal} | {count * damaged} | {each} |")
    return "\n".join(lines)


def run(options: Yardsticks) -> int:
    """Draw, teach, measure, write. Exit code 1 if a yardstick is missed."""
    torch.set_num_threads(options.threads)
    out = Path(options.out)
    captions = sheets(out / "sheets")
    train, began = open_dataset("factory/train"), time.process_time()
    unet = train_unet(train, options.unet_steps)
    minutes = (time.process_time() - began) / 60
    parts, missed = [], []
    for split in ("val", "test"):
        rules, kinds = measure(open_dataset(f"factory/{split}"), unet)
        figures = {rule: mean(rows.values()) for rule, rows in rules.items()}
        cheat = max(row["pixel_auroc"] for rule, row in figures.items() if rule != "U-Net")
        taught = figures["U-Net"]
        if cheat > GOALS["trivial"]:
            missed.append(f"{split}: a trivial rule reaches {cheat:.3f}, above {GOALS['trivial']}")
        if split == "val":
            missed += [
                f"val: the U-Net's {name} is {taught[name]:.3f}, below {goal}"
                for name, goal in (
                    ("pixel_auroc", GOALS["whole"]),
                    ("inside_auroc", GOALS["inside"]),
                )
                if taught[name] < goal
            ]
        parts += [
            f"### factory/{split}",
            rule_table(rules),
            class_table(rules["U-Net"]),
            kind_table(kinds),
        ]
    pictures = "\n\n".join(
        f"![{text}](sheets/{name})\n\n*{text}*" for name, text in captions.items()
    )
    verdict = "Both yardsticks hold." if not missed else "Missed: " + "; ".join(missed) + "."
    text = CARD.format(
        counts=count_table(),
        tables="\n\n".join(parts),
        pictures=pictures,
        verdict=verdict,
        today=date.today(),
        minutes=minutes,
        steps=options.unet_steps,
        threads=options.threads,
        weights=sum(p.numel() for p in unet.parameters()),
        **GOALS,
    )
    (out / ".README.tmp").write_text(text)
    os.replace(out / ".README.tmp", out / "README.md")
    print(f"{verdict}\n{out / 'README.md'}")
    return int(bool(missed))


CARD = """# The data

- `lite_clip/`: the embedded CLIP, with its own card. `checkpoints/`: the shipped adapters, with theirs.
- `factory/` (drawn on first use, not kept in git): the data sets below, in MVTec AD's folders with a manifest.
- `sheets/`: the contact sheets below.

Real data sets stay where you keep them: `aa.open_dataset("path/to/mvtec")` reads the layouts of MVTec AD, MVTec AD 2,
VisA, BTAD, MPDD, AA-CLIP's medical sets and manifests, and plain folders. None is shipped, and none was used here.

## The factory

Products drawn by `aaclip_lite/products.py` and lit by `canvas.py`; defects edit the layers before the light falls on
them, and a mask is what the defect changed. This card is made by `python -m aaclip_lite yardsticks`.

{counts}

{pictures}

## Two yardsticks of difficulty

Measured {today} on {threads} threads of a cloud machine's CPU (shared with other work); one seed. Means over the
products.

1. **It can't be cheated**: no trivial rule reaches {trivial:.2f} pixel AUROC on the mean of the products.
2. **It can be learned**: a supervised U-Net ({weights:,} weights, {steps:,} steps of 16 pictures of the training
   products, {minutes:.0f} minutes of CPU time) reaches at least {whole:.2f}, and {inside:.2f} inside the object, on the
   validation products.

**{verdict}**

{tables}
"""
