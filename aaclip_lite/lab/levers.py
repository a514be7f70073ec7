"""What moves the embedded CLIP: short pretrainings from nothing, one lever changed at a time, same
seed and same time.

Special: every run has the same minutes of one process, so a lever that makes a step dearer pays for
it; then comes a short AA-CLIP run on the result. It tells how a lever acts early on, not where a
long run would end. Results are kept line by line: a stopped command goes on. `gates` puts
levers.jsonl, laid beside the weights, into the model's card.

    python -m aaclip_lite levers --minutes 10              # each lever ten minutes, and the
    measuring of each python -m aaclip_lite levers --only base depth         # some of them; several
    processes may share the work
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..datasets import open_dataset
from ..load import load_clip
from ..world import pretrain
from . import gates

RUN = {"text_steps": 30, "image_steps": 60}  # of the AA-CLIP run
SHAPE = ("layers", "patch_size")  # properties of the model; the rest are options of pretraining
LEVERS: dict[str, tuple[str, dict]] = {  # name: (what it is, what changes)
    "base": (
        "eight blocks, patches of 8 px, all five losses, hard things three times as often",
        {},
    ),
    "twice the time": ("twice the minutes", {"minutes": 2}),
    "no things in captions": ("captions do not name the neutral things", {"caption_things": False}),
    "no phrase loss": (
        "the mean patch of a thing is not compared with phrases",
        {"phrase_weight": 0.0},
    ),
    "no patch loss": ("patches do not pick their own phrase", {"patch_weight": 0.0}),
    "no where loss": ("phrases do not pick their own patches", {"where_weight": 0.0}),
    "no wrong places": ("no caption with a wrong place to refuse", {"wrong_places": False}),
    "no pixel loss": ("patches do not redraw themselves", {"pixel_weight": 0.0}),
    "damage words": (
        "damage named in 3 % of the captions, ten times the share",
        {"damage_share": 0.03},
    ),
    "things alike": (
        "relief, drops, hairs and grains no more often than other things",
        {"hard_things": 1.0},
    ),
    "all patches": ("no patch is dropped", {"keep": 256}),
    "depth": ("four blocks in place of eight", {"layers": 4}),
    "patch size": ("patches of 16 px, a quarter as many", {"patch_size": 16, "keep": 28}),
}


@dataclass(frozen=True)
class Levers:
    """Pretrain in little, one lever changed at a time, and measure what it does."""

    out: str = "runs/levers"  # the runs and levers.jsonl, one line a run
    minutes: float = 10.0  # of every run
    only: tuple[str, ...] = ()  # names of levers; default: all
    batch: int = 64
    seed: int = 0


@contextmanager
def _shape(changes: dict) -> Iterator[None]:
    """Another number of blocks or size of patches for a while, levels at each quarter of the
    blocks.
    """
    before = copy.deepcopy(pretrain.MODEL), pretrain.LEVELS
    pretrain.MODEL["vision_cfg"].update(changes)
    pretrain.LEVELS = tuple(pretrain.MODEL["vision_cfg"]["layers"] * k // 4 for k in (1, 2, 3, 4))
    try:
        yield
    finally:
        pretrain.MODEL.update(before[0])
        pretrain.LEVELS = before[1]


def try_lever(name: str, options: Levers) -> dict:
    """Pretrain and measure one."""
    changes = dict(LEVERS[name][1])
    shape, minutes = (
        {k: changes.pop(k) for k in SHAPE if k in changes},
        options.minutes * changes.pop("minutes", 1),
    )
    folder = Path(options.out) / name.replace(" ", "_")
    settings = {
        "out": str(folder),
        "minutes": minutes,
        "batch": options.batch,
        "lr": 1e-3,
        "warmup": 50,
        "replays": 2,
    }
    settings |= {"pool": 12_000, "save_every": 2.0, "seed": options.seed}
    with _shape(shape):
        model = pretrain.run(pretrain.Pretraining(**settings | changes))
    clip, told = load_clip(model), json.loads((model / "run.json").read_text())
    _, found = gates.measure(
        clip, open_dataset("factory/train"), open_dataset("factory/val"), each=3, run=RUN
    )
    facts = {
        "lever": name,
        "what": LEVERS[name][0],
        "minutes": options.minutes,
        "seed": options.seed,
    }
    facts["round"] = str(date.today())
    return facts | {
        "pictures": told["seen"],
        **{gate.figure: round(gate.value, 4) for gate in found},
    }


def run(options: Levers) -> int:
    log = Path(options.out) / "levers.jsonl"
    if unknown := set(options.only) - set(LEVERS):
        raise ValueError(f"no lever {', '.join(sorted(unknown))}; there are: {', '.join(LEVERS)}")
    for name in options.only or LEVERS:
        rows = gates.lever_rows(log)
        if any((row["minutes"], row["seed"]) != (options.minutes, options.seed) for row in rows):
            raise ValueError(
                f"{log} holds runs of another length or seed: move it away, or use another --out"
            )
        if not any(row["lever"] == name for row in rows):
            row = try_lever(name, options)
            with open(
                log, "a", encoding="utf-8"
            ) as file:  # a line at a time, so that processes may share the file
                file.write(json.dumps(row) + "\n")
    print(gates.lever_table(gates.lever_rows(log)))
    return 0
