"""The shipped detector, trained on drawn pictures only, on real photographs that you have.

Special: zero-shot beside the trivial rules at two reading sizes, with a memory of K sound parts
(`remember`), trained onwards on K pictures (half of them sound), and both.
Sets are found below --root as they come; which pictures are judged follows from --count alone.
Rows are kept in real.jsonl, the table in docs/real_photographs.md.

    python -m aaclip_lite lab real --root photographs
    python -m aaclip_lite lab real --report                # the table from the stored rows
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files import keep
from ..files.photographs import SETS, Part, Photographs, find, manifest_line
from ..load import load_clip
from ..service.runs import train_image
from . import cards, study

FIGURES = ("image_auroc", "pixel_auroc", "peak_hit")
RULES = ("darkness", "local_contrast", "edge_density")  # trivial rules shown beside the detector
HEADS = ("set", "read at", "how", "seeds", "image AUROC", "pixel AUROC", "peak on the defect")


@dataclass(frozen=True)
class Real:
    """Judge a detector on the public sets of real photographs that lie below a folder."""

    root: str = ""  # folder with DeepPCB, CrackForest or the magnetic tiles, as they come
    detector: str = "course"
    sizes: tuple[int, ...] = (128, 256)  # pixels at which a photograph is read
    references: tuple[int, ...] = (4, 16)  # sound parts that the detector remembers
    shots: tuple[int, ...] = (16, 32)  # pictures to train onwards on, at the first size
    steps: int = 150  # of this training
    batch: int = 16  # pictures in a step
    seeds: tuple[int, ...] = (0, 1, 2)  # they choose the references and the shots
    count: int = 100  # at most so many sound and so many defective pictures of each set
    data: str = "data/bench/real.jsonl"  # where the rows are kept
    masks: str = "build/real"  # folder for masks made from boxes and segmentations
    out: str = "docs/real_photographs.md"
    minutes: float | None = None  # begin no measurement after so many minutes
    report: bool = False  # measure nothing: only write the table again


def run(options: Real) -> Path:
    settings = {"detector": options.detector, "count": options.count}
    if not options.report:
        if not options.root:
            raise ValueError("--root: name the folder with the sets, or use --report")
        log = study.Study(options.data, settings, options.minutes)
        for photographs in find(options.root).values():
            measure(log, photographs, options)
    return cards.write(options.out, card(study.read(options.data)))


def opened(
    photographs: Photographs, folder: str | Path, size: int, split: str = "test", count: int = 100
) -> AnomalyDataset:
    """At most `count` sound and `count` defective pictures of a split, at size x size; masks and a
    manifest are written into `folder`.
    """
    folder = Path(folder) / photographs.name
    chosen = []
    for label in (False, True):
        mine = [p for p in photographs.parts if p.split == split and bool(p.defect) == label]
        chosen += spread(mine, count)
    lines = [manifest_line(part, photographs, folder) for part in chosen]
    manifest = keep.write_jsonl(folder / f"{split}.jsonl", lines)
    # a thin crack may vanish from the mask when it is made small; equal pictures are the set's own;
    # pictures lie elsewhere than the manifest
    return open_dataset(manifest, size=size, allow=("content", "duplicate", "path"))


def spread(parts: list[Part], count: int) -> list[Part]:
    """`count` of them evenly over their order; all where there are fewer."""
    chosen = np.linspace(0, len(parts) - 1, min(count, len(parts))).round().astype(int)
    return [parts[i] for i in chosen]


def measure(log: study.Study, photographs: Photographs, options: Real) -> None:
    """Add to the log what is missing for one set."""
    read = partial(opened, photographs, options.masks)
    for size in options.sizes:
        key = {"set": photographs.name, "size": size}
        data = read(size, "test", options.count)
        train = read(size, "train", options.count)
        log.run(key | {"how": "zero-shot"}, partial(_zero_shot, options, data))
        for seed in options.seeds:
            for k in options.references:
                how = {"how": f"{k} references", "seed": seed}
                log.run(key | how, partial(_with_references, options, data, train, k, seed))
            if size == options.sizes[0]:
                for k in options.shots:
                    how = {"how": f"trained on {k}", "seed": seed}
                    how |= {"steps": options.steps, "batch": options.batch}
                    log.run(key | how, partial(_trained, options, data, train, k, seed))


def _detector(options: Real, size: int) -> AnomalyDetector:
    """The detector, its backbone reading pictures at this size."""
    return AnomalyDetector.load(options.detector, clip=load_clip("lite", image_size=size))


def _zero_shot(options: Real, data: AnomalyDataset) -> list[dict]:
    """The detector, and in rows of their own the trivial rules and the frozen words."""
    report = study.judge(_detector(options, data.size).model, data, baselines=True)
    found = {"zero-shot": report.mean}
    found |= {name: report.baselines[name] for name in (*RULES, "frozen")}
    labels = [record.label for record in data.records]
    counts = {"sound": labels.count(0), "defective": labels.count(1)}
    return [
        {"how": how} | counts | {name: row[name] for name in FIGURES} for how, row in found.items()
    ]


def _with_references(options: Real, data: AnomalyDataset, *drawn) -> dict:
    return _remembered(_detector(options, data.size), data, *drawn)


def _remembered(
    detector: AnomalyDetector, data: AnomalyDataset, train: AnomalyDataset, k: int, seed: int
) -> dict:
    """The detector's figures once it remembers k sound parts, drawn from the training pictures."""
    sound = train.filter(labels=0)
    drawn = np.random.default_rng(seed).permutation(len(sound))[:k]
    detector.remember([sound[i].image for i in drawn], data.classes[0])
    return study.figures(detector, data, FIGURES)


