"""Did a run learn, as far as its log tells: epochs, losses beside empty answers, times.

Special: losses stand beside what the answer "all normal" and a coin toss cost on such masks; what
was assumed about the masks is said.
Use: `print(doctor.log("runs/a"))`, `doctor.log("ckpt/train.log", data=data)`, or a list of lines.
"""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import read_metadata
from ..files.weights import WeightsError
from .balance import all_normal, coin_toss
from .finding import Finding, conclude, mean_and_error, shown
from .loglines import Entry, Parsed, parse
from .stored import written

NAMES = ("text.jsonl", "image.jsonl", "train.log")
STAGES = ("text", "image")
# what the public code trains where its log does not say otherwise
PUBLIC_EPOCHS = {"text": 5, "image": 20}
PUBLIC_LEVELS = {"text": 1, "image": 4}
SIDE = 64  # of the masks that the null values are computed on


def log(
    path_or_lines: str | os.PathLike | Iterable[str],
    data=None,
    planned: Mapping[str, int] | None = None,
    abnormal: float = 0.5,
    area: float = 0.05,
) -> Finding:
    """A log file, a run's folder, or lines.

    data: the training set, whose masks give the null values; without it `abnormal` (share of
    defective pictures) and `area` (of a defect) are assumed. planned: {"text": epochs or steps}.
    """
    subject, parsed, notes, homes = _read(path_or_lines)
    if not any(parsed.entries.values()):
        why = 'no line says "training text epoch N:" or is a row with "step" and "loss"'
        return conclude("log", subject, {"unreadable": [why]}, (), notes)
    masks = _masks(data, abnormal, area)
    if data is None:
        notes.append(
            f"null values assume {abnormal:.0%} defective pictures and defects of {area:.0%}: give "
            "data= for the true ones"
        )
    found, rows = defaultdict(list), []
    for stage in STAGES:
        if entries := parsed.entries.get(stage):
            length = _planned(stage, parsed, planned, homes)
            _examine_order(stage, entries, parsed.units[stage], length, found)
            levels = _levels(stage, parsed.units[stage], homes)
            rows.append(_row(stage, entries, parsed.units[stage], (masks, levels), found))
    if parsed.units.get("text") == "epoch" and not parsed.entries.get("image"):
        found["stopped"].append("stage image never began")
    backwards = sum(later < earlier for earlier, later in pairwise(parsed.times))
    if parsed.times:
        notes.append(f"times from {parsed.times[0]} to {parsed.times[-1]}")
    if backwards:
        found["out of order"].append(f"times go back {backwards} times: several runs in one file")
    return conclude("log", subject, found, rows, notes)


def _read(given) -> tuple[str, Parsed, list[str], dict[str, Path]]:
    """(what it is, its entries, notes on file times, {stage: adapters that lie beside it})."""
    if isinstance(given, str) and "\n" in given:
        given = given.splitlines()
    if not isinstance(given, str | os.PathLike):
        return "log", parse(given), [], {}
    path = Path(given)
    files = [path]
    if path.is_dir():
        files = [path / name for name in NAMES if (path / name).is_file()]
        if not files:
            raise FileNotFoundError(f"{path} holds no log: none of {', '.join(NAMES)} is there")
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: no such log; check the path")
    parsed, notes, homes = Parsed(), [], {}
    for file in files:
        stage = file.stem if file.stem in STAGES else None
        text = file.read_text(encoding="utf-8", errors="replace")
        parsed.add(parse(text.splitlines(), stage))
        notes.append(f"{file.name} was written last at {written(file)}")
    folder = path if path.is_dir() else path.parent
    for stage in STAGES:
        home = folder / f"{stage}.safetensors"
        if home.is_file():
            homes[stage] = home
    if len(homes) == 2 and written(homes["image"]) < written(homes["text"]):
        notes.append("image.safetensors is older than text.safetensors: stage 2 saw other words")
    return str(path), parsed, notes, homes


def _header(stage: str, homes: Mapping[str, Path]) -> dict:
    if stage not in homes:
        return {}
    try:
        return read_metadata(homes[stage])
    except (WeightsError, ValueError):  # the checkpoint's own examination says what is wrong
        return {}


def _planned(stage: str, parsed: Parsed, planned, homes) -> int | None:
    """How many epochs or steps the stage was to have; None where nobody says."""
    if planned and stage in planned:
        return planned[stage]
    if parsed.units[stage] == "step":
        return _header(stage, homes).get("steps")
    return int(parsed.args.get(f"{stage}_epoch", PUBLIC_EPOCHS[stage]))


