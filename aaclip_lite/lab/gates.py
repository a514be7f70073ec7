"""Measures the embedded CLIP against its gates and writes its card, curves and pictures beside it.

Special: what is measured and what it must reach stands in `sight.py`; here it is run, drawn and
told. With --report nothing is measured: the card is written again from the stored figures.

    python -m aaclip_lite lab gates                           # measures data/lite_clip
    python -m aaclip_lite lab gates --checkpoints runs/pretrain/checkpoints   # how sight grew, too
    python -m aaclip_lite lab gates --report                  # the card from gates.json
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..clip import FrozenCLIP
from ..course import plots
from ..datasets import AnomalyDataset, open_dataset
from ..evaluation import evaluate
from ..files import keep
from ..load import load_clip
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.baselines import frozen_maps
from ..world import factory
from . import levers, sight, study

# of the AA-CLIP run
RUN = {name: getattr(Recipe.course(), name) for name in ("text_steps", "image_steps")}


@dataclass(frozen=True)
class Gates:
    """Measure the embedded CLIP against its gates and write its card, curves and pictures beside
    the weights.
    """

    # config.json, model.safetensors, run.json, log.jsonl: as pretrain leaves them
    folder: str = "data/lite_clip"
    checkpoints: str = ""  # folder of the run's checkpoints; "": their curve stays as it is
    report: bool = False  # measure and draw nothing: only write the card again


def run(options: Gates) -> int:
    """Exit code 1 if a gate is missed."""
    folder = Path(options.folder)
    needed = folder / ("gates.json" if options.report else "model.safetensors")
    if not needed.is_file() or (options.checkpoints and not Path(options.checkpoints).is_dir()):
        raise FileNotFoundError(
            f"--folder {folder}, --checkpoints {options.checkpoints or 'none'}: needs {needed}, and "
            "a folder of checkpoints if one is named; `lab pretrain` makes them"
        )
    if options.report:
        figures = json.loads((folder / "gates.json").read_text(encoding="utf-8"))
    else:
        figures = measure(folder, options.checkpoints)
        keep.write_json(folder / "gates.json", figures)
    gates = sight.judged(figures)
    for gate in gates:
        verdict = "passed" if gate.passed else "MISSED"
        print(f"{gate.figure:28}{gate.value:8.3f}  {gate.rule} {gate.floor}  {verdict}")
    print(keep.write_text(folder / "README.md", card(folder, figures, gates)))
    return int(not all(gate.passed for gate in gates))


def measure(folder: Path, checkpoints: str) -> dict:
    """All figures, those of random weights too; curves and pictures are drawn beside them."""
    weights = folder / "model.safetensors"
    clip = load_clip(folder / "config.json", weights=weights)
    train = open_dataset("factory/train")
    data = open_dataset("factory/val_wild")
    log = folder / "growth.jsonl"
    if checkpoints:
        growth(Path(checkpoints), study.Study(log), train, data)
    if log.is_file():
        title = "The gates at checkpoints of the last leg"
        plots.save(plots.curves(log, title=title, x="seen"), folder / "growth.png")
    figures = sight.measure(clip, train, data, run=RUN)
    figures["random"] = measure_random(folder, train, data)
    plots.save(side_by_side(clip, train, data), folder / "sight.png")
    curves = plots.curves(folder / "log.jsonl", title="Pretraining the embedded CLIP")
    plots.save(curves, folder / "curves.png")
    return figures


def growth(
    checkpoints: Path, log: study.Study, train: AnomalyDataset, data: AnomalyDataset
) -> None:
    """The gates at every checkpoint of a run; those in the log are not run again."""
    folders = [each for each in checkpoints.iterdir() if each.name.isdigit()]
    for folder in sorted(folders, key=lambda each: int(each.name)):
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))

        def measure(folder: Path = folder, seen: int = told["seen"]) -> dict:
            gates = sight.judged(sight.measure(load_clip(folder), train, data, each=3))
            return {"seen": seen} | {gate.figure: round(gate.value, 4) for gate in gates}

        log.run({"step": told["step"]}, measure)


def measure_random(folder: Path, train: AnomalyDataset, data: AnomalyDataset) -> dict[str, float]:
    """What the same probe and the same run make of random weights: how much is the picture's own
    doing.
    """
    torch.manual_seed(0)
    clip = load_clip(folder / "config.json", weights=None)
    report = evaluate(clip, data, baselines=True, train=train, rounds=1, progress=False)
    return {
        "probe": report.baselines["linear_probe"]["pixel_auroc"],
        "course": sight.course_run(clip, train, data, RUN)["pixel_auroc"],
    }


def side_by_side(clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset):
    """A defective picture of each validation product: the frozen words' map, and the linear
    probe's.
    """
    maps_of = frozen_maps(AdaptedCLIP(clip), "industrial", train)
    order = np.random.default_rng(5).permutation(len(data))
    samples = []
    for name in data.classes:
        mine = (int(i) for i in order if data.records[i].class_name == name)
        samples.append(data[next(i for i in mine if data.records[i].label)])
    images = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        judged = maps_of({"image": images, "class_name": [s.class_name for s in samples]})
    named = {"frozen words": judged["frozen"][0], "linear probe": judged["linear_probe"][0]}
    titles = [f"{said}: {s.class_name}, {s.defect}" for said in named for s in samples]
    maps = [each for maps in named.values() for each in maps]
    title = "Same patches, other question"
    return study.sheet(samples * 2, maps, titles, title, columns=len(samples))


# ---- the card ------------------------------------------------------------------------------------


def card(folder: Path, figures: dict, gates: list[sight.Gate]) -> str:
    """The text of README.md beside the weights; run.json and levers.jsonl are read, not made."""
    parts = study.template("gates")
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    measured = {
        "size": (folder / "model.safetensors").stat().st_size / 1e6,
        "minutes": facts["elapsed"] / 60,
        "legs": "\n".join(map(leg_line, facts["legs"])),
        "levers": levers_part(folder, facts["seen"], parts["levers"]),
        "classes": ", ".join(sorted(factory.jobs("val_wild"))),
        "today": figures["measured"],
        "taught": parts["taught"].format(**figures["course"])
        + parts["random"].format(**figures["random"]),
        "grown": parts["growth"] if (folder / "growth.png").is_file() else "",
    }
    return parts["card"].format(**(facts | measured | tables(figures, gates)))


def tables(figures: dict, gates: list[sight.Gate]) -> dict[str, str]:
    names = ("pixel_auroc", "inside_auroc", "image_auroc")
    kinds = figures["blindness"] | {"linear probe": figures["probe"]}
    rows = [[g.figure, g.value, f"{g.rule} {g.floor}", "yes" if g.passed else "NO"] for g in gates]
    able = [[study.words(k), str(v)] for k, v in figures["abilities"].items()]
    spots = [[study.words(k), v] for k, v in figures["things"].items()]
    heads = ["map", "pixel AUROC", "inside the object", "image AUROC"]
    return {
        "rows": study.table([["figure", "value", "gate", "passed"], *rows], "lrll"),
        "able": study.table([["ability", "value"], *able]),
        "spots": study.table([["after", "AUROC"], *spots]),
        "frozen": study.table([heads, *study.figure_rows(kinds, names)]),
    }


def leg_line(leg: dict) -> str:
    """One time that the pretraining was taken up."""
    line = (
        f"  - from about step {leg['step']:,}: rate {leg['lr']}, every picture used "
        f"{leg['replays']} times, relief, drops,\n    hairs and grains drawn "
        f"{leg['hard_things']:g} times for each other thing"
    )
    if leg.get("where_weight"):
        line += f"; phrases pick their patches, weight {leg['where_weight']:g}"
    return line + ("; captions with\n    wrong places to refuse" if leg.get("wrong_places") else "")


def levers_part(folder: Path, seen: int, text: str) -> str:
    rows = study.read(folder / "levers.jsonl")
    if not rows:
        return "It has not been measured what each part of the making is worth."
    tables = []
    for name, minutes in dict.fromkeys((row["round"], row["minutes"]) for row in rows):
        mine = [row for row in rows if (row["round"], row["minutes"]) == (name, minutes)]
        tables.append(f"**{name}, {minutes:g} minutes each**\n\n{levers.table(mine)}")
    return text.format(seen=seen, table="\n\n".join(tables)).rstrip()
