"""The command line. `python -m aaclip_lite` lists the commands, `python -m aaclip_lite COMMAND
--help` explains one.

Special: options are the fields of small dataclasses (and of the Recipe), with their comments as
help; nothing heavy is imported before a command runs. Exit codes: 0 done; 1 a problem was found
(doctor), or an anomaly with --fail-on-anomaly (predict); 2 an error on the user's side, told in one
line (AACLIP_LITE_DEBUG=1 shows where it arose).
"""

import json as _json
import os
import sys
from dataclasses import dataclass, field
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .files.environment import data_path
from .recipe import Recipe, comparison

Detector = Annotated[str, tyro.conf.Positional]
Several = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH [PATH ...]")]


@dataclass(frozen=True)
class Backbone:
    """Which CLIP carries the adapters."""

    # lite (embedded), an open_clip name such as ViT-L-14-336, a config.json, or a folder with one
    clip: str = "lite"
    # a tag such as openai, or a file; "random" for none; default: those beside the config
    weights: str | None = None
    # side of the square input, e.g. 518 for ViT-L-14-336; default: the config's
    image_size: int | None = None
    device: str = "auto"  # auto, cpu, cuda, mps

    @property
    def said(self) -> dict | None:
        """load_clip's arguments, if any was given."""
        if (self.clip, self.weights, self.image_size) == ("lite", None, None):
            return None
        weights = {"random": None, None: "own"}.get(self.weights, self.weights)
        return {"source": self.clip, "weights": weights, "image_size": self.image_size}

    @property
    def place(self) -> str:
        from .service.processes import processes

        return str(processes().device) if self.device == "auto" else self.device

    def load(self, noted: dict | None = None):
        """The CLIP that was asked for, else the one that a detector's folder notes, else the
        embedded one.
        """
        from .load import load_clip

        return load_clip(**(self.said or noted or {})).to(self.place)

    def detector(self, name: str):
        from .detector import AnomalyDetector

        return AnomalyDetector.load(name, self.load() if self.said else None, self.place)


Carrier = Annotated[Backbone, tyro.conf.OmitArgPrefixes]


@dataclass(frozen=True)
class Train:
    """Train on defective and normal pictures; leaves a calibrated detector for products never seen
    in --out.

    Stopped at any moment and started again with the same options, it goes on where it was. Every
    choice of the method is a field of --recipe; --preset picks the starting point.
    """

    data: str = "factory/train"  # factory/train, or a folder or .jsonl manifest of your own
    out: str = "runs/a"  # folder of the run: adapters, logs, curves, detector
    stage: Literal["both", "text", "image"] = "both"  # text adapters first, then image adapters
    # use only so many pictures of each class, half of them defective; default: all
    shots: int | None = None
    # set whose normal pictures fix the threshold; default: factory/val, or --data
    calibrate: str | None = None
    false_alarms: float = 0.05  # share of good parts that may be called anomalous
    seed: int = 0  # of weights, order and augmentation
    resume: bool = True  # --no-resume starts over
    checkpointing: bool = False  # less memory, slower
    # stage 1: see each picture in so many ways only, and keep their features: faster
    views: int | None = None
    # the values that --recipe.* start from
    preset: Literal["course", "documented", "released"] = "course"
    backbone: Carrier = field(default_factory=Backbone)
    recipe: Recipe = field(default_factory=Recipe)

    def run(self) -> int:
        import torch

        from .course import plots
        from .detector import AnomalyDetector
        from .model import AdaptedCLIP
        from .service.processes import processes
        from .service.runs import train_image, train_text

        torch.manual_seed(self.seed)
        clip = self.backbone.load()
        data, model = _open(self.data, clip.image_size, self.shots), AdaptedCLIP(clip, self.recipe)
        stages = {"text": train_text, "image": train_image}
        options = {"seed": self.seed, "resume": self.resume, "checkpointing": self.checkpointing}
        for stage in stages if self.stage == "both" else [self.stage]:
            views = {"views": self.views} if stage == "text" else {}
            history = stages[stage](model, data, self.out, **options, **views)
            if history.rows and processes().is_main_process:
                print(history.table(6))
                plots.save(
                    plots.curves(history, title=f"Stage {stage}"), Path(self.out) / f"{stage}.png"
                )
            if not history.finished:
                return 0  # stopped by the user, who was told that it can go on
        if self.stage != "text" and processes().is_main_process:
            detector = AnomalyDetector.load(self.out, clip)
            detector.backbone = self.backbone.said or detector.backbone
            chosen = self.calibrate or (
                "factory/val" if self.data.startswith("factory/") else self.data
            )
            detector.calibrate(_open(chosen, clip.image_size), false_alarms=self.false_alarms).save(
                self.out
            )
            print(f"{self.out}: {detector}; try `python -m aaclip_lite eval {self.out}`")
        return 0