def _trained(
    options: Real, data: AnomalyDataset, train: AnomalyDataset, k: int, seed: int
) -> list[dict]:
    """Stage 2 goes on from the shipped adapters; in rows of their own, with references besides."""
    detector = _detector(options, data.size)
    model = detector.model
    model.recipe = model.recipe.of_length(model.recipe.text_steps, options.steps)
    torch.manual_seed(seed)
    began = study.cpu_seconds()
    with tempfile.TemporaryDirectory() as out:
        train_image(
            model, train.few_shot(k, seed), out, seed=seed, batch=options.batch, progress=False
        )
    spent = {"cpu_seconds": round(study.cpu_seconds() - began)}
    rows = [spent | study.figures(model, data, FIGURES)]
    for n in options.references[-1:]:
        both = {"how": f"trained on {k}, {n} references"}
        rows.append(both | _remembered(detector, data, train, n, seed))
    return rows


# ---- the table -----------------------------------------------------------------------------------


def card(rows: list[dict]) -> str:
    parts = cards.template("real")
    lines = [list(HEADS)]
    kinds = [(r["set"], r["size"], _how(r)) for r in rows]
    for name, size, how in sorted(set(kinds), key=lambda kind: (kind[:2], kinds.index(kind))):
        mine = [r for r, kind in zip(rows, kinds, strict=True) if kind == (name, size, how)]
        spans = [study.spoken(study.interval([row[f] for row in mine])) for f in FIGURES]
        lines.append([name, f"{size} px", cards.words(how), len(mine), *spans])
    counts = {
        row["set"]: f"{row['set']} {row['sound']} sound and {row['defective']} defective"
        for row in rows
        if "sound" in row
    }
    known = " ".join(f"{row['set']} {row['how']}" for row in rows)
    wanted = {name: name for name in SETS}
    wanted |= {"references": "a memory of sound parts", "trained on": "training onwards"}
    missing = [spoken for name, spoken in wanted.items() if name not in known]
    return parts["card"].format(
        table=cards.table(lines, "lllrrrr"),
        counts="; ".join(counts.values()) or "none yet",
        missing=parts["missing"].format(what=", ".join(missing)) if missing else "",
    )


def _how(row: dict) -> str:
    """Trainings of another length are another line of the table."""
    length = f" ({row['steps']} x {row['batch']})" if "steps" in row else ""
    return row["how"] + length
