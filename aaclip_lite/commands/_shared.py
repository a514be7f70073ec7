"""What several commands need: the backbone's options, a data set by name, checks of options.

Special: checks come before any work, and each names the option, the value and the remedy.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..files.door import refuse_device
from ..files.escape import terminal
from ..files.folders import below

Detector = Annotated[str, tyro.conf.Positional]
Several = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH [PATH ...]")]
DEVICES = ("auto", "cpu", "cuda", "mps")
VERDICTS = {True: "ANOMALOUS", False: "normal", None: "no verdict"}
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one
FACTORY = ("train", "val", "test", "val_wild", "test_wild", "test_hard")


@dataclass(frozen=True)
class Backbone:
    """Which CLIP carries the adapters."""

    # lite (embedded), TinyCLIP-ViT-8M-16, an open_clip name (ViT-L-14-336), a config.json, a folder
    clip: str = "lite"
    # a tag such as openai, or a file; "random" for none; default: those beside the config
    weights: str | None = None
    # side of the square input, e.g. 518 for ViT-L-14-336; default: the config's
    image_size: int | None = None
    device: str = "auto"  # auto, cpu, cuda, mps

    def __post_init__(self) -> None:
        kind, _, number = self.device.partition(":")
        if kind not in DEVICES or (number and not number.isdigit()):
            raise ValueError(f"--device {self.device!r}: choose one of {', '.join(DEVICES)}")
        in_range("--image-size", self.image_size, 1, 4096)

    @property
    def said(self) -> dict | None:
        """load_clip's arguments, if any was given."""
        if (self.clip, self.weights, self.image_size) == ("lite", None, None):
            return None
        weights = {"random": None, None: "own"}.get(self.weights, self.weights)
        return {"source": self.clip, "weights": weights, "image_size": self.image_size}

    @property
    def place(self) -> str:
        from ..service.processes import processes

        if self.device == "auto":
            return str(processes().device)
        refuse_device("--device", self.device)
        return self.device

    def load(self, noted: dict | None = None):
        """The CLIP that was asked for, else the one that a detector's folder notes, else the
        embedded one.
        """
        from ..load import load_clip

        return load_clip(**(self.said or noted or {})).to(self.place)

    def detector(self, name: str, bf16: bool = False):
        from ..detector import AnomalyDetector
        from ..service.matmul import choose, judge_in_bf16

        detector = AnomalyDetector.load(name, self.load() if self.said else None, self.place)
        if choose(detector.model.clip):
            print("note: oneDNN multiplies, which is faster here and equal", file=sys.stderr)
        if bf16:
            judge_in_bf16(detector.model)
        return detector


Carrier = Annotated[Backbone, tyro.conf.OmitArgPrefixes]


@dataclass(frozen=True)
class Reading:
    """How a folder or manifest of your own is read."""

    # problems of the data set to live with
    allow: tuple[Literal["class", "content", "duplicate", "path", "size"], ...] = ()
    # there are no masks: figures of whole pictures only
    image_level: bool = False
    # what a plain folder of one product shows
    class_name: str = "object"


HowRead = Annotated[Reading, tyro.conf.OmitArgPrefixes]


@dataclass(frozen=True)
class SoundParts:
    """Folders of sound parts of the product, from which a detector learns what is normal."""

    # folder of parts to remember; from five on they give a verdict
    references: str | None = None
    # folder of others, which draw the line: 19 of them with a promised rate
    calibrate: str | None = None
    # share of sound parts that may be called anomalous, with --references or --calibrate
    false_alarms: float = 0.05
    # how often the references are read together, at most; fewer save time with a large CLIP
    readings: int = 128

    def refuse_unfit(self, given: set[str]) -> None:
        a_rate("--false-alarms", self.false_alarms)
        folders = {"--references": self.references, "--calibrate": self.calibrate}
        named = {option: folder for option, folder in folders.items() if folder is not None}
        only_with(given, "--false-alarms", bool(named), "with --references or --calibrate")
        only_with(given, "--readings", self.references is not None, "with --references")
        in_range("--readings", self.readings, 1, 100_000)
        for option, folder in named.items():
            if not Path(folder).is_dir():
                raise NotADirectoryError(
                    f"{option} {folder}: no such folder; name one of sound parts"
                )

    def teach(self, detector, product: str, words: str | None = None) -> None:
        """words: what the product is called when it is judged."""
        for folder in filter(None, (self.references, self.calibrate)):
            looked_through(folder)
        if self.references is not None:
            detector.remember(self.references, product, self.false_alarms, self.readings, words)
        if self.calibrate is not None:
            detector.calibrate(self.calibrate, product, self.false_alarms, words)


