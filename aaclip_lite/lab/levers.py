"""What moves the embedded CLIP: short pretrainings from nothing, one lever changed at a time, same
seed and same time.

Special: every run has the same minutes of one process, so a lever that makes a step dearer pays for
it; then comes a short AA-CLIP run on the result. It tells how a lever acts early on, not where a
long run would end. Results are kept line by line: a stopped command goes on, and several processes
may share the work. `gates` puts levers.jsonl, laid beside the weights, into the model's card.

    python -m aaclip_lite lab levers --minutes 10          # each lever ten minutes, and its measuring
    python -m aaclip_lite lab levers --only base depth     # some of them
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..datasets import open_dataset
from ..load import load_clip
from ..world.clip import run as pretrain
from . import sight, study

RUN = {"text_steps": 30, "image_steps": 60}  # of the AA-CLIP run
LEVERS: dict[str, tuple[str, dict]] = {  # name: (what it is, the options of pretraining it changes)
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
    """Pretrain for minutes, one lever changed at a time, and measure what it does."""

    out: str = "runs/levers"  # the runs and levers.jsonl, one line a run
    minutes: float = 10.0  # of every run
    only: tuple[str, ...] = ()  # names of levers; default: all
    batch: int = 64
    seed: int = 0
    pool: int = 12_000  # pictures kept on disk while a run lasts


def try_lever(name: str, options: Levers) -> dict:
    """Pretrain and measure one."""
    what, changes = LEVERS[name]
    settings = {
        "out": str(Path(options.out) / name.replace(" ", "_")),
        "batch": options.batch,
        "lr": 1e-3,
        "warmup": 50,
        "replays": 2,
        "pool": options.pool,
        "save_every": 2.0,
        "seed": options.seed,
    }
    settings |= changes | {"minutes": options.minutes * changes.get("minutes", 1)}
    model = pretrain.run(pretrain.Pretraining(**settings))
    told = json.loads((model / "run.json").read_text(encoding="utf-8"))
    train = open_dataset("factory/train")
    figures = sight.measure(
        load_clip(model), train, open_dataset("factory/val_wild"), each=3, run=RUN
    )
    row = {"what": what, "round": str(date.today()), "pictures": told["seen"]}
    return row | {gate.figure: round(gate.value, 4) for gate in sight.judged(figures)}


def table(rows: list[dict]) -> str:
    """Markdown, a row a lever."""
    columns = ["things_inside", "probe_pixel", "probe_inside", "frozen_pixel", "zero_shot"]
    columns += [name for name in ("course_pixel", "course_inside") if name in rows[0]]
    lines = [["lever", "what changes", "pictures", *map(study.words, columns)]]
    for row in rows:
        values = [row[name] for name in columns]
        lines.append([row["lever"], row["what"], f"{row['pictures']:,}", *values])
    return study.table(lines, "ll" + "r" * (1 + len(columns)))


def run(options: Levers) -> int:
    if unknown := set(options.only) - set(LEVERS):
        raise ValueError(f"no lever {', '.join(sorted(unknown))}; there are: {', '.join(LEVERS)}")
    log = Path(options.out) / "levers.jsonl"
    same = {"minutes": options.minutes, "seed": options.seed}
    for name in options.only or LEVERS:
        # read anew each time: another process may have added its own
        study.Study(log, same).run({"lever": name}, lambda name=name: try_lever(name, options))
    print(table(study.read(log)))
    return 0
