"""How hard is the factory's world: two yardsticks, and the data card that reports them beside
contact sheets.

Trivial rules (brightness, distance from the median colour, ...) must fail: the world can't be
cheated. A small U-Net, supervised on the training products for a few minutes, must find damage on
products it has never seen: the world can be learned. Special: both are measured on the wild sets and
on the stations (what references add there: `deciding`), class by class, inside the object beside the
whole picture; the figures are kept in yardsticks.json.

    python -m aaclip_lite lab yardsticks                   # draws, measures, writes data/README.md
    python -m aaclip_lite lab yardsticks --report          # the card from yardsticks.json
"""

import json
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import scoring
from ..datasets import AnomalyDataset, open_dataset
from ..evaluation import MapsAndScores, Options
from ..files import keep
from ..files.report import assemble
from ..files.tally import Ruler
from ..service.baselines import trivial_maps
from ..world import factory
from . import study
from .sheets import CAPTIONS, sheets

SETS = ("val_wild", "test_wild", "val", "test")
GOALS = {"trivial": 0.70, "whole": 0.88, "inside": 0.82}
MAPS = ("pixel_auroc", "inside_auroc", "peak_hit")


@dataclass(frozen=True)
class Yardsticks:
    """Measure how hard the factory's world is, draw its contact sheets and write its card."""

    out: str = "data"  # folder: README.md, yardsticks.json and sheets/ go there
    unet_steps: int = 1100  # steps of 16 pictures that the U-Net learns
    threads: int = 2  # CPU threads
    report: bool = False  # measure and draw nothing: only write the card again


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

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        """Pictures in [0, 1], sides multiples of 16 -> logits of damage."""
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


def train_unet(data: AnomalyDataset, steps: int, lr: float = 3e-3) -> UNet:
    """A U-Net taught by the masks of the training products."""
    samples = [data[i] for i in tqdm(range(len(data)), desc="reading", leave=False)]
    images = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([s.mask for s in samples]))
    torch.manual_seed(0)
    model = UNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    for step in tqdm(range(steps), desc="teaching a U-Net", unit="step"):
        wave = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * wave
        x, y = _augmented(images, masks)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x)
        logits = logits.float()
        p = logits.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(logits, y, reduction="none") * (1 + 6 * y)
        dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
        optimizer.zero_grad()
        (entropy.mean() + dice).backward()
        optimizer.step()
    return model.eval()


def _augmented(images: Tensor, masks: Tensor, batch: int = 16) -> tuple[Tensor, Tensor]:
    """Pictures drawn by lot, turned, mirrored and re-lit, with their masks."""
    chosen = torch.randint(len(images), (batch,))
    turns = int(torch.randint(4, ()))
    x = (images[chosen].float() / 255).rot90(turns, (2, 3))
    y = masks[chosen].float().rot90(turns, (1, 2))
    if torch.rand(()) < 0.5:
        x = x.flip(3)
        y = y.flip(2)
    return x * torch.empty(batch, 3, 1, 1).uniform_(0.85, 1.15), y


# ---- measuring -----------------------------------------------------------------------------------


def measure(data: AnomalyDataset, unet: nn.Module) -> dict:
    """{"rules": means of each rule and the U-Net, "classes": the U-Net's by class, "kinds": its by
    kind of defect}.
    """

    def judged(batch: dict) -> MapsAndScores:
        maps = unet(batch["image"]).float()
        return {"": (maps, scoring.top_fraction(maps))}

    options = Options(rounds=1, batch_size=64)
    ruler = Ruler([judged, trivial_maps], None, torch.device("cpu"), options)
    report = assemble(ruler.judge_all(data), {}, study.GROUPS)
    areas: dict[str, list[float]] = {}
    for sample in (data[i] for i, record in enumerate(data.records) if record.label):
        areas.setdefault(sample.defect, []).append(100 * float(sample.mask.mean()))
    rules = report.baseline_classes | {"U-Net": report.classes}
    return {
        "rules": {rule: _over_classes(rows) for rule, rows in rules.items()},
        "classes": {name: _only(row, MAPS) for name, row in report.classes.items()},
        "kinds": {
            kind: _only(row, MAPS) | {"area": np.percentile(areas[kind], (10, 50, 90)).tolist()}
            for kind, row in report.defects.items()
        },
    }


def _only(row: dict, names: tuple[str, ...]) -> dict:
    return {name: row[name] for name in names}