@dataclass(frozen=True)
class Eval:
    """How good a detector is, class by class, beside frozen CLIP, trivial rules and a linear probe."""

    # the shipped one, a run's folder, a hub name; or: frozen, for CLIP without adapters
    detector: Detector = "course"
    data: str = "factory/test"  # factory/test, val, test_hard, or a folder or manifest of your own
    # detector: each picture scored by itself; image: scored as published; text: stage 1 alone;
    # frozen: CLIP's own words
    stage: Literal["detector", "image", "text", "frozen"] = "detector"
    # judge only so many pictures of each class, half of them defective; default: all
    shots: int | None = None
    baselines: bool = True  # judge baselines in the same run; without them it is faster
    # training set of the linear probe; default: factory/train for factory sets, or none
    probe_data: str | None = None
    # blur of the maps (a detector brings its own)
    domain: Literal["industrial", "medical"] = "industrial"
    rounds: int = 100  # of the bootstrap behind the intervals
    out: str | None = None  # folder for report.json, report.md and sheets of best and worst cases
    json: bool = False  # print JSON instead of the table
    backbone: Carrier = field(default_factory=Backbone)

    def run(self) -> int:
        from .evaluation import evaluate
        from .service.processes import processes

        share = processes()  # each takes its share of the classes
        frozen = self.detector == "frozen"
        judged = self.backbone.load() if frozen else self.backbone.detector(self.detector)
        size = (judged if frozen else judged.model.clip).image_size
        judged = judged if frozen or self.stage == "detector" else judged.model
        data = _open(self.data, size, self.shots)
        probe = self.probe_data or ("factory/train" if self.data.startswith("factory/") else None)
        report = evaluate(
            judged,
            data,
            stage="image" if self.stage == "detector" else self.stage,
            baselines=self.baselines,
            train=_open(probe, size) if self.baselines and probe else None,
            domain=self.domain,
            rounds=self.rounds,
        )
        if not share.is_main_process:
            return 0
        print(_json.dumps(report.to_dict()) if self.json else report.table())
        if self.out:
            from .course import plots

            out = Path(self.out)
            report.save(out / "report.json")
            report.save(out / "report.md")
            plots.save(plots.class_bars(report), out / "classes.png")
            for which in (which for which, rows in report.extremes().items() if rows):
                plots.save(
                    plots.cases(judged, data, report, which), out / f"{which.replace(' ', '_')}.png"
                )
        return 0


