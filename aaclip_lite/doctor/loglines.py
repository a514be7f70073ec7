"""The lines of a training log, read into entries: this project's JSON lines and the public code's.

Special: knows "training text epoch N:" with "loss: X" behind it, the "args: {...}" line, and rows
of {"step", "loss", "segmentation", ...}; every other line is passed over.
Use: `parsed = parse(lines, stage="text")`, `parsed.entries["text"]`.
"""

import ast
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

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

    def add(self, other: "Parsed") -> None:
        for stage, entries in other.entries.items():
            self.entries[stage] += entries
        self.units |= other.units
        self.args |= other.args
        self.times += other.times


def parse(lines: Iterable[str], stage: str | None = None) -> Parsed:
    """stage: of JSON rows that do not say it, from the file's name."""
    parsed = Parsed()
    waiting = None  # the epoch that was announced and has no loss yet
    for line in lines:
        if found := TIME.search(line):
            with suppress(ValueError):  # a thirteenth month
                parsed.times.append(datetime.fromisoformat(found[0]))
        if line.lstrip().startswith("{"):
            _take_row(parsed, line, stage)
        elif found := EPOCH.search(line):
            waiting = found[1]
            parsed.units[waiting] = "epoch"
            parsed.entries[waiting].append(Entry(int(found[2]), None, None))
        elif (found := LOSS.search(line)) and waiting:
            last = parsed.entries[waiting][-1]
            parsed.entries[waiting][-1] = last._replace(loss=_number(found[1]))
            waiting = None
        elif found := ARGS.search(line):
            parsed.args = _arguments(found[1])
    return parsed


def _take_row(parsed: Parsed, line: str, stage: str | None) -> None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return
    if not isinstance(row, dict) or "loss" not in row or "step" not in row:
        return
    own = row.get("stage") or stage or ("image" if "detection" in row else "text")
    parsed.units[own] = "step"
    loss = math.nan if row["loss"] is None else float(row["loss"])
    part = row.get("segmentation")
    parsed.entries[own].append(Entry(int(row["step"]), loss, part))


def _number(text: str) -> float:
    try:
        return float(text.rstrip(",;"))
    except ValueError:
        return math.nan


def _arguments(text: str) -> dict:
    try:
        found = ast.literal_eval(text)  # plain values only: nothing is run
    except (ValueError, SyntaxError):
        return {}
    return found if isinstance(found, dict) else {}
