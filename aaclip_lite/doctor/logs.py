"""Did a run learn, as far as its log tells: epochs, losses beside empty answers, times.

Special: losses stand beside what the answer "all normal" and a coin toss cost on such masks; what
was assumed about the masks is said. Of the public code's lines it knows "training text epoch N:"
with "loss: X" behind it and "args: {...}", of this project's the rows of {"step", "loss",
"segmentation", ...}; every other line is passed over.
Use: `print(doctor.log("runs/a"))`, `doctor.log("ckpt/train.log", data=data)`, or a list of lines.
"""

import ast
import json
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..checkpoint import read_metadata
from ..model import STAGES
from .balance import constant_answer
from .finding import Finding, Reasons, conclude, mean_and_error, shown
from .stored import written

NAMES = ("text.jsonl", "image.jsonl", "train.log")

# what the public code trains where its log does not say otherwise
PUBLIC_EPOCHS = {"text": 5, "image": 20}
PUBLIC_LEVELS = {"text": 1, "image": 4}
SIDE = 64  # of the masks that the null values are computed on
EPOCH = re.compile(r"training (text|image) epoch (\d+):")
LOSS = re.compile(r"(?<![\w_])loss: (\S+)")
ARGS = re.compile(r"args: (\{.*\})")
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


class Entry(NamedTuple):
    number: int  # epoch from 0 (public code) or step from 1 (this project)
    loss: float | None  # None: announced, never reported
    segmentation: float | None  # that part alone, where it is logged


@dataclass
class Parsed:
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    units: dict[str, str] = field(default_factory=dict)
    args: dict = field(default_factory=dict)
    times: list[datetime] = field(default_factory=list)


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
    subject, parsed, notes, headers = _read(path_or_lines)
    if not any(parsed.entries.values()):
        why = 'no line says "training text epoch N:" or is a row with "step" and "loss"'
        return conclude("log", subject, {"unreadable": [why]}, (), notes)
    masks = _masks(data, abnormal, area)
    if data is None:
        notes.append(
            f"null values assume {abnormal:.0%} defective pictures and defects of {area:.0%}: give "
            "data= for the true ones"
        )
    reasons, rows = defaultdict(list), []
    for stage in STAGES:
        if entries := parsed.entries.get(stage):
            unit = parsed.units[stage]
            said = {} if unit == "epoch" else headers.get(stage, {})
            length = int(parsed.args.get(f"{stage}_epoch", PUBLIC_EPOCHS[stage]))
            length = (planned or {}).get(stage, length if unit == "epoch" else said.get("steps"))
            _examine_order(stage, entries, unit, length, reasons)
            levels = PUBLIC_LEVELS[stage] if unit == "epoch" else _levels(stage, said)
            rows.append(_row(stage, entries, unit, (masks, levels), reasons))
    if parsed.units.get("text") == "epoch" and not parsed.entries.get("image"):
        reasons["stopped"].append("stage image never began")
    backwards = sum(later < earlier for earlier, later in pairwise(parsed.times))
    if parsed.times:
        notes.append(f"times from {parsed.times[0]} to {parsed.times[-1]}")
    if backwards:
        reasons["out of order"].append(f"times go back {backwards} times: several runs in one file")
    return conclude("log", subject, reasons, rows, notes)


def _read(source) -> tuple[str, Parsed, list[str], dict[str, dict]]:
    """(what it is, its entries, notes on file times, {stage: what the adapters beside it say})."""
    if isinstance(source, str) and "\n" in source:
        source = source.splitlines()
    if not isinstance(source, str | os.PathLike):
        return "log", _parse((line, None) for line in source), [], {}
    path = Path(source)
    files = [path]
    if path.is_dir():
        files = [path / name for name in NAMES if (path / name).is_file()]
        if not files:
            raise FileNotFoundError(f"{path} holds no log: none of {', '.join(NAMES)} is there")
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: no such log; check the path")
    lines, notes = [], []
    for file in files:
        stage = file.stem if file.stem in STAGES else None
        text = file.read_text(encoding="utf-8", errors="replace")
        lines += [(line, stage) for line in text.splitlines()]
        notes.append(f"{file.name} was written last at {written(file)}")
    folder = path if path.is_dir() else path.parent
    homes = {stage: folder / f"{stage}.safetensors" for stage in STAGES}
    homes = {stage: home for stage, home in homes.items() if home.is_file()}
    if len(homes) == 2 and written(homes["image"]) < written(homes["text"]):
        notes.append("image.safetensors is older than text.safetensors: stage 2 saw other words")
    headers = {}
    for stage, home in homes.items():
        with suppress(ValueError):  # the checkpoint's own examination says why
            headers[stage] = read_metadata(home)
    return str(path), _parse(lines), notes, headers