@dataclass(frozen=True)
class Predict:
    """Score pictures of a product, with a verdict for each."""

    pictures: Several  # files or folders
    product: str = "object"  # what they show, e.g. bottle; any words will do
    # how to call it in the prompts, e.g. "rusty bolt"; default: the product's name
    words: str | None = None
    detector: str = "course"  # the shipped one, a run's folder, or a hub name
    # folder of good parts of this product, at least 19: fixes the threshold for it
    calibrate: str | None = None
    out: str | None = None  # folder for a picture of each heat map
    fail_on_anomaly: bool = False  # exit code 1 if any picture is anomalous
    json: bool = False  # print JSON instead of the table
    backbone: Carrier = field(default_factory=Backbone)

    def run(self) -> int:
        from accelerate.utils import gather_object

        from .detector import list_pictures, to_tensor
        from .service.processes import processes

        paths = [str(path) for given in _some(self.pictures) for path in list_pictures(given)]
        share = processes()  # each takes its share of the pictures
        paths = paths[share.process_index :: share.num_processes]
        detector = self.backbone.detector(self.detector)
        if self.calibrate:
            detector.calibrate(self.calibrate, self.product)
        found = detector.predict(paths, self.product, self.words) if paths else []
        if self.out:
            from .course import plots

            ends = gather_object(
                [value for each in found for value in (each.map.min(), each.map.max())]
            )
            scale = min(ends), max(ends)
            for path, each in zip(paths, found, strict=True):
                verdict = f"score {each.score:.2f}" + (
                    f", threshold {each.threshold:.2f}" if each.threshold else ""
                )
                given = [to_tensor(path).movedim(0, -1)], [each.map], None, [verdict]
                # a/good/0.png and a/bad/0.png stay apart
                name = "_".join(Path(path).with_suffix("").parts[-3:])
                plots.save(
                    plots.sheet(*given, Path(path).name, scale=scale), Path(self.out, f"{name}.png")
                )
        mine = [
            {name: value for name, value in each._asdict().items() if name != "map"}
            for each in found
        ]
        shares = gather_object([mine])
        # in the order in which they were given
        rows = [row for turn in zip_longest(*shares) for row in turn if row]
        if share.is_main_process:
            for row in () if self.json else rows:
                threshold = (
                    "" if row["threshold"] is None else f" (threshold {row['threshold']:.2f})"
                )
                print(
                    f"{_VERDICTS[row['is_anomalous']]:15} {row['score']:8.2f}{threshold}  "
                    f"{row['path']}"
                )
            if self.json:
                print(_json.dumps(rows))
        return int(self.fail_on_anomaly and any(row["is_anomalous"] for row in rows))


_VERDICTS = {True: "ANOMALOUS", False: "normal", None: "not calibrated"}


@dataclass(frozen=True)
class Doctor:
    """What is wrong with a checkpoint, a log, a run's folder or a data set; exit code 1 if anything
    is.
    """

    subjects: Several  # .safetensors, .pth, .resume, .jsonl, .log files, run folders, data sets
    # products whose anchors are looked at in run folders
    names: tuple[str, ...] = (
        "object",
        "bottle",
        "wood",
    )
    json: bool = False  # print JSON instead of tables
    backbone: Carrier = field(default_factory=Backbone)

    def run(self) -> int:
        findings = [
            finding for subject in _some(self.subjects) for finding in self._examine(Path(subject))
        ]
        text = (
            _json.dumps([each.to_dict() for each in findings])
            if self.json
            else "\n\n".join(map(repr, findings))
        )
        print(text)
        return int(not all(finding.healthy for finding in findings))

    def _examine(self, subject: Path):
        from . import doctor
        from .doctor.subjects import subjects

        files = []
        for kind, path in subjects(subject):
            if kind == "dataset":
                yield doctor.dataset(_open(str(subject), None))
            elif kind == "log":
                yield doctor.log(path)
            else:
                files.append(path)
                yield doctor.checkpoint(path, self._model([path]))
        adapters = [file for file in files if file.suffix == ".safetensors"]
        if subject.is_dir() and adapters and (model := self._model(adapters)):
            yield doctor.anchors(model, self.names)

    def _model(self, files: list[Path]):
        """The model that adapter files belong to, filled with them where they are several; None if
        they don't say.
        """
        from .checkpoint import load_adapter, read_metadata
        from .detector import settings
        from .files.weights import WeightsError
        from .model import AdaptedCLIP

        try:
            recipe = read_metadata(files[0])["recipe"]
        except WeightsError:  # the doctor names what is wrong with the file
            return None
        model = AdaptedCLIP(self.backbone.load(settings(files[0].parent).get("backbone")), recipe)
        for file in files if len(files) > 1 else ():
            load_adapter(file, model)
        return model


