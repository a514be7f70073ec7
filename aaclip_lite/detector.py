"""The finished product: a picture in, an anomaly map, a score and a decision out.

Special: calibrated on normal pictures, the score of a SINGLE picture means something: deviations
above what is normal, with a threshold that a given share of good parts exceeds by chance.
Calibration, words and backbone are saved with the adapters; a product that has its own calibration
uses it, any other the one for all ("*").

    detector = AnomalyDetector.load("course")                 # shipped; or a run's folder, or a hub name
    detector.predict("part.png", "bottle")                    # Prediction(map, score, threshold, ...)
    detector.calibrate("photos/good", "bolt", false_alarms=0.01).save("runs/bolt")
    detector.predict("part.png", "bolt", words="rusty bolt"); detector.to_onnx("bolt.onnx", "bolt")
"""

import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from . import datasets, scoring
from .checkpoint import MismatchError, load_adapter, read_metadata, save_adapter
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .files import layouts
from .files.audit import UNREADABLE
from .files.environment import data_path
from .files.keep import write_json
from .files.late import late
from .load import load_clip
from .model import STAGES, AdaptedCLIP, stack_anchors

SETTINGS = "detector.json"
ANY = "*"  # the calibration of products without their own
Picture = str | Path | Image.Image | np.ndarray | Tensor


class Prediction(NamedTuple):
    """One picture's result. Calibrated, map and score count deviations above normal; if not, there
    is no threshold.
    """

    map: Float[np.ndarray, "H W"]
    score: float
    threshold: float | None
    is_anomalous: bool | None
    path: str = ""


class PictureError(ValueError):
    """Something that is not a picture, or a file that cannot be read as one."""


