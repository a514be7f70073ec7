"""The shipped detector, trained on drawn pictures only, on real photographs that you have.

Special: zero-shot beside the trivial rules at two reading sizes, with a memory of K sound parts
(`remember`), trained onwards on K pictures (half of them sound), and both.
Sets are found below --root as they come; which pictures are judged follows from --count alone.
Rows are kept in real.jsonl, the table in docs/real_photographs.md.

    python -m aaclip_lite lab real --root photographs
    python -m aaclip_lite lab real --report                # the table from the stored rows
"""

import math
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files import keep
from ..files.photographs import SETS, Part, Photographs, find, manifest_line
from ..load import load_clip
from ..model import AdaptedCLIP
from ..service.runs import train_image
from . import study

FIGURES = ("image_auroc", "pixel_auroc", "peak_hit")
SHOWN = ("image_auroc", "map_auroc", "pixel_auroc", "peak_hit")
WANTED = ("zero-shot", "4 references", "16 references", "trained on 16", "trained on 32")
RULES = ("darkness", "local_contrast", "edge_density")  # trivial rules shown beside the detector
HEADS = ("set", "px", "how", "seeds", "image AUROC", "by the map", "pixel AUROC", "peak on it")


@dataclass(frozen=True)
class Real:
    """Judge a detector on the public sets of real photographs that lie below a folder."""

    root: str = ""  # folder with DeepPCB, CrackForest or the magnetic tiles, as they come
    detector: str = "course"
    sizes: tuple[int, ...] = (128, 256)  # pixels at which a photograph is read
    references: tuple[int, ...] = (4, 16)  # sound parts that the detector remembers
    shots: tuple[int, ...] = (16, 32)  # pictures to train onwards on, at the first size
    steps: int = 150  # of this training
    batch: int = 8  # pictures in a step
    seeds: tuple[int, ...] = (0, 1, 2)  # they choose the references and the shots
    count: int = 50  # at most so many sound and so many defective pictures of each set
    data: str = "data/bench/real.jsonl"  # where the rows are kept
    # rows of a detector on a real CLIP, made by --data with that name: the second table
    real_clip: str = "data/bench/real_clip.jsonl"
    masks: str = "build/real"  # folder for what is made meanwhile: masks, trained adapters
    out: str = "docs/real_photographs.md"
    minutes: float | None = None  # begin no measurement after so many minutes
    report: bool = False  # measure nothing: only write the table again


def run(options: Real) -> Path:
    if not options.report:
        if not options.root:
            raise ValueError("--root: name the folder with the sets, or use --report")
        words, memory = probe(options)
        stored = study.read(options.data)
        fresh = [row for row in stored if row.get("probe") in (words, memory)]
        if len(fresh) < len(stored):
            print(f"the detector has changed: {len(stored) - len(fresh)} rows are measured anew")
            keep.write_jsonl(options.data, fresh)
        settings = {"detector": options.detector, "count": options.count}
        log = study.Study(options.data, settings, options.minutes, "--data")
        for photographs in find(options.root).values():
            measure(log, photographs, options, words, memory)
    text = card(study.read(options.data), study.read(options.real_clip))
    print(keep.write_text(options.out, text))
    return Path(options.out)


def probe(options: Real) -> list[float]:
    """What the detector says of noise, by words and with other noise remembered. Every row keeps
    the one it rests on: with other weights or another rule of the score it is another.
    """
    detector = _detector(options, 128)
    noise = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    before = detector.predict(noise[0]).score
    detector.remember(noise[1:])
    return [round(score, 1) for score in (before, detector.predict(noise[0]).score)]


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


def measure(
    log: study.Study, photographs: Photographs, options: Real, words: float, memory: float
) -> None:
    """Add to the log what is missing for one set. words, memory: what the detector's rows rest on."""
    read = partial(opened, photographs, options.masks)
    for size in options.sizes:
        key = {"set": photographs.name, "size": size, "probe": words}
        data = read(size, "test", options.count)
        train = read(size, "train", options.count)
        log.run(key | {"how": "zero-shot"}, partial(_zero_shot, options, data))
        shots = options.shots if size == options.sizes[0] else ()
        ways = [(0, n) for n in options.references]
        ways += [(k, n) for k in shots for n in (0, *options.references[-1:])]
        for seed, (k, n) in product(options.seeds, ways):
            length = {"steps": options.steps, "batch": options.batch} if k else {}
            how = [f"trained on {k}"] * bool(k) + [f"{n} references"] * bool(n)
            told = {"how": ", ".join(how), "seed": seed, "probe": memory if n else words}
            log.run(key | told | length, partial(_taught, options, data, train, seed, k, n))