@dataclass(frozen=True)
class Recipes:
    """The three recipes side by side: every choice of the method, and what it means."""

    differing: bool = False  # only the fields in which they differ
    json: bool = False  # print JSON instead of the table

    def run(self) -> int:
        rows = comparison(self.differing)
        widths = {
            name: max(len(name), *(len(row[name]) for row in rows)) for name in list(rows[0])[:-1]
        }
        for row in () if self.json else [{name: name for name in rows[0]}, *rows]:
            print(
                "  ".join(row[name].ljust(width) for name, width in widths.items()),
                row["meaning"],
                sep="  ",
            )
        if self.json:
            print(_json.dumps(rows))
        return 0


@dataclass(frozen=True)
class Factory:
    """Draw the data sets of the course (what it needs is otherwise drawn on first use)."""

    out: str | None = None  # folder; default: where the course looks for them
    size: int = 128  # side of the pictures, 64 to 512
    splits: tuple[Literal["train", "val", "test", "test_hard"], ...] = (
        "train",
        "val",
        "test",
        "test_hard",
    )

    def run(self) -> int:
        from .world.factory import ensure

        for split in self.splits:
            print(ensure(split, self.out, self.size))
        return 0


@dataclass(frozen=True)
class Demo:
    """No browser: draw parts of unseen products, mark their defects, print a table, keep a sheet of
    pictures.
    """

    out: str = "build/demo.png"  # the sheet
    detector: str = "course"  # the shipped one, a run's folder, or a hub name
    seed: int = 0  # another number draws other parts
    # drawn of each product to tell what is normal, at least 19; 0: no verdicts
    good_parts: int = 19
    backbone: Carrier = field(default_factory=Backbone)

    def run(self) -> int:
        import warnings

        from . import metrics
        from .course import plots
        from .detector import AnomalyDetector
        from .model import AdaptedCLIP
        from .world import factory
        from .world.products import names

        trained = self.detector != "course" or _shipped("checkpoints/course")
        judged = self.backbone.detector(self.detector) if trained else None
        # untrained, these are CLIP's own maps
        judged = judged or AnomalyDetector(AdaptedCLIP(self.backbone.load()))
        what = (
            f"detector {self.detector}"
            if trained
            else "the frozen CLIP (no trained detector is shipped yet)"
        )
        kinds, unseen = factory.LOCAL_DEFECTS, names("test")
        parts = [
            _draw(name, kinds[(i + self.seed) % len(kinds)], self.seed)
            for i, name in enumerate(unseen)
        ]
        parts += [_draw(name, None, self.seed) for name in unseen[::3]]
        for name in unseen if self.good_parts else ():
            good = [
                factory.draw(name, i, 128, split="demo-good").image for i in range(self.good_parts)
            ]
            judged.calibrate(good, name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "not calibrated")  # the heading says it
            found, hits = [judged.predict(part.image, part.product) for part in parts], []
        print(
            f"Maps of {what}; what is normal, from {self.good_parts} good parts of each product.\n"
        )
        print(
            f"{'product':12}{'defect':15}{'verdict':16}{'score':>7}{'pixel AUROC':>13}  peak on "
            "defect"
        )
        for part, each in zip(parts, found, strict=True):
            own = metrics.pixel_metrics(each.map[None], part.mask[None])
            hits += [own["peak_hit"] > 0] if part.defect else []
            end = (
                f"{own['pixel_auroc']:13.2f}  {'yes' if hits[-1] else 'no'}"
                if part.defect
                else f"{'-':>13}  -"
            )
            verdict = f"{_VERDICTS[each.is_anomalous]:16}{each.score:7.2f}"
            print(f"{part.product:12}{part.defect or 'none':15}{verdict}{end}")
        titles = [
            f"{part.product}: {part.defect or 'no defect'}".replace("_", " ") for part in parts
        ]
        title = f"Unseen products, and the maps of {what}\n(outline: where the defect is; bright: where one is seen)"
        given = (
            [part.image for part in parts],
            [each.map for each in found],
            [part.mask for part in parts],
            titles,
        )
        sheet = plots.save(plots.sheet(*given, title), self.out)
        print(f"\npeak on the defect in {sum(hits)} of {len(hits)}; pictures: {sheet}")
        return 0


