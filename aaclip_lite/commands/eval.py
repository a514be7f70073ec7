"""`eval`: figures by class, beside baselines, and a report in the folder of --out."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..files.escape import terminal
from ..files.keep import sweep
from . import _shared as shared

MOST_REFERENCES = 1000


@dataclass(frozen=True)
class Command:
    """How good a detector is, class by class, beside frozen CLIP, trivial rules and a linear probe."""

    # the shipped one, a run's folder, hf:OWNER/NAME; or: frozen, for CLIP without adapters
    detector: shared.Detector = "course"
    data: str = "factory/test"  # factory/test, val, test_hard, or a folder or manifest of your own
    # detector: each picture scored by itself; image: scored as published; text: stage 1 alone;
    # frozen: CLIP's own words
    stage: Literal["detector", "image", "text", "frozen"] = "detector"
    # sound parts of each product that the detector remembers, from the set's split train; several
    # numbers give several reports, e.g. 0 1 4 16
    references: tuple[int, ...] = (0,)
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
    bf16: bool = False  # faster on processors with avx512_bf16 or AMX; results move a little
    reading: shared.HowRead = field(default_factory=shared.Reading)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def refuse_unfit(self, given: set[str]) -> None:
        shared.a_data_set("--data", self.data)
        shared.even_shots(self.shots)
        shared.in_range("--rounds", self.rounds, 1, 10_000)
        if not self.references or any(n not in range(MOST_REFERENCES + 1) for n in self.references):
            raise ValueError(
                f"--references {' '.join(map(str, self.references))}: give numbers of parts from 0 "
                f"to {MOST_REFERENCES}"
            )
        with_detector = self.stage == "detector" and self.detector != "frozen"
        shared.only_with(
            given, "--references", with_detector, "for a detector with --stage detector"
        )
        shared.only_with(given, "--probe-data", self.baselines, "with baselines")
        if self.probe_data is not None:
            shared.a_data_set("--probe-data", self.probe_data)
        if self.out is not None:
            shared.a_folder_to_write("--out", self.out)

    def run(self) -> int:
        from ..service.processes import processes

        share = processes()  # each takes its share of the classes
        judged, size = self._judged()
        data = shared.open_data(self.data, size, self.shots, self.reading)
        tells = share.is_main_process and 0 in self.references and hasattr(judged, "references")
        for note in notes_on(judged, data) if tells else ():
            print(f"note: {terminal(note)}", file=sys.stderr)
        for number in self.references:
            report = self._report(judged, data, size, number)
            if share.is_main_process:
                self._show(report, judged, data, number)
        return 0

    def _judged(self):
        """(detector or model, side of its input)"""
        if self.detector == "frozen":
            if self.bf16:
                raise ValueError("--bf16 is for a detector, not for frozen; leave it out")
            clip = self.backbone.load()
            return clip, clip.image_size
        detector = self.backbone.detector(self.detector, self.bf16)
        size = detector.model.clip.image_size
        return (detector if self.stage == "detector" else detector.model), size

    def _report(self, judged, data, size: int, number: int):
        """number: of references. Baselines know none: they are judged with the first number only."""
        from ..evaluation import evaluate

        probe = self.probe_data
        if probe is None and shared.is_factory(self.data):
            probe = "factory/train"
        baselines = self.baselines and number == self.references[0]
        train = shared.open_data(probe, size) if baselines and probe is not None else None
        return evaluate(
            judged,
            data,
            stage="image" if self.stage == "detector" else self.stage,
            baselines=baselines,
            train=train,
            domain=self.domain,
            rounds=self.rounds,
            references=number,
        )

    def _show(self, report, judged, data, number: int) -> None:
        several = len(self.references) > 1
        if several and not self.json:
            print(f"\n{number} references of each product")
        print(json.dumps(report.to_dict(), allow_nan=False) if self.json else report.table())
        if self.out is not None:
            out = Path(self.out)
            self._write(report, judged, data, out / f"{number}_references" if several else out)

    def _write(self, report, judged, data, out: Path) -> None:
        from ..course import plots

        pictures = [f"{name.replace(' ', '_')}.png" for name in ("classes", *report.extremes())]
        sweep(out / name for name in ("report.json", "report.md", *pictures))
        report.save(out / "report.json")
        report.save(out / "report.md")
        plots.save(plots.class_bars(report), out / "classes.png")
        for which, rows in report.extremes().items():
            if rows:
                name = f"{which.replace(' ', '_')}.png"
                plots.save(plots.cases(judged, data, report, which), out / name)


def notes_on(detector, data) -> Iterator[str]:
    """Where a detector knows products, but not those of the data, or has seen their pictures."""
    known = sorted({*detector.references, *detector.calibration} - {"*"})
    strange = [name for name in data.classes if name not in known]
    if known and strange:
        remedy = "of these it knows nothing"
        if data.layout == "folder" and len(data.classes) == 1:
            remedy = f"name it with --class-name {' or '.join(map(shlex.quote, known))}"
        have = ", ".join(strange)
        yield f"the detector knows {', '.join(known)}, the data has {have}: {remedy}"
    for name in data.classes:
        sound = [data.root / r.image for r in data.records if r.class_name == name and not r.label]
        if seen := shared.remembered(detector, name, sound):
            yield (
                f"{seen} of {len(sound)} sound pictures of {name} are the detector's references, "
                "which look like themselves: judge others"
            )
