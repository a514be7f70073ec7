"""`train`: both stages, curves, and a calibrated detector in one folder.

Special: every option is looked at before the first step; a folder takes one training at a time; a
run that was stopped exits 130, so that `train && eval` stops too.
"""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..files import notes
from ..files.keep import only_one, sweep
from ..recipe import Recipe
from . import _shared as shared


@dataclass(frozen=True)
class Command:
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
    # side in pixels at which the finished detector reads; default: as trained. A finer grid sees
    # smaller defects and takes longer
    read: int | None = None
    seed: int = 0  # of weights, order and augmentation
    accumulate: int = 1  # batches whose gradients are added up before a step
    resume: bool = True  # --no-resume starts over
    checkpointing: bool = False  # less memory, slower
    # stage 1: see each picture in so many ways only, and keep their features: faster
    views: int | None = None
    # the values that --recipe.* start from
    preset: Literal["course", "documented", "released"] = "course"
    # another system of the clinic, trained by the same steps: towers that look at each other
    variant: Literal["cross_attention"] | None = None
    # of the variant: in full, a tenth, a tenth in length
    residual: Literal["v1", "v2", "v3"] = "v3"
    # train onwards: "course" or the folder of a run whose adapters this one begins with
    base: str | None = None
    bf16: bool = False  # faster on processors with avx512_bf16 or AMX; results move a little
    reading: shared.HowRead = field(default_factory=shared.Reading)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)
    recipe: Recipe = field(default_factory=Recipe)

    def refuse_unfit(self, given: set[str]) -> None:
        shared.a_data_set("--data", self.data)
        shared.even_shots(self.shots)
        shared.a_rate("--false-alarms", self.false_alarms)
        shared.in_range("--seed", self.seed, 0, shared.LARGEST_SEED)
        shared.in_range("--accumulate", self.accumulate, 1, 10_000)
        shared.in_range("--views", self.views, 1, 10_000)
        shared.in_range("--read", self.read, 1, 4096)
        if self.calibrate is not None:
            shared.a_data_set("--calibrate", self.calibrate)
        calibrates = self.stage != "text"
        for option in ("--calibrate", "--false-alarms", "--read"):
            shared.only_with(given, option, calibrates, "with --stage both or image")
        shared.only_with(given, "--views", self.stage != "image", "with --stage both or text")
        shared.only_with(given, "--residual", self.variant is not None, "with --variant")
        if self.base not in (None, "course") and not Path(self.base, "text.safetensors").is_file():
            raise FileNotFoundError(
                f"--base {self.base}: holds no text.safetensors; name the folder of a trained run"
            )
        for name in ("text_lr", "image_lr"):
            rate = getattr(self.recipe, name)
            if not 0 < rate < 1:
                raise ValueError(
                    f"--recipe.{name.replace('_', '-')} {rate:g}: give a learning rate above 0 and "
                    "below 1, such as 1e-3"
                )
        shared.a_folder_to_write("--out", self.out)

    def run(self) -> int:
        import torch

        from ..service.processes import processes

        with only_one(self.out, ours=processes().is_main_process):
            if processes().is_main_process:
                sweep(Path(self.out, name) for name in ("text.png", "image.png", notes.NAME))
            torch.manual_seed(self.seed)
            clip = self.backbone.load()
            data = shared.open_data(self.data, clip.image_size, self.shots, self.reading)
            good = None if self.stage == "text" else self._good(self.read or clip.image_size)
            model = self._model(clip)
            for stage in ("text", "image") if self.stage == "both" else [self.stage]:
                if not self._train(stage, model, data):
                    return 130  # the user stopped it, and was told that it can go on
            if good is not None and processes().is_main_process:
                self._calibrate(clip, good)
        return 0

    def _model(self, clip):
        from ..model import AdaptedCLIP
        from ..variants import load_base
        from ..variants.cross_attention import CrossAttentionCLIP

        both = clip, self.recipe
        model = CrossAttentionCLIP(*both, self.residual) if self.variant else AdaptedCLIP(*both)
        if self.base is not None:
            new = load_base(model, notes.find(self.base))
            more = f"; new: {', '.join(new)}" if new else ""
            print(f"begins with the adapters of {self.base}{more}")
        return model

    def _good(self, size: int):
        """The set that fixes the threshold; that it suffices is known before training."""
        from ..decision import FEWEST, RATE, needed

        name = self.calibrate
        if name is None:
            name = "factory/val" if shared.is_factory(self.data) else self.data
        data = shared.open_data(name, size, reading=self.reading)
        number = sum(record.label == 0 for record in data.records)
        # fewer than a promise needs do with other products' help, unless a rate was asked for
        least = FEWEST if self.false_alarms == RATE else needed(self.false_alarms)
        if number < least:
            raise ValueError(
                f"{name} holds {number} normal pictures, but --false-alarms "
                f"{self.false_alarms:g} needs {least}: give more with --calibrate"
            )
        return data

    def _train(self, stage: str, model, data) -> bool:
        """Whether the stage is done."""
        from ..course import plots
        from ..service.processes import processes
        from ..service.runs import train_image, train_text

        run = {"text": train_text, "image": train_image}[stage]
        names = ("seed", "resume", "checkpointing", "accumulate", "bf16")
        options = {name: getattr(self, name) for name in names}
        options |= {"views": self.views} if stage == "text" else {}
        history = run(model, data, self.out, **options)
        if history.rows and processes().is_main_process:
            print(history.table(6))
            figure = plots.curves(history, title=f"Stage {stage}")
            plots.save(figure, Path(self.out) / f"{stage}.png")
        return history.finished

    def _calibrate(self, clip, good) -> None:
        from ..detector import AnomalyDetector
        from ..load import load_clip

        backbone = self.backbone.said or {"source": "lite"}
        if self.read is not None:
            backbone = {**backbone, "image_size": self.read}
            clip = load_clip(**backbone)
        notes.drop_stale(self.out)
        detector = AnomalyDetector.load(self.out, clip)
        detector.backbone = {**backbone, "image_size": clip.image_size}
        detector.calibrate(good, false_alarms=self.false_alarms).save(self.out)
        print(f"{self.out}: {detector}; try `{self.what_to_try()}`")

    def what_to_try(self) -> str:
        """The command that judges the run: on the user's own data where it was trained on them."""
        words = ["python", "-m", "aaclip_lite", "eval", self.out]
        if not shared.is_factory(self.data):
            words += ["--data", self.data]
            if self.reading.class_name != shared.Reading.class_name:
                words += ["--class-name", self.reading.class_name]
            words += ["--allow", *self.reading.allow] if self.reading.allow else []
        return shlex.join(words)


def preset(arguments: list[str]) -> Command | None:
    """`train --preset NAME` decides what --recipe.* starts from, so it is read first."""
    words = " ".join(arguments).replace("=", " ").split()
    name = words[words.index("--preset") + 1] if "--preset" in words[:-1] else None
    if name not in ("documented", "released"):
        return None
    return Command(preset=name, recipe=getattr(Recipe, name)())
