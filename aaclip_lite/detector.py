"""The finished product: a picture in, a heat map, a score and a decision out.

Special: calibrated on normal pictures, the score of a SINGLE picture means something: deviations
above what is normal, with a threshold that a given share of good parts exceeds by chance.
Calibration, words and backbone are saved with the adapters; a product that has its own calibration
uses it, any other the one for all ("*").

    detector = AnomalyDetector.load("course")                     # shipped; or a run's folder, or a
    hub name found = detector.predict("part.png", "bottle")                # Prediction(map, score,
    threshold, is_anomalous) detector.calibrate("photos/good", "bolt",
    false_alarms=0.01).save("runs/bolt") detector.predict("part.png", "bolt", words="rusty bolt");
    detector.to_onnx("bolt.onnx", "bolt")
"""

import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from . import datasets, scoring
from .checkpoint import MismatchError, load_adapter, read_metadata, save_adapter
from .clip import MEAN_STD, FrozenCLIP
from .datasets import AnomalyDataset
from .files.environment import data_path
from .load import load_clip
from .model import AdaptedCLIP, stack_anchors

SETTINGS, STAGES, ANY = "detector.json", ("text", "image"), "*"
_JOINED = ("map_top", "detection")
Picture = str | Path | Image.Image | np.ndarray | Tensor


