"""One definition of a study: seed, build, train, evaluate, keep the figures, tell them in a card.

Special: a row is written as soon as it is measured, with the settings it was measured under, so a
stopped study goes on where it was and never mixes two lengths, recipes or backbones. Trainings that
read the same options share their stages in fact. Differences are paired by seed. A card is a
Markdown template beside this file, filled with figures; one that gets no value is an error, never a
gap, and a card is written whole or not at all.

    study = Study("log.jsonl", {"steps": 20}, minutes=30)
    trainer = Trainer(clip, open_dataset("factory/train"))
    for seed in (0, 1, 2):
        study.run({"variant": "course", "seed": seed}, lambda: figures(trainer(recipe, seed), data))
    interval([row["pixel_auroc"] for row in study.rows])
    template("gates")["card"].format(size=11.1, ...), table(rows, "lrr")
"""

import copy
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from time import process_time as cpu_seconds  # other work on the machine hardly shows

import torch

from ..clip import FrozenCLIP
from ..course import plots
from ..datasets import AnomalyDataset, Sample
from ..evaluation import Report, evaluate
from ..files import keep
from ..files.seeds import change, interval, spoken
from ..metrics import jsonable
from ..model import STAGES, AdaptedCLIP
from ..recipe import Recipe
from ..service.runs import train_image, train_text
from ..world.products import PRODUCTS

__all__ = ["change", "cpu_seconds", "interval", "spoken"]  # of other modules, for the tools

FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc")
GROUPS = {name: "textures" if item.texture else "objects" for name, item in PRODUCTS.items()}


# ---- rows that are kept --------------------------------------------------------------------------


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
            rows = measure()
            rows = [rows] if isinstance(rows, dict) else rows
            # read again: another process may have added its own meanwhile
            self.rows = read(self.log) + [jsonable(key | row | self.settings) for row in rows]
            keep.write_jsonl(self.log, self.rows)
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


class Runs:
    """Runs of a chapter's study by name, under one word of a JSON file that also says how they were
    made; written whole after every run.
    """

    def __init__(self, path: Path, under: str, about: Mapping):
        self.path = path
        self.under = under
        self.about = about

    @property
    def rows(self) -> dict[str, dict]:
        if not self.path.is_file():
            return {}
        return json.loads(self.path.read_text(encoding="utf-8"))[self.under]

    def add(self, name: str, row: Mapping) -> None:
        # read again: another process may have added its own meanwhile
        rows = self.rows | {name: row | {"date": str(date.today())}}
        keep.write_json(self.path, self.about | {self.under: dict(sorted(rows.items()))})
        plain = {k: v for k, v in row.items() if isinstance(v, int | float | str)}
        shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in plain.items()}
        print(name, shown, flush=True)


# ---- training and judging ------------------------------------------------------------------------


class Trainer:
    """Trains both stages on `data` from a seed; stages that two calls share are trained once."""

    def __init__(self, clip: FrozenCLIP, data: AnomalyDataset):
        self.clip = clip
        self.data = data
        self.states: dict[str, dict] = {}  # the trained part, by what training read

    def __call__(
        self,
        recipe: Recipe,
        seed: int = 0,
        unread: Mapping[str, Sequence[str]] | None = None,
        out: str | Path | None = None,
    ) -> AdaptedCLIP:
        """unread: by stage the recipe's fields that it does not read. out: folder that keeps the
        run, resumable; None: a temporary one.
        """
        torch.manual_seed(seed)  # where adapters start at random, that is part of the run
        model = AdaptedCLIP(self.clip, recipe)
        with tempfile.TemporaryDirectory() as folder:
            for stage, train in zip(STAGES, (train_text, train_image), strict=True):
                unread_here = () if unread is None else unread[stage]
                said = {k: v for k, v in recipe.to_dict().items() if k not in unread_here}
                key = json.dumps([stage, seed, said])
                part = getattr(model, f"{stage}_adapter")
                if key in self.states:
                    part.load_state_dict(self.states[key])
                    continue
                train(model, self.data, Path(out or folder), seed=seed, progress=False)
                self.states[key] = copy.deepcopy(part.state_dict())
        return model


def judge(model: AdaptedCLIP, data: AnomalyDataset, **options) -> Report:
    """`evaluate` as studies use it: no bootstrap inside a run, for the seeds give the interval."""
    usual = {"rounds": 1, "progress": False, "groups": GROUPS}
    return evaluate(model, data, **(usual | options))


def figures(model: AdaptedCLIP, data: AnomalyDataset, names=FIGURES, **options) -> dict:
    mean = judge(model, data, **options).mean
    return {name: mean[name] for name in names}


# ---- cards ---------------------------------------------------------------------------------------


def template(name: str) -> dict[str, str]:
    """{part: text} of NAME.md, whose parts begin with a line `<!-- part: NAME -->` and have
    placeholders as str.format knows them ({minutes:.0f}).
    """
    text = Path(__file__).with_name(f"{name}.md").read_text(encoding="utf-8")
    _, *pieces = re.split(r"<!-- part: (\w+) -->\n", text)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def table(rows: Sequence[Sequence], align: str | None = None) -> str:
    """Markdown, the first row its heads; align: "l" or "r" a column, by default "lrrr...". Floats
    get three digits.
    """
    align = align or "l" + "r" * (len(rows[0]) - 1)
    cells = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    marks = [{"l": "---", "r": "---:"}[side] for side in align]
    lines = ["| " + " | ".join(row) + " |" for row in (cells[0], marks, *cells[1:])]
    return re.sub(r"\|  (?=\|)", "| ", "\n".join(lines))


def words(name: str) -> str:
    return name.replace("_", " ")


def spoken_mean(values: Sequence[float]) -> str:
    return spoken(interval(values))


def figure_rows(rows: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[list]:
    """Rows of a table: the key in words, then these figures."""
    return [[words(key), *(row[name] for name in names)] for key, row in rows.items()]


def sheet(
    samples: Sequence[Sample], maps: Sequence, titles: Sequence[str], title: str, columns: int
):
    """Pictures of a data set with their maps, each stretched to its own ends."""
    images = [sample.image for sample in samples]
    masks = [sample.mask for sample in samples]
    titles = [words(each) for each in titles]
    return plots.sheet(images, maps, masks, titles, title, columns, scale="own")
