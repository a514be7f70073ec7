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

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from . import scoring
from .checkpoint import (
    MismatchError,
    load_adapter,
    read_metadata,
    save_adapter,
    text_checksum,
)
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .files import notes
from .files.door import door
from .files.forms import Picture, alike, is_several, list_pictures, refuse_endless, to_tensor
from .files.late import late
from .files.pictures import PictureError
from .load import load_clip
from .model import STAGES, AdaptedCLIP, stack_anchors

__all__ = [
    "AnomalyDetector",
    "PictureError",
    "Prediction",
    "list_pictures",
    "settings",
    "to_tensor",
]

SETTINGS = notes.NAME
ANY = "*"  # the calibration of products without their own


class Prediction(NamedTuple):
    """One picture's result. Calibrated, map and score count deviations above normal; if not, there
    is no threshold.
    """

    map: Float[np.ndarray, "H W"]
    score: float
    threshold: float | None
    is_anomalous: bool | None
    path: str = ""


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

    @door(class_name=str, words=(str, None), batch_size=int)
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
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: give at least 1")
        anchor = self.anchor(class_name, words)
        constants = self.calibration_of(class_name)
        threshold = constants["threshold"] if constants else None
        if constants is None:
            warnings.warn(
                "not calibrated: scores are raw and nothing is decided; see calibrate()",
                stacklevel=3,
            )
        named = ((str(p) if isinstance(p, str | Path) else "", p) for p in list_pictures(images))
        decoded = ((name, to_tensor(picture)) for name, picture in named)
        predictions = []
        for group in alike(decoded, batch_size):
            batch = torch.stack([pixels for _, pixels in group])
            maps, scores = self.measure(batch, anchor.expand(len(batch), -1, -1))
            maps, scores = calibrated(maps, scores, constants)
            refuse_endless(maps, scores, [path for path, _ in group])
            rows = zip(group, maps.cpu().numpy(), scores.tolist(), strict=True)
            for (path, _), anomaly_map, score in rows:
                verdict = None if constants is None else score > threshold
                predictions.append(Prediction(anomaly_map, score, threshold, verdict, path))
        return predictions if is_several(images) else predictions[0]

    def anomaly_maps(
        self, images: Float[Tensor, "B 3 H W"], class_names: Sequence[str]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B"]]:
        """Maps and scores of pictures of several classes, calibrated where that was done."""
        maps, scores = self.measure(images, self._anchors_of(class_names))
        each = [
            calibrated(maps[i : i + 1], scores[i : i + 1], self.calibration_of(name))
            for i, name in enumerate(class_names)
        ]
        return torch.cat([one for one, _ in each]), torch.cat([score for _, score in each])

    @door(class_name=str, false_alarms=(float, int))
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
        if not 0 < false_alarms < 1:  # also true for NaN
            raise ValueError(
                f"calibrate: false_alarms = {false_alarms}: give a share above 0 and below 1"
            )
        whole_set = isinstance(normal_images, AnomalyDataset)
        scores = []
        pixels = np.zeros(3)  # number, sum and sum of squares of the maps' values
        for group in alike(_normal(normal_images, class_name), 16):
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
        if not raw.isfinite().all():
            raise ValueError(
                "calibrate: scores are not finite; the adapters are damaged, train again"
            )
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
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B"]]:
        """Maps and scores as the model gives them, not calibrated."""
        x = self.model.preprocess(images.to(anchors.device))
        return self.compare(x, anchors, images.shape[-2:])

    def compare(
        self, x: Float[Tensor, "B 3 S S"], anchors: Float[Tensor, "B d 2"], size: Sequence[int]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B"]]:
        recipe = self.model.recipe
        features = self.model(x)
        maps = scoring.anomaly_map(features.levels, anchors, size, self.domain, **recipe.finish)
        scores = scoring.picture_scores(
            features, anchors, maps, recipe.image_score, self.domain, recipe.blur
        )
        return maps, scores

    # ---- files -----------------------------------------------------------------------------------

    @classmethod
    @door(name=(str, Path), clip=(FrozenCLIP, None), device=str)
    def load(
        cls, name: str | Path = "course", clip: FrozenCLIP | None = None, device: str = "cpu"
    ) -> "AnomalyDetector":
        """name: "course" (shipped), a folder that training or save() wrote, or a repository of the
        Hugging Face hub.

        clip: the backbone, where the folder does not say which (it does after save()).
        """
        folder = notes.find(name)
        stored = settings(folder)
        files = {stage: folder / f"{stage}.safetensors" for stage in STAGES}
        if not files["image"].is_file():
            trained = "stage 1 only" if files["text"].is_file() else "nothing"
            raise FileNotFoundError(
                f"{folder} holds {trained}: a detector needs image.safetensors, from train_image"
            )
        metadata = {stage: read_metadata(path) for stage, path in files.items() if path.is_file()}
        _refuse_half(folder, metadata)
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
        _refuse_strangers(folder, model, metadata)
        detector = cls(
            model.to(device),
            stored.get("calibration"),
            stored.get("words"),
            stored.get("domain", "industrial"),
            stored.get("backbone"),
        )
        known = ("stage", "recipe", "backbone", "checksum", "text_adapters")
        detector.training = {
            stage: {key: value for key, value in header.items() if key not in known}
            for stage, header in metadata.items()
        }
        return detector

    @door(folder=(str, Path))
    def save(self, folder: str | Path) -> Path:
        """Adapters, calibration, words, and which backbone to load; the backbone itself is not
        copied.
        """
        folder = Path(folder)
        for stage in STAGES:
            path = folder / f"{stage}.safetensors"
            save_adapter(path, self.model, stage, self.training.get(stage))
        names = ("backbone", "domain", "words", "calibration")
        notes.write(folder, {name: getattr(self, name) for name in names})
        return folder

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | None = None) -> str:
        """Save to a repository of the Hugging Face hub, from which load(repo_id) fetches it."""
        return late("hub")(self, repo_id, private, token)

    @door(path=(str, Path), class_name=str)
    def to_onnx(self, path: str | Path, class_name: str = "object") -> Path:
        """For one product and one picture at a time: (1, 3, S, S), float in [0, 1], already resized
        -> its map (1, S, S) and score (1,). Class name, threshold and S stand in the file's
        metadata.
        """
        return late("onnx")(self, Path(path), class_name)


def calibrated(
    maps: Float[Tensor, "B H W"], scores: Float[Tensor, "B"], constants: dict | None
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B"]]:
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


def _refuse_half(folder: Path, metadata: dict[str, dict]) -> None:
    for stage, header in metadata.items():
        if header["stage"] not in (stage, "joint"):
            raise MismatchError(
                f"{folder / stage}.safetensors is of stage {header['stage']!r}, not {stage!r}; put "
                "the right file there"
            )
    if "text" not in metadata and metadata["image"]["recipe"].trains_text:
        raise FileNotFoundError(
            f"{folder} holds image.safetensors only: its recipe trains text adapters too, so a "
            "detector needs the text.safetensors of the same training"
        )


def _refuse_strangers(folder: Path, model: AdaptedCLIP, metadata: dict[str, dict]) -> None:
    """Image adapters belong to the text adapters that they were trained against."""
    trained_with = metadata["image"].get("text_adapters")
    if trained_with not in (None, text_checksum(model)):  # older files do not say
        raise MismatchError(
            f"{folder / 'image.safetensors'} was trained with other text adapters than "
            "text.safetensors beside it; put the two of one training together, or train again"
        )


def settings(folder: Path) -> dict:
    """What save() noted about a detector: backbone, domain, words, calibration; empty for a run
    that was not saved.
    """
    return notes.read(folder)
