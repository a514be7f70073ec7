"""`export`: a detector that knows your product, kept in a folder, and as a file for other programs."""

from dataclasses import dataclass, field
from pathlib import Path

from ..files import notes
from ..files.keep import only_one
from . import _shared as shared

PROGRAM = "detector.onnx"


@dataclass(frozen=True)
class Command:
    """Keep a detector that has seen your sound parts; with --onnx also as a file for any program."""

    product: str  # what the parts are, e.g. bottle; any words will do
    out: str  # folder of the new detector, for predict --detector
    detector: str = "course"  # the shipped one, a run's folder, or hf:OWNER/NAME on the hub
    onnx: bool = False  # also write detector.onnx, which needs the extra packages of [export]
    sound: shared.Sound = field(default_factory=shared.SoundParts)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def refuse_unfit(self, given: set[str]) -> None:
        self.sound.refuse_unfit(given)
        out = shared.a_folder_to_write("--out", self.out)
        known = notes.products(notes.read(out, alone=True).get("calibration", {}))
        added_to = Path(self.detector).resolve() == out.resolve()
        if set(known) - {self.product} and not added_to:
            raise FileExistsError(
                f"--out {out} holds a detector that knows {', '.join(known)}: add to it with "
                f"--detector {out}, or choose another folder"
            )
        if (out / PROGRAM).exists() and not self.onnx:
            raise FileExistsError(
                f"--out {out} holds {PROGRAM} of the detector before: write it anew with --onnx, or "
                "remove it"
            )

    def run(self) -> int:
        with only_one(self.out):
            return self._export()

    def _export(self) -> int:
        detector = self.backbone.detector(self.detector)
        self.sound.teach(detector, self.product)
        print(detector.line(self.product))
        print(detector.save(self.out))
        if self.onnx:
            print(detector.to_onnx(Path(self.out) / PROGRAM, self.product))
        return 0
