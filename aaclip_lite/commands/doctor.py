"""`doctor`: findings about checkpoints, detectors, logs, run folders, data sets and pictures."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from . import _shared as shared


@dataclass(frozen=True)
class Command:
    """What is wrong with a checkpoint, a log, a run or a data set; exit code 1 if anything is."""

    subjects: shared.Several  # .safetensors, .pth, .resume, .jsonl, .log files, folders, data sets
    # products whose anchors are looked at in run folders
    names: tuple[str, ...] = ("object", "bottle", "wood")
    json: bool = False  # print JSON instead of tables
    reading: shared.HowRead = field(default_factory=shared.Reading)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def refuse_unfit(self, given: set[str]) -> None:
        from ..doctor.subjects import subjects

        for subject in shared.some(self.subjects):
            for kind, path in subjects(subject):
                if kind == "dataset":
                    shared.a_data_set("doctor", subject)
                elif not path.exists():
                    raise FileNotFoundError(f"{path}: no such file; check the path")

    def run(self) -> int:
        findings = []
        for subject in self.subjects:
            findings += self._examine(subject)
        if self.json:
            print(json.dumps([each.to_dict() for each in findings], allow_nan=False))
        else:
            print("\n\n".join(map(repr, findings)))
        return int(not all(finding.healthy for finding in findings))

    def _examine(self, name: str):
        from .. import doctor
        from ..checkpoint import load_adapter
        from ..doctor.subjects import subjects
        from ..files.weights import WeightsError

        alone = {"log": doctor.log, "detector": doctor.detector, "pictures": doctor.parts}
        adapters = []
        for kind, path in subjects(name):
            if kind == "dataset":
                yield doctor.dataset(shared.open_data(name, None, reading=self.reading))
            elif kind in alone:
                yield alone[kind](path)
            else:
                if path.suffix == ".safetensors":
                    adapters.append(path)
                yield doctor.checkpoint(path, self._model(path))
        model = self._model(adapters[0]) if Path(name).is_dir() and adapters else None
        if model is None:
            return
        try:
            for file in adapters:
                load_adapter(file, model)
        except WeightsError:  # said above
            return
        yield doctor.anchors(model, self.names)

    def _model(self, file: Path):
        """The model that an adapter file belongs to; None if it doesn't say."""
        from ..checkpoint import read_metadata
        from ..files import notes
        from ..files.weights import WeightsError
        from ..model import AdaptedCLIP
        from ..variants import build

        try:
            header = read_metadata(file)
        except WeightsError:  # the doctor names what is wrong with the file
            return None
        clip = self.backbone.load(notes.read(file.parent, alone=True).get("backbone"))
        said = header.get("variant")
        both = (clip, header["recipe"])
        return build(said, *both, file) if said else AdaptedCLIP(*both)