class Prediction(NamedTuple):
    """One picture's result. Calibrated, map and score count deviations above normal; if not, there
    is no threshold.
    """

    map: np.ndarray  # (H, W) of the picture, float32
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
        """backbone: arguments of load_clip for the model's backbone, so that load() finds it; None:
        the embedded one.

        words: what a class is called in the prompts, {"bolt": "rusty bolt"}.
        """
        if domain not in scoring.BLUR:
            raise ValueError(f"domain = {domain!r} is not one of {', '.join(scoring.BLUR)}")
        self.model, self.calibration, self.words, self.domain = (
            model.eval(),
            calibration or {},
            words or {},
            domain,
        )
        self.backbone = {"image_size": model.clip.image_size} | (backbone or {"source": "lite"})
        self.score_kind = {"released": "map_max"}.get(
            model.recipe.image_score, model.recipe.image_score
        )
        self.training: dict[
            str, dict
        ] = {}  # what the adapters' files say of their training; saved again with them
        self._known: dict[tuple[str, str | None], Tensor] = {}  # anchors, by class name and words

    def __repr__(self) -> str:
        known = (
            ", ".join("any product" if name == ANY else name for name in self.calibration)
            or "nothing"
        )
        return (
            f"AnomalyDetector({self.model.recipe.name}, {self.score_kind}, calibrated for {known})"
        )

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
        anchor, constants, found = (
            self._anchor(class_name, words),
            self._calibration(class_name),
            [],
        )
        threshold = constants["threshold"] if constants else None
        if constants is None:
            warnings.warn(
                "not calibrated: scores are raw and nothing is decided; see calibrate()",
                stacklevel=2,
            )
        decoded = (
            (str(p) if isinstance(p, str | Path) else "", to_tensor(p))
            for p in list_pictures(images)
        )
        for group in _alike(decoded, batch_size):
            batch = torch.stack([pixels for _, pixels in group])
            maps, scores = self._calibrated(
                *self._measure(batch, anchor.expand(len(batch), -1, -1)), constants
            )
            for (path, _), heat, score in zip(
                group, maps.cpu().numpy(), scores.tolist(), strict=True
            ):
                found.append(
                    Prediction(
                        heat,
                        score,
                        threshold,
                        None if constants is None else score > threshold,
                        path,
                    )
                )
        return found if _several(images) else found[0]

    def heat(self, images: Tensor, class_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1], their classes -> maps (B, H, W) and scores (B,), calibrated where
        that was done.
        """
        maps, parts = self._measure(images, self._anchors_of(class_names))
        rows = [
            ({k: v[i : i + 1] for k, v in parts.items()}, self._calibration(n))
            for i, n in enumerate(class_names)
        ]
        found = [self._calibrated(maps[i : i + 1], *row) for i, row in enumerate(rows)]
        return torch.cat([heat for heat, _ in found]), torch.cat([score for _, score in found])

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
        if isinstance(normal_images, AnomalyDataset):
            samples = map(
                normal_images.__getitem__,
                (i for i, r in enumerate(normal_images.records) if r.label == 0),
            )
            key, labelled = ANY, ((s.class_name, to_tensor(s.image)) for s in samples)
        else:
            key, labelled = (
                class_name,
                ((class_name, to_tensor(p)) for p in list_pictures(normal_images)),
            )
        pixels, parts = np.zeros(3), []  # number, sum and sum of squares of the maps' values
        for group in _alike(labelled, 16):
            batch, names = (
                torch.stack([picture for _, picture in group]),
                [name for name, _ in group],
            )
            maps, found = self._measure(batch, self._anchors_of(names))
            pixels += maps.numel(), float(maps.double().sum()), float(maps.double().square().sum())
            parts.append(found)
        if not parts:
            raise ValueError(
                f"calibrate needs normal pictures, and there are none in {normal_images!r}"
            )
        parts = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        mean, square = (pixels[1:] / pixels[0]).tolist()
        entry = {"map": (mean, max(square - mean**2, 0.0) ** 0.5)}
        joined = self.score_kind == "map_top_detection"
        entry |= {name: scoring.fit_constants(parts[name]) for name in (_JOINED if joined else ())}
        raw = self._joined(parts, entry)
        entry["score"] = scoring.fit_constants(raw)
        threshold = scoring.threshold_at(scoring.z_scores(raw, entry["score"]), false_alarms)
        entry |= {"threshold": threshold, "false_alarms": false_alarms, "pictures": len(raw)}
        self.calibration = {**self.calibration, key: entry}
        return self

    def _calibration(self, name: str) -> dict | None:
        return self.calibration.get(name, self.calibration.get(ANY))

    def _anchor(self, name: str, words: str | None = None) -> Tensor:
        key = (name, words or self.words.get(name))
        if key not in self._known:
            with torch.no_grad():
                self._known[key] = self.model.text_anchors({name: key[1]} if key[1] else [name])[
                    name
                ]
        return self._known[key]

    def _anchors_of(self, names: Sequence[str]) -> Tensor:
        return stack_anchors({name: self._anchor(name) for name in set(names)}, names)

    @torch.no_grad()
    def _measure(self, images: Tensor, anchors: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Maps, and what scores are made of, as the model gives them."""
        return self._compare(
            self.model.preprocess(images.to(anchors.device)), anchors, images.shape[-2:]
        )

    def _compare(
        self, x: Tensor, anchors: Tensor, size: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        levels, detection = self.model(x)
        maps = scoring.anomaly_map(levels, anchors, size, self.domain, **self.model.recipe.finish)
        return maps, {
            "map_late": scoring.late_peaks(
                levels, anchors, self.domain, blur=self.model.recipe.blur
            ),
            "map_max": maps.flatten(1).amax(1),
            "map_top": scoring.top_fraction(maps),
            "detection": scoring.image_scores(detection, anchors),
        }

    def _joined(self, parts: dict[str, Tensor], constants: dict | None) -> Tensor:
        if self.score_kind != "map_top_detection":
            return parts[self.score_kind]
        if constants is None:
            raise ValueError(
                "the score map_top_detection joins two scales: calibrate() the detector first"
            )
        return sum(scoring.z_scores(parts[name], constants[name]) for name in _JOINED) / 2

    def _calibrated(
        self, maps: Tensor, parts: dict[str, Tensor], constants: dict | None
    ) -> tuple[Tensor, Tensor]:
        score = self._joined(parts, constants)
        if constants is None:
            return maps, score
        return scoring.z_scores(maps, constants["map"]), scoring.z_scores(score, constants["score"])

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
        backbone = stored.get(
            "backbone",
            {"source": "lite", "image_size": metadata["image"]["backbone"]["image_size"]},
        )
        model = AdaptedCLIP(
            load_clip(**backbone) if clip is None else clip, metadata["image"]["recipe"]
        )
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
        own = ("stage", "recipe", "backbone")
        detector.training = {
            stage: {k: v for k, v in m.items() if k not in own} for stage, m in metadata.items()
        }
        return detector

    def save(self, folder: str | Path) -> Path:
        """Adapters, calibration, words, and which backbone to load; the backbone itself is not
        copied.
        """
        folder = Path(folder)
        for stage in STAGES:
            save_adapter(
                folder / f"{stage}.safetensors", self.model, stage, self.training.get(stage)
            )
        stored = {
            name: getattr(self, name) for name in ("backbone", "domain", "words", "calibration")
        }
        temporary = folder / f".{SETTINGS}.tmp"
        temporary.write_text(json.dumps(stored, indent=1) + "\n")
        os.replace(temporary, folder / SETTINGS)
        return folder

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | None = None) -> str:
        """Save to a repository of the Hugging Face hub, with a short card;
        AnomalyDetector.load(repo_id) fetches it.
        """
        api = huggingface_hub.HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            Path(folder, "README.md").write_text(
                _CARD.format(repo=repo_id, detector=self, backbone=self.backbone)
            )
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message="Save anomaly detector"
            )
        return repo_id

    def to_onnx(self, path: str | Path, class_name: str = "object") -> Path:
        """For one product and one picture at a time: (1, 3, S, S), float in [0, 1], already resized
        -> its map (1, S, S) and score (1,). Class name, threshold and S stand in the file's
        metadata.
        """
        missing = [
            name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise ModuleNotFoundError(
                f"to_onnx needs {' and '.join(missing)}: pip install 'aaclip-lite[export]'"
            )
        path, module, constants = (
            Path(path),
            _OneClass(self, class_name),
            self._calibration(class_name),
        )
        side = self.model.clip.image_size
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            example = torch.rand(1, 3, side, side, device=module.anchors.device)
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["image"],
                output_names=["map", "score"],
            )
        facts = {
            "class_name": class_name,
            "image_size": side,
            "threshold": constants and constants["threshold"],
        }
        program.model.metadata_props.update(
            {key: json.dumps(value) for key, value in facts.items()}
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        program.save(temporary, external_data=False)
        os.replace(temporary, path)
        return path


class _OneClass(nn.Module):
    """What to_onnx exports: normalisation, model, one class's anchors and calibration, without
    checks on values.
    """

    def __init__(self, detector: AnomalyDetector, class_name: str) -> None:
        super().__init__()
        self.model, self.detector, self.constants = (
            detector.model,
            detector,
            detector._calibration(class_name),
        )
        self.register_buffer("anchors", detector._anchor(class_name)[None])
        for name, values in zip(
            ("mean", "std"), MEAN_STD[detector.model.recipe.normalisation], strict=True
        ):
            self.register_buffer(name, self.anchors.new_tensor(values).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self.detector._compare(
            (image - self.mean) / self.std, self.anchors, image.shape[-2:]
        )
        return self.detector._calibrated(*found, self.constants)


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
        found = sorted(p for p in Path(images).rglob("*") if p.suffix.lower() in datasets.PICTURES)
        if not found:
            raise FileNotFoundError(
                f"no pictures below {images}: files must end in {', '.join(datasets.PICTURES)}"
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
            picture, _ = datasets._read(Path(picture), None, as_mask=False)
        except datasets.UNREADABLE as error:
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


_CARD = """---
library_name: aaclip-lite
tags: [anomaly-detection, clip]
---
{detector}

Adapters of an AA-CLIP anomaly detector, made with aaclip_lite. They need this backbone: `{backbone}`.

    import aaclip_lite as aa
    detector = aa.AnomalyDetector.load("{repo}")
    detector.predict("part.png", "bottle")
"""
