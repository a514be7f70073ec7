"""`doctor`: findings about checkpoints, run folders and data sets."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from . import _shared as shared

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".resume")


@dataclass(frozen=True)
class Command:
    """What is wrong with a checkpoint, a run's folder or a data set; exit code 1 if anything is."""

    subjects: shared.Several  # .safetensors, .pth or .resume files, run folders, data sets
    # products whose anchors are looked at in run folders
    names: tuple[str, ...] = ("object", "bottle", "wood")
    json: bool = False  # print JSON instead of tables
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def check(self, given: set[str]) -> None:
        for subject in shared.some(self.subjects):
            if Path(subject).suffix in CHECKPOINTS:
                if not Path(subject).is_file():
                    raise FileNotFoundError(f"{subject}: no such file; check the path")
            else:
                shared.a_data_set("doctor", subject)

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
        from ..doctor import examine as doctor

        subject = Path(name)
        if subject.suffix in CHECKPOINTS:
            yield doctor.checkpoint(subject, self._model([subject]))
            return
        files = sorted(subject.glob("*.safetensors")) if subject.is_dir() else []
        if not files:
            yield doctor.dataset(shared.open_data(name, None))
            return
        for file in files:
            yield doctor.checkpoint(file, self._model([file]))
        model = self._model(files)
        if model is not None:
            yield doctor.anchors(model, self.names)

    def _model(self, files: list[Path]):
        """The model that adapter files belong to, filled with them where they are several; None if
        they don't say.
        """
        from ..checkpoint import load_adapter, read_metadata
        from ..detector import settings
        from ..files.weights import WeightsError
        from ..model import AdaptedCLIP

        try:
            recipe = read_metadata(files[0])["recipe"]
        except WeightsError:  # the doctor names what is wrong with the file
            return None
        model = AdaptedCLIP(self.backbone.load(settings(files[0].parent).get("backbone")), recipe)
        for file in files if len(files) > 1 else ():
            load_adapter(file, model)
        return model