def looked_through(folder: str):
    """What a folder holds; what is left out of it is named."""
    held = below(folder)
    for line in (*held.skipped, *held.closed):
        print(f"skipped: {terminal(line)}", file=sys.stderr)
    return held


Sound = Annotated[SoundParts, tyro.conf.OmitArgPrefixes]


def open_data(
    name: str, size: int | None, shots: int | None = None, reading: Reading | None = None
):
    """A data set by name, folder or manifest; of it only so many pictures of each class."""
    from ..datasets import open_dataset

    data = open_dataset(name, size=size, **({} if reading is None else vars(reading)))
    return data if shots is None else data.few_shot(shots)


def remembered(detector, product: str, paths: Iterable[str | Path]) -> int:
    """How many of these pictures are the detector's own references, which look like themselves."""
    from ..files.forms import to_tensor
    from ..files.pictures import PictureError
    from ..files.sound import mark

    seen = set(detector.calibration.get(product, {}).get("seen", ()))
    known = 0
    for path in paths if seen else ():
        with suppress(PictureError, OSError):  # what cannot be read is told where it is judged
            known += mark(to_tensor(path)) in seen
    return known


def is_factory(name: str) -> bool:
    return name.startswith("factory/")


# ---- checks of options ---------------------------------------------------------------------------


def some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one file or folder; --help explains the command")
    return names


def in_range(option: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:  # also true for NaN
        raise ValueError(f"{option} {value:g}: give a number from {low:g} to {high:g}")


def a_rate(option: str, value: float) -> None:
    """A share of good parts that may be called anomalous."""
    from ..files.promise import refuse_rate

    refuse_rate(option, value)


def even_shots(value: int | None) -> None:
    if value is not None and (value < 2 or value % 2):
        raise ValueError(
            f"--shots {value}: give an even number of at least 2, half of them defective"
        )


def only_with(given: set[str], option: str, holds: bool, where: str) -> None:
    """An option that was given, though it means nothing beside the others."""
    if option in given and not holds:
        raise ValueError(f"{option} has a meaning {where} only; leave it out")


def a_data_set(option: str, name: str) -> None:
    """A set of the factory, a folder or a manifest; its contents are looked at later."""
    if is_factory(name):
        choices = [f"factory/{each}" for each in FACTORY]
        if name not in choices:
            raise ValueError(f"{option} {name}: choose one of {', '.join(choices)}, or a folder")
    elif not Path(name).exists():
        raise FileNotFoundError(
            f"{option} {name}: no such folder or manifest; factory/train needs no download"
        )
    elif Path(name).is_file() and Path(name).suffix.lower() not in (".jsonl", ".json"):
        raise ValueError(
            f"{option} {name}: one file of this kind is no data set; name the folder around it, or "
            "a .jsonl manifest"
        )


def a_folder_to_write(option: str, name: str) -> Path:
    """Made if it is not there; refused, before any work, where nothing can be written."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("not writable")
    except OSError as error:
        raise type(error)(
            f"{option} {name}: no folder can be written there ({error.strerror or error}); choose "
            "another"
        ) from error
    return folder


def a_file_to_write(option: str, name: str) -> Path:
    """Its folder is made; refused where it is itself a folder."""
    if Path(name).is_dir():
        raise IsADirectoryError(f"{option} {name}: is a folder; name a file")
    a_folder_to_write(option, str(Path(name).parent))
    return Path(name)