def _over_classes(rows: dict[str, dict]) -> dict[str, float]:
    def mean(key: str, group: str | None = None) -> float:
        mine = [row[key] for name, row in rows.items() if group in (None, study.GROUPS[name])]
        return float(np.mean(mine))

    means = {key: mean(key) for key in (*MAPS, "image_auroc")}
    return means | {group: mean("pixel_auroc", group) for group in ("objects", "textures")}


def missed(splits: dict[str, dict]) -> list[str]:
    """What does not hold, in words."""
    misses = []
    for split, figures in splits.items():
        rules = figures["rules"]
        cheat = max(row["pixel_auroc"] for rule, row in rules.items() if rule != "U-Net")
        if cheat > GOALS["trivial"]:
            misses.append(f"{split}: a trivial rule reaches {cheat:.3f}, above {GOALS['trivial']}")
    taught = splits["val_wild"]["rules"]["U-Net"]
    for key, goal in (("pixel_auroc", GOALS["whole"]), ("inside_auroc", GOALS["inside"])):
        if taught[key] < goal:
            misses.append(f"val_wild: the U-Net's {key} is {taught[key]:.3f}, below {goal}")
    return misses


def run(options: Yardsticks) -> int:
    """Draw, teach, measure, write. Exit code 1 if a yardstick is missed."""
    out = Path(options.out)
    measured = out / "yardsticks.json"
    if options.report:
        if not measured.is_file():
            raise FileNotFoundError(f"no {measured} to report on: leave --report out, to measure")
        figures = json.loads(measured.read_text(encoding="utf-8"))
    else:
        torch.set_num_threads(options.threads)
        sheets(out / "sheets")
        began = study.cpu_seconds()
        unet = train_unet(open_dataset("factory/train"), options.unet_steps)
        figures = {
            "measured": str(date.today()),
            "threads": options.threads,
            "minutes": (study.cpu_seconds() - began) / 60,
            "steps": options.unet_steps,
            "weights": sum(p.numel() for p in unet.parameters()),
            "splits": {s: measure(open_dataset(f"factory/{s}"), unet) for s in SETS},
        }
        keep.write_json(measured, figures)
    print(keep.write_text(out / "README.md", card(figures)))
    return int(bool(missed(figures["splits"])))


# ---- the card ------------------------------------------------------------------------------------


def card(figures: dict) -> str:
    wrong = missed(figures["splits"])
    parts = []
    for split, measured in figures["splits"].items():
        parts += [f"### factory/{split}", *tables(measured)]
    pictures = [f"![{text}](sheets/{name}.png)\n\n*{text}*" for name, text in CAPTIONS.items()]
    return study.template("yardsticks")["card"].format(
        counts=count_table(),
        tables="\n\n".join(parts),
        pictures="\n\n".join(pictures),
        verdict=f"Missed: {'; '.join(wrong)}." if wrong else "Both yardsticks hold.",
        **(figures | GOALS),
    )


def tables(figures: dict) -> list[str]:
    """Of one data set: rules, classes, kinds of defect."""
    inside = "inside the object"
    peak = "peak on the defect"
    rules = ["rule", "pixel AUROC", "objects", "textures", inside, peak, "image AUROC"]
    order = ("pixel_auroc", "objects", "textures", "inside_auroc", "peak_hit", "image_auroc")
    share = "mask, share of the picture: 10 %, median, 90 %"
    kinds = [["kind", share, "U-Net pixel AUROC", "inside", peak]]
    for kind, row in figures["kinds"].items():
        area = ", ".join(f"{value:.1f}" for value in row["area"])
        kinds.append([study.words(kind), f"{area} %", *(row[key] for key in MAPS)])
    classes = ["product", "pixel AUROC", inside, peak]
    return [
        study.table([rules, *study.figure_rows(figures["rules"], order)]),
        study.table([classes, *study.figure_rows(figures["classes"], MAPS)]),
        study.table(kinds),
    ]


def count_table() -> str:
    rows = [["set", "products", "normal", "defective", "each product"]]
    for split in factory.SPLITS:
        extra, normal, damaged = factory.COUNTS[split]
        count = len(factory.jobs(split))
        each = f"{normal} normal and {damaged} defective"
        each += f", and {extra} normal for calibration" if extra else ""
        rows.append([split, count, count * normal, count * damaged, each])
    return study.table(rows, "lrrrl")