def _levels(stage: str, unit: str, homes) -> int:
    if unit == "epoch":
        return PUBLIC_LEVELS[stage]
    header = _header(stage, homes)
    if not header:
        return 4
    if stage == "text" and header["recipe"].stage1_levels == "last":
        return 1
    home = header["backbone"]
    return len(header["recipe"].resolve(home["vision_blocks"], home["text_blocks_count"]).levels)


def _examine_order(
    stage: str, entries: list[Entry], unit: str, planned: int | None, found: dict[str, list[str]]
) -> None:
    """Doubled, missing and misplaced numbers, and an early end."""
    numbers = [entry.number for entry in entries]
    first = 0 if unit == "epoch" else 1
    doubled = sorted(number for number, times in Counter(numbers).items() if times > 1)
    edges = pairwise(sorted({first - 1, *numbers}))
    # a damaged line may claim any number: a gap is listed up to a thousand
    missing = [n for a, b in edges for n in range(a + 1, min(b, a + 1001))]
    back = sum(later < earlier for earlier, later in pairwise(numbers))
    if doubled:
        found["doubled"].append(
            f"{stage}: {unit} {_some(doubled)} logged more than once: two runs in one file?"
        )
    elif back:
        found["out of order"].append(f"{stage}: {unit}s go back {back} times")
    if missing:
        found["gaps"].append(f"{stage}: {unit} {_some(missing)} missing")
    silent = [entry.number for entry in entries if entry.loss is None]
    last = max((e.number for e in entries if e.loss is not None), default=first - 1)
    if planned is not None and last < planned - 1 + first:
        found["stopped"].append(f"{stage}: {last + 1 - first} of {planned} {unit}s have a loss")
    elif silent:
        found["gaps"].append(f"{stage}: {unit} {_some(silent)} began and has no loss")


def _row(stage: str, entries: list[Entry], unit: str, nulls, found) -> dict:
    """First and last loss beside the empty answers; what is wrong goes into `found`."""
    masks, levels = nulls
    part = all(entry.segmentation is not None for entry in entries)
    losses = [entry.segmentation if part else entry.loss for entry in entries]
    losses = [loss for loss in losses if loss is not None]
    row = {"stage": stage, "unit": unit, "found": len(entries)}
    normal, coin = (levels * sum(parts(masks).values()) for parts in (all_normal, coin_toss))
    if stage == "image" and not part:
        share = float(masks.flatten(1).amax(1).mean())
        normal += _entropy(share)
        coin += math.log(2)
    row |= {"what": "segmentation" if part else "loss", "first": None, "last": None, "±": None}
    row |= {"all normal": normal, "coin toss": coin}
    bad = [e.number for e in entries if e.loss is not None and not math.isfinite(e.loss)]
    if bad:
        found["not finite"].append(f"{stage}: loss of {unit} {_some(bad)} is not a number")
    elif losses:
        tail = losses[-1:] if unit == "epoch" else losses[-max(1, len(losses) // 5) :]
        last, error = mean_and_error(tail)
        row |= {"first": losses[0], "last": last, "±": error}
        null = min(normal, coin)
        if not last < null - 2 * (error or 0.0):
            sure = f", by twice its error of {shown(error)}" if last < null else ""
            found["at null"].append(
                f"{stage}: the last {row['what']}, {shown(last)}, is not below an empty answer's "
                f"{shown(null)} ({'all normal' if normal < coin else 'coin toss'}){sure}"
            )
    return row


def _masks(data, abnormal: float, area: float) -> Tensor:
    """(B, 1, S, S): masks with the areas of the data set's, or with those assumed.

    The null values depend on nothing but each picture's defect area.
    """
    if data is None:
        defective = round(20 * abnormal)
        areas = [area] * defective + [0.0] * (20 - defective)
    else:
        step = max(1, len(data) // 200)
        samples = (data[index] for index in range(0, len(data), step))
        areas = [float(torch.as_tensor(s.mask).double().mean()) for s in samples]
    mask = torch.zeros(len(areas), SIDE * SIDE)
    for row, share in zip(mask, areas, strict=True):
        row[: max(share > 0, round(share * SIDE * SIDE))] = 1
    return mask.reshape(-1, 1, SIDE, SIDE)


def _entropy(share: float) -> float:
    """What the best constant answer costs on labels of which this share is 1."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


def _some(numbers: list[int]) -> str:
    told = ", ".join(map(str, numbers[:5]))
    return told if len(numbers) <= 5 else f"{told} and {len(numbers) - 5} more"
