"""One definition of a study: seed, build, train, evaluate, and keep the figures as JSON lines.

Special: a row is written as soon as it is measured, with the settings it was measured under, so a
stopped study goes on where it was and never mixes two lengths, recipes or backbones. Trainings that
read the same options share their stages in fact. Differences are paired by seed.

    study = Study("log.jsonl", {"steps": 20}, minutes=30)
    trainer = Trainer(clip, open_dataset("factory/train"))
    for seed in (0, 1, 2):
        study.run({"variant": "course", "seed": seed}, lambda: figures(trainer(recipe, seed), data))
    interval([row["pixel_auroc"] for row in study.rows])
"""

import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from ..clip import FrozenCLIP
from ..course.trials import trial_table
from ..datasets import AnomalyDataset, open_dataset
from ..evaluation import Report, evaluate
from ..files import keep
from ..files.seeds import change, interval, spoken
from ..load import load_clip
from ..metrics import jsonable
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.runs import train_image, train_text
from ..world.products import PRODUCTS

__all__ = ["change", "interval", "spoken"]  # of files/seeds.py, for the tools

FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc")


class Study:
    """Rows of one experiment, kept in `log`; no measurement begins after `minutes`."""

    def __init__(
        self,
        log: str | Path,
        settings: Mapping | None = None,
        minutes: float | None = None,
        option: str = "--out",
    ):
        """option: which one of the tool names another log."""
        self.log = Path(log)
        self.settings = json.loads(json.dumps(settings or {}))  # as they come back from the file
        self.ends = None if minutes is None else time.monotonic() + 60 * minutes
        self.rows = read(self.log)
        if self.in_time() and (other := self._other()):
            raise ValueError(
                f"{self.log} holds runs with another {other}: move it away, or use another {option}"
            )

    def _other(self) -> str:
        """Settings in which rows of the file differ from this study's, and what they are there."""
        others = {}
        for row in self.rows:
            others |= {k: row.get(k) for k, v in self.settings.items() if not same(row.get(k), v)}
        plain = {k: f" ({v})" for k, v in others.items() if isinstance(v, int | float | str)}
        return ", ".join(f"{name}{plain.get(name, '')}" for name in sorted(others))

    def in_time(self) -> bool:
        return self.ends is None or time.monotonic() < self.ends

    def known(self, **key) -> list[dict]:
        return [row for row in self.rows if {name: row.get(name) for name in key} == key]

    def run(self, key: dict, measure: Callable[[], dict | list[dict]]) -> list[dict]:
        """The rows of this key, measured if they are missing and there is time."""
        if not self.known(**key) and self.in_time():
            found = measure()
            found = [found] if isinstance(found, dict) else found
            # read again: another process may have added its own meanwhile
            self.rows = read(self.log) + [jsonable(key | row | self.settings) for row in found]
            keep.write_text(self.log, "".join(json.dumps(row) + "\n" for row in self.rows))
        return self.known(**key)


def same(stored, now) -> bool:
    """Of recipes, which are dictionaries, the fields that both know: one that was retired since
    has no say.
    """
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        return all(stored[name] == now[name] for name in stored.keys() & now.keys())
    return stored == now


def read(log: str | Path) -> list[dict]:
    """Rows of a log, none where there is no file."""
    return keep.read_jsonl(log) if Path(log).is_file() else []


class Trainer:
    """Trains both stages on `data` from a seed; stages that two calls share are trained once."""

    def __init__(self, clip: FrozenCLIP, data: AnomalyDataset):
        self.clip = clip
        self.data = data
        self.states: dict[str, dict[str, dict]] = {}  # what training read: trained parts

    def __call__(
        self,
        recipe: Recipe,
        seed: int = 0,
        unread: Mapping[str, Sequence[str]] | None = None,
        out: str | Path | None = None,
    ) -> AdaptedCLIP:
        """unread: by stage the recipe's fields that it does not read; without it nothing is shared.
        out: folder that keeps the run, resumable; None: a temporary one.
        """
        torch.manual_seed(seed)  # where adapters start at random, that is part of the run
        model = AdaptedCLIP(self.clip, recipe)
        keys = {} if unread is None else {s: _key(recipe, seed, s, unread[s]) for s in unread}
        with tempfile.TemporaryDirectory() as folder:
            if not self._restore(model, keys.get("image")):
                if not self._restore(model, keys.get("text")):
                    train_text(model, self.data, Path(out or folder), seed=seed, progress=False)
                    self._keep(model, keys.get("text"), ("text_adapter",))
                train_image(model, self.data, Path(out or folder), seed=seed, progress=False)
                self._keep(model, keys.get("image"), ("text_adapter", "image_adapter"))
        return model

    def _keep(self, model: AdaptedCLIP, key: str | None, parts: Sequence[str]) -> None:
        if key is not None:
            own = {name: getattr(model, name).state_dict() for name in parts}
            self.states[key] = copy.deepcopy(own)

    def _restore(self, model: AdaptedCLIP, key: str | None) -> bool:
        for name, state in self.states.get(key, {}).items():
            getattr(model, name).load_state_dict(state)
        return key in self.states


def _key(recipe: Recipe, seed: int, stage: str, unread: Sequence[str]) -> str:
    read = {name: value for name, value in recipe.to_dict().items() if name not in unread}
    return json.dumps([stage, seed, read])


def cpu_seconds() -> float:
    """Of this process: other work on the machine hardly shows."""
    return time.process_time()


def judge(model: AdaptedCLIP, data: AnomalyDataset, **options) -> Report:
    """`evaluate` as studies use it: no bootstrap inside a run, for the seeds give the interval."""
    groups = {n: "textures" if p.texture else "objects" for n, p in PRODUCTS.items()}
    usual = {"rounds": 1, "progress": False, "groups": groups}
    return evaluate(model, data, **(usual | options))


def figures(model: AdaptedCLIP, data: AnomalyDataset, names=FIGURES, **options) -> dict:
    mean = judge(model, data, **options).mean
    return {name: mean[name] for name in names}


def trial(options, steps, contestants: Iterable[str], row: Callable, rival: str) -> int:
    """Every contestant with every seed, judged on validation stations, and the table against the
    rival. row(name, seed, clip, data, val): trains and judges one.
    """
    clip = load_clip("lite")
    settings = {"steps": steps, "every": options.every, "fingerprint": clip.fingerprint()}
    log = Study(options.out, settings, options.minutes)
    data = open_dataset("factory/train", size=clip.image_size)
    val = open_dataset("factory/val", size=clip.image_size)
    val = val.view(val.records[:: options.every])
    for seed in range(options.seeds):
        for name in contestants:
            if log.run({"name": name, "seed": seed}, partial(row, name, seed, clip, data, val)):
                print(f"seed {seed}: {name}", flush=True)
    print(trial_table(log.rows, rival))
    return 0