class AnomalyDetector:
    def __init__(
        self,
        model: AdaptedCLIP,
        calibration: dict | None = None,
        words: dict[str, str] | None = None,
        domain: str = "industrial",
        backbone: dict | None = None,
    ) -> None:
        """words: what a class is called in the prompts, {"bolt": "rusty bolt"}. backbone: arguments
        of load_clip, so that load() finds it again; None: the embedded one.
        """
        if domain not in scoring.BLUR:
            raise ValueError(f"domain = {domain!r} is not one of {', '.join(scoring.BLUR)}")
        self.model = model.eval()
        self.calibration = calibration or {}
        self.words = words or {}
        self.domain = domain
        self.backbone = {"image_size": model.clip.image_size} | (backbone or {"source": "lite"})
        self.training: dict[str, dict] = {}  # what the adapters' files say of their training
        self._known: dict[tuple[str, str | None], Tensor] = {}  # anchors, by class name and words

    def __repr__(self) -> str:
        known = ["any product" if name == ANY else name for name in self.calibration]
        recipe = self.model.recipe
        calibrated = f"calibrated for {', '.join(known) or 'nothing'}"
        return f"AnomalyDetector({recipe.name}, {recipe.image_score}, {calibrated})"

    # ---- pictures --------------------------------------------------------------------------------

    def predict(
        self,
        images: Picture | Sequence[Picture],
        class_name: str = "object",
        words: str | None = None,
        batch_size: int = 16,
    ) -> Prediction | list[Prediction]:
        """images: a file, PIL picture, array (H, W, 3) or tensor (3, H, W), uint8 or float in [0,
        1]: one Prediction; a folder, list, array (N, H, W, 3) or tensor (N, 3, H, W): a list.
        words: said instead of the class name.
        """
        anchor = self.anchor(class_name, words)
        constants = self.calibration_of(class_name)
        threshold = constants["threshold"] if constants else None
        if constants is None:
            warnings.warn(
                "not calibrated: scores are raw and nothing is decided; see calibrate()",
                stacklevel=2,
            )
        named = ((str(p) if isinstance(p, str | Path) else "", p) for p in list_pictures(images))
        decoded = ((name, to_tensor(picture)) for name, picture in named)
        predictions = []
        for group in _alike(decoded, batch_size):
            batch = torch.stack([pixels for _, pixels in group])
            maps, scores = self.measure(batch, anchor.expand(len(batch), -1, -1))
            maps, scores = calibrated(maps, scores, constants)
            rows = zip(group, maps.cpu().numpy(), scores.tolist(), strict=True)
            for (path, _), anomaly_map, score in rows:
                verdict = None if constants is None else score > threshold
                predictions.append(Prediction(anomaly_map, score, threshold, verdict, path))
        return predictions if _several(images) else predictions[0]

    def anomaly_maps(
        self, images: Float[Tensor, "B 3 H W"], class_names: Sequence[str]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """Maps and scores of pictures of several classes, calibrated where that was done."""
        maps, scores = self.measure(images, self._anchors_of(class_names))
        each = [
            calibrated(maps[i : i + 1], scores[i : i + 1], self.calibration_of(name))
            for i, name in enumerate(class_names)
        ]
        return torch.cat([one for one, _ in each]), torch.cat([score for _, score in each])

    def calibrate(
        self,
        normal_images: Picture | Sequence[Picture] | AnomalyDataset,
        class_name: str = "object",
        false_alarms: float = 0.05,
    ) -> "AnomalyDetector":
        """Learn from normal pictures of one product what normal is; a rate of 0.05 needs at least
        19 of them.

        Of a data set the normal pictures of all its classes are taken: the calibration of any
        product without its own.
        """
        whole_set = isinstance(normal_images, AnomalyDataset)
        scores = []
        pixels = np.zeros(3)  # number, sum and sum of squares of the maps' values
        for group in _alike(_normal(normal_images, class_name), 16):
            batch = torch.stack([picture for _, picture in group])
            maps, raw = self.measure(batch, self._anchors_of([name for name, _ in group]))
            pixels += maps.numel(), float(maps.double().sum()), float(maps.double().square().sum())
            scores.append(raw)
        if not scores:
            raise ValueError(
                f"calibrate needs normal pictures, and there are none in {normal_images!r}"
            )
        raw = torch.cat(scores)
        mean, square = (pixels[1:] / pixels[0]).tolist()
        constants = scoring.fit_constants(raw)
        entry = {
            "map": (mean, max(square - mean**2, 0.0) ** 0.5),
            "score": constants,
            "threshold": scoring.threshold_at(scoring.z_scores(raw, constants), false_alarms),
            "false_alarms": false_alarms,
            "pictures": len(raw),
        }
        self.calibration = {**self.calibration, ANY if whole_set else class_name: entry}
        return self

    def calibration_of(self, name: str) -> dict | None:
        return self.calibration.get(name, self.calibration.get(ANY))

    def anchor(self, name: str, words: str | None = None) -> Float[Tensor, "d 2"]:
        key = (name, words or self.words.get(name))
        if key not in self._known:
            with torch.no_grad():
                names = [name] if key[1] is None else {name: key[1]}
                self._known[key] = self.model.text_anchors(names)[name]
        return self._known[key]

    def _anchors_of(self, names: Sequence[str]) -> Float[Tensor, "B d 2"]:
        return stack_anchors({name: self.anchor(name) for name in set(names)}, names)

    @torch.no_grad()
    def measure(
        self, images: Float[Tensor, "B 3 H W"], anchors: Float[Tensor, "B d 2"]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """Maps and scores as the model gives them, not calibrated."""
        x = self.model.preprocess(images.to(anchors.device))
        return self.compare(x, anchors, images.shape[-2:])

    def compare(
        self, x: Float[Tensor, "B 3 S S"], anchors: Float[Tensor, "B d 2"], size: Sequence[int]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        recipe = self.model.recipe
        features = self.model(x)
        maps = scoring.anomaly_map(features.levels, anchors, size, self.domain, **recipe.finish)
        scores = scoring.picture_scores(
            features, anchors, maps, recipe.image_score, self.domain, recipe.blur
        )
        return maps, scores

    # ---- files -----------------------------------------------------------------------------------

    @classmethod
    def load(
        cls, name: str | Path = "course", clip: FrozenCLIP | None = None, device: str = "cpu"
    ) -> "AnomalyDetector":
        """name: "course" (shipped), a folder that training or save() wrote, or a repository of the
        Hugging Face hub.

        clip: the backbone, where the folder does not say which (it does after save()).
        """
        folder = _find(name)
        stored = settings(folder)
        files = {stage: folder / f"{stage}.safetensors" for stage in STAGES}
        if not files["image"].is_file():
            trained = "stage 1 only" if files["text"].is_file() else "nothing"
            raise FileNotFoundError(
                f"{folder} holds {trained}: a detector needs image.safetensors, from train_image"
            )
        metadata = {stage: read_metadata(path) for stage, path in files.items() if path.is_file()}
        if clip is None:
            embedded = {
                "source": "lite",
                "image_size": metadata["image"]["backbone"]["image_size"],
            }
            clip = load_clip(**stored.get("backbone", embedded))
        model = AdaptedCLIP(clip, metadata["image"]["recipe"])
        try:
            for stage in metadata:
                load_adapter(files[stage], model)
        except MismatchError as error:
            raise MismatchError(
                f"{error}. Give the backbone that belongs to it: clip=load_clip(...)"
            ) from None
        detector = cls(
            model.to(device),
            stored.get("calibration"),
            stored.get("words"),
            stored.get("domain", "industrial"),
            stored.get("backbone"),
        )
        known = ("stage", "recipe", "backbone")
        detector.training = {
            stage: {key: value for key, value in header.items() if key not in known}
            for stage, header in metadata.items()
        }
        return detector

    def save(self, folder: str | Path) -> Path:
        """Adapters, calibration, words, and which backbone to load; the backbone itself is not
        copied.
        """
        folder = Path(folder)
        for stage in STAGES:
            path = folder / f"{stage}.safetensors"
            save_adapter(path, self.model, stage, self.training.get(stage))
        names = ("backbone", "domain", "words", "calibration")
        write_json(folder / SETTINGS, {name: getattr(self, name) for name in names})
        return folder

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | None = None) -> str:
        """Save to a repository of the Hugging Face hub, from which load(repo_id) fetches it."""
        return late("hub")(self, repo_id, private, token)

    def to_onnx(self, path: str | Path, class_name: str = "object") -> Path:
        """For one product and one picture at a time: (1, 3, S, S), float in [0, 1], already resized
        -> its map (1, S, S) and score (1,). Class name, threshold and S stand in the file's
        metadata.
        """
        return late("onnx")(self, Path(path), class_name)


def calibrated(
    maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"], constants: dict | None
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
    """Deviations above normal, where it is known what is normal."""
    if constants is None:
        return maps, scores
    return scoring.z_scores(maps, constants["map"]), scoring.z_scores(scores, constants["score"])


def _normal(
    images: Picture | Sequence[Picture] | AnomalyDataset, class_name: str
) -> Iterable[tuple[str, Tensor]]:
    """(class, picture) of all that calibrate() is to take as normal."""
    if not isinstance(images, AnomalyDataset):
        return ((class_name, to_tensor(picture)) for picture in list_pictures(images))
    rows = [i for i, record in enumerate(images.records) if record.label == 0]
    return ((images[i].class_name, to_tensor(images[i].image)) for i in rows)


def settings(folder: Path) -> dict:
    """What save() noted about a detector: backbone, domain, words, calibration; empty for a run
    that was not saved.
    """
    return json.loads((folder / SETTINGS).read_text()) if (folder / SETTINGS).is_file() else {}


def list_pictures(images: Picture | Sequence[Picture]) -> list[Picture]:
    """One picture, several, or a folder (all pictures below it, in the order of their names) -> a
    list.
    """
    if isinstance(images, str | Path) and Path(images).is_dir():
        found = sorted(p for p in Path(images).rglob("*") if p.suffix.lower() in layouts.PICTURES)
        if not found:
            raise FileNotFoundError(
                f"no pictures below {images}: files must end in {', '.join(layouts.PICTURES)}"
            )
        return found
    several = list(images) if _several(images) else [images]
    for path in (
        each for each in several if isinstance(each, str | Path) and not Path(each).is_file()
    ):
        raise FileNotFoundError(
            f"{path}: no such picture; check the path, as seen from {Path.cwd()}"
        )
    if not several:
        raise PictureError("no pictures were given: the list is empty")
    return several


def to_tensor(picture: Picture) -> Tensor:
    """A picture in any accepted form -> (3, H, W), float in [0, 1]."""
    if isinstance(picture, str | Path):
        try:
            # as in training, 16 bits included
            picture, _ = datasets.read_picture(Path(picture), None, as_mask=False)
        except UNREADABLE as error:
            raise PictureError(
                f"{picture} is no readable picture ({error}): save it again as PNG or JPEG"
            ) from error
    if isinstance(picture, Image.Image):
        picture = np.array(picture.convert("RGB"))
    if isinstance(picture, np.ndarray):
        picture = picture[..., None] if picture.ndim == 2 else picture
        picture = torch.from_numpy(np.ascontiguousarray(picture)).movedim(-1, 0)
    if not isinstance(picture, Tensor):
        raise PictureError(
            f"a {type(picture).__name__} is no picture: give a path, PIL picture, array or tensor"
        )
    # grey
    picture = picture.expand(3, -1, -1) if picture.ndim == 3 and len(picture) == 1 else picture
    if picture.ndim != 3 or len(picture) != 3 or not picture.numel():
        shape = f"{tuple(picture.shape)}, colour first,"
        raise PictureError(
            f"{shape} is no picture: give an array (H, W, 3) or (H, W), or a tensor (3, H, W)"
        )
    if picture.dtype != torch.uint8 and not picture.is_floating_point():
        raise PictureError(
            f"a picture has {picture.dtype} values: expected uint8, or float in [0, 1]"
        )
    picture = picture.float() / 255 if picture.dtype == torch.uint8 else picture.float()
    if not (picture.amin() >= 0 and picture.amax() <= 1):  # also false for NaN
        raise PictureError(
            f"float pictures must lie in [0, 1]; this one: {picture.amin():.3g} to "
            f"{picture.amax():.3g}"
        )
    return picture


def _several(images: Picture | Sequence[Picture]) -> bool:
    if isinstance(images, str | Path):
        return Path(images).is_dir()
    return isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4


def _alike(
    pictures: Iterator[tuple[str, Tensor]], batch_size: int
) -> Iterator[list[tuple[str, Tensor]]]:
    """Neighbours of one size, in groups of at most `batch_size`."""
    for _, run in groupby(pictures, key=lambda pair: pair[1].shape):
        while group := list(islice(run, batch_size)):
            yield group


def _find(name: str | Path) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if str(name) == "course":
        return data_path("checkpoints") / "course"
    wanted = [SETTINGS, *(f"{stage}.safetensors" for stage in STAGES)]
    try:
        return Path(huggingface_hub.snapshot_download(str(name), allow_patterns=wanted))
    except (
        Exception
    ) as error:  # not a valid name, no such repository, no network: each has its own kind
        raise FileNotFoundError(
            f"{name} is no folder here, and no repository that the hub gives "
            f"({type(error).__name__}). Use 'course' "
            "for the shipped detector, or the folder that training wrote"
        ) from error