def _draw(name: str, kind: str | None, seed: int):
    """The first part of this seed on which the defect can be seen."""
    from .world import factory

    for number in range(100 * seed, 100 * seed + 100):
        try:
            return factory.draw(name, number, 128, kind, split="demo")
        except factory.NotShown:
            continue
    raise ValueError(f"{kind} cannot be shown on {name} with seed {seed}; take another seed")


def _open(name: str, size: int | None, shots: int | None = None):
    from .datasets import open_dataset

    data = open_dataset(name, size=size)
    return data.few_shot(shots) if shots else data


def _shipped(name: str) -> bool:
    try:
        return data_path(name).is_dir()
    except FileNotFoundError:
        return False


def _some(given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        raise ValueError("name at least one file or folder; --help explains the command")
    return given


COMMANDS = {
    "demo": Demo,
    "train": Train,
    "eval": Eval,
    "predict": Predict,
    "doctor": Doctor,
    "recipes": Recipes,
    "factory": Factory,
}
# modules that bring their dataclass of options and run(options); one that is not there is not
# offered
TOOLS = {
    "pretrain": ("world.pretrain", "Pretraining", "Make the embedded CLIP anew, from nothing."),
    "gates": ("lab.gates", "Gates", "Measure the embedded CLIP and write its card."),
    "yardsticks": (
        "lab.yardsticks",
        "Yardsticks",
        "Measure how hard the factory's world is and write its card.",
    ),
    "deviations": (
        "lab.deviations",
        "Deviations",
        "Measure what each choice of the course recipe is worth.",
    ),
    "levers": (
        "lab.levers",
        "Levers",
        "Measure what each part of pretraining is worth, in short runs.",
    ),
    "bench": ("lab.bench", "Bench", "Measure speed on this machine."),
}


def overview() -> str:
    lines = [(name, command.__doc__.partition("\n")[0]) for name, command in COMMANDS.items()]
    lines += [(name, about) for name, (_, _, about) in TOOLS.items()]
    text = "\n".join(f"  {name:12}{about}" for name, about in lines)
    command = "python -m aaclip_lite COMMAND"
    return f"usage: {command} [options]\n\n{text}\n\n`{command} --help` explains one."


def main(arguments: list[str] | None = None) -> int:
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        return 0
    try:
        if name not in COMMANDS and name not in TOOLS:
            raise ValueError(f"no command {name!r}\n{overview()}")
        home = None if name in COMMANDS else import_module(f"{__package__}.{TOOLS[name][0]}")
        options, run = (
            (getattr(home, TOOLS[name][1]), home.run)
            if home
            else (COMMANDS[name], COMMANDS[name].run)
        )
        # plainer help
        marks = () if name == "train" else (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
        prog = f"python -m aaclip_lite {name}"
        done = run(
            tyro.cli(options, args=rest, prog=prog, config=marks, default=_preset(name, rest))
        )
        return done if isinstance(done, int) else 0
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if os.environ.get("AACLIP_LITE_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _preset(name: str, arguments: list[str]):
    """`train --preset NAME` decides what --recipe.* starts from, so it is read first."""
    words = " ".join(arguments).replace("=", " ").split()
    preset = (
        words[words.index("--preset") + 1] if name == "train" and "--preset" in words[:-1] else None
    )
    if preset not in ("documented", "released"):
        return tyro.MISSING_NONPROP
    return Train(preset=preset, recipe=getattr(Recipe, preset)())


if __name__ == "__main__":
    sys.exit(main())