def _detector(options: Real, size: int) -> AnomalyDetector:
    """The detector, its own backbone reading pictures at this size."""
    known = AnomalyDetector.load(options.detector).backbone
    return AnomalyDetector.load(options.detector, load_clip(**known | {"image_size": size}))


def _zero_shot(options: Real, data: AnomalyDataset) -> list[dict]:
    """The detector, and in rows of their own the trivial rules and the frozen words."""
    detector = _detector(options, data.size)
    rows = [{"how": "zero-shot"} | _figures(detector, data)]
    known_less = study.judge(detector.model, data, baselines=True).baselines
    for name in (*RULES, "frozen"):
        rows.append({"how": name} | {figure: known_less[name][figure] for figure in FIGURES})
    labels = [record.label for record in data.records]
    counts = {"sound": labels.count(0), "defective": labels.count(1)}
    return [row | counts for row in rows]


def _figures(detector: AnomalyDetector, data: AnomalyDataset) -> dict:
    """Its figures; "map_auroc" ranks the pictures by their hottest pixels alone, without the
    detection feature.
    """
    figures = study.figures(detector, data, FIGURES)
    model = detector.model
    kept = model.recipe
    model.recipe = kept.replace(image_score="map_top")
    figures["map_auroc"] = study.figures(detector, data, FIGURES)["image_auroc"]
    model.recipe = kept
    return figures


def _taught(
    options: Real, data: AnomalyDataset, train: AnomalyDataset, seed: int, k: int, n: int
) -> dict:
    """The detector's figures once stage 2 went on with k training pictures, and once it remembers n
    sound ones, both drawn by the seed; 0: it does not.
    """
    detector = _detector(options, data.size)
    if k:
        _go_on(detector.model, options, train.few_shot(k, seed), seed)
    if n:
        sound = train.filter(labels=0)
        drawn = np.random.default_rng(seed).permutation(len(sound))[:n]
        detector.remember([sound[i].image for i in drawn], data.classes[0])
    return _figures(detector, data)


def _go_on(model: AdaptedCLIP, options: Real, few: AnomalyDataset, seed: int) -> None:
    """Stage 2 goes on from the shipped adapters; what it makes of them is kept, and made once."""
    model.recipe = model.recipe.of_length(model.recipe.text_steps, options.steps)
    length = f"{options.steps} x {options.batch} steps"
    name = f"{length} on {len(few)}, seed {seed}, from {probe(options)[0]}"
    out = Path(options.masks) / few.classes[0] / name
    torch.manual_seed(seed)
    done = train_image(model, few, out, seed=seed, batch=options.batch, progress=False)
    if not done.finished:  # Ctrl-C, which it keeps to itself
        raise KeyboardInterrupt


# ---- the table -----------------------------------------------------------------------------------


def card(rows: list[dict], of_real_clip: list[dict] = ()) -> str:
    counts = {
        row["set"]: f"{row['set']} {row['sound']} sound and {row['defective']} defective"
        for row in rows
        if "sound" in row
    }
    return study.template("real")["card"].format(
        counts="; ".join(counts.values()) or "none yet",
        table=_table(rows),
        real_clip=_table(of_real_clip),
    )


def _table(rows: list[dict]) -> str:
    """One line for each set, size and way; what nobody measured yet has an empty one."""
    lines = [list(HEADS)]
    known = {(row["set"], row["how"]) for row in rows}
    blank = [{"set": s, "how": h} for s in SETS for h in WANTED if (s, h) not in known]
    kinds = [(r["set"], r.get("size", ""), _how(r)) for r in [*rows, *blank]]
    for name, size, how in sorted(dict.fromkeys(kinds), key=lambda k: (k[0], k[1] or math.inf)):
        mine = [r for r, kind in zip(rows, kinds, strict=False) if kind == (name, size, how)]
        columns = ([row[figure] for row in mine if figure in row] for figure in SHOWN)
        spans = [study.spoken_mean(values) if values else "" for values in columns]
        lines.append([name, size, study.words(how), len(mine) or "", *spans])
    return study.table(lines, "lrlrrrrr")


def _how(row: dict) -> str:
    """Trainings of another length are another line of the table."""
    length = f" ({row['steps']} x {row['batch']})" if "steps" in row else ""
    return row["how"] + length