def _parse(lines: Iterable[tuple[str, str | None]]) -> Parsed:
    """Each line with the stage that its file's name tells, for JSON rows that do not say it."""
    parsed = Parsed()
    waiting = None  # the epoch that was announced and has no loss yet
    for line, stage in lines:
        if match := TIME.search(line):
            with suppress(ValueError):  # a thirteenth month
                parsed.times.append(datetime.fromisoformat(match[0]))
        if line.lstrip().startswith("{"):
            _take_row(parsed, line, stage)
        elif match := EPOCH.search(line):
            waiting = match[1]
            parsed.units[waiting] = "epoch"
            parsed.entries[waiting].append(Entry(int(match[2]), None, None))
        elif (match := LOSS.search(line)) and waiting:
            loss = math.nan
            with suppress(ValueError):
                loss = float(match[1].rstrip(",;"))
            parsed.entries[waiting][-1] = parsed.entries[waiting][-1]._replace(loss=loss)
            waiting = None
        elif match := ARGS.search(line):
            with suppress(ValueError, SyntaxError):
                told = ast.literal_eval(match[1])  # plain values only: nothing is run
                parsed.args = told if isinstance(told, dict) else {}
    return parsed


def _take_row(parsed: Parsed, line: str, stage: str | None) -> None:
    with suppress(json.JSONDecodeError):
        row = json.loads(line)
        if isinstance(row, dict) and {"loss", "step"} <= row.keys():
            stage = row.get("stage") or stage or ("image" if "detection" in row else "text")
            parsed.units[stage] = "step"
            loss = math.nan if row["loss"] is None else float(row["loss"])
            parsed.entries[stage].append(Entry(int(row["step"]), loss, row.get("segmentation")))


def _levels(stage: str, header: dict) -> int:
    if not header:
        return 4
    if stage == "text" and header["recipe"].stage1_levels == "last":
        return 1
    home = header["backbone"]
    return len(header["recipe"].resolve(home["vision_blocks"], home["text_blocks_count"]).levels)


def _examine_order(
    stage: str, entries: list[Entry], unit: str, planned: int | None, reasons: Reasons
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
        reasons["doubled"].append(
            f"{stage}: {unit} {_some(doubled)} logged more than once: two runs in one file?"
        )
    elif back:
        reasons["out of order"].append(f"{stage}: {unit}s go back {back} times")
    if missing:
        reasons["gaps"].append(f"{stage}: {unit} {_some(missing)} missing")
    silent = [entry.number for entry in entries if entry.loss is None]
    last = max((e.number for e in entries if e.loss is not None), default=first - 1)
    if planned is not None and last < planned - 1 + first:
        reasons["stopped"].append(f"{stage}: {last + 1 - first} of {planned} {unit}s have a loss")
    elif silent:
        reasons["gaps"].append(f"{stage}: {unit} {_some(silent)} began and has no loss")


def _row(stage: str, entries: list[Entry], unit: str, nulls, reasons) -> dict:
    """First and last loss beside the empty answers; what is wrong goes into `reasons`."""
    masks, levels = nulls
    part = all(entry.segmentation is not None for entry in entries)
    losses = [entry.segmentation if part else entry.loss for entry in entries]
    losses = [loss for loss in losses if loss is not None]
    normal, coin = (
        levels * sum(constant_answer(masks, abnormal).values()) for abnormal in (0, 0.5)
    )
    if stage == "image" and not part:
        share = float(masks.flatten(1).amax(1).mean())
        # the best constant answer on labels of which this share is 1
        normal -= sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
        coin += math.log(2)
    row = {"stage": stage, "unit": unit, "found": len(entries)}
    row |= {"what": "segmentation" if part else "loss", "first": None, "last": None, "±": None}
    row |= {"all normal": normal, "coin toss": coin}
    bad = [e.number for e in entries if e.loss is not None and not math.isfinite(e.loss)]
    if bad:
        reasons["not finite"].append(f"{stage}: loss of {unit} {_some(bad)} is not a number")
    elif losses:
        tail = losses[-1:] if unit == "epoch" else losses[-max(1, len(losses) // 5) :]
        last, error = mean_and_error(tail)
        row |= {"first": losses[0], "last": last, "±": error}
        null = min(normal, coin)
        if not last < null - 2 * (error or 0.0):
            sure = f", by twice its error of {shown(error)}" if last < null else ""
            reasons["at null"].append(
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


def _some(numbers: list[int]) -> str:
    told = ", ".join(map(str, numbers[:5]))
    return told if len(numbers) <= 5 else f"{told} and {len(numbers) - 5} more"
