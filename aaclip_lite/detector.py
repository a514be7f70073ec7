"""The finished product: a picture in, an anomaly map, a score and a decision out.

Special: a score of a SINGLE picture means something: deviations above what is normal. It becomes a
verdict once the product has a line of its own, from as few as five sound parts; before that the
verdict is withheld, not guessed. Sound parts that it remembers also sharpen map and score. All of
this is saved with the adapters.

    detector = AnomalyDetector.load("course")                 # shipped; or a run's folder, or hf:OWNER/NAME
    detector.remember("photos/good", "bolt")                  # five sound parts or more
    detector.predict("part.png", "bolt")                      # Prediction(map, score, threshold, ...)
    detector.line("bolt")                                     # where the line comes from, how sure it is
    detector.calibrate("photos/more", "bolt", false_alarms=0.01).save("runs/bolt")
    detector.predict("part.png", "bolt", words="rusty bolt"); detector.to_onnx("bolt.onnx", "bolt")
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from . import decision, references, scoring
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .files import promise, sound
from .files.door import door
from .files.forms import Picture, alike, is_several, read_each, refuse_endless
from .files.late import late
from .files.pictures import PictureError
from .model import AdaptedCLIP, Features

__all__ = ["AnomalyDetector", "PictureError", "Prediction"]

NOTES = ("backbone", "domain", "words", "calibration")  # what is saved beside tensors
ANY = "*"  # the calibration of products without their own


class Prediction(NamedTuple):
    """One picture's result. Calibrated, map and score count deviations above normal. Without a line
    of the product's own, threshold and verdict are None, and `why` says what is missing.
    """

    map: Float[np.ndarray, "H W"]
    score: float
    threshold: float | None  # in the unit of the score
    is_anomalous: bool | None  # None: withheld, not guessed
    path: str = ""  # of the file, where it was one
    why: str = ""  # there is no verdict


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
        self.model = model.eval()  # a variant may drop features out while it trains
        self.calibration = calibration or {}  # by product: its scale and its line
        self.words = words or {}  # by product: what is said instead of its name
        self.domain = domain
        self.backbone = {"image_size": model.clip.image_size} | (backbone or {"source": "lite"})
        self.references: dict[str, Float[Tensor, "M D"]] = {}  # banks of patches, by product
        self.training: dict[str, dict] = {}  # what the adapters' files say of their training
        self._known: dict[tuple[str, str | None], Tensor] = {}  # anchors, by class name and words

    def __repr__(self) -> str:
        known = ["any product" if name == ANY else name for name in self.calibration]
        recipe = self.model.recipe
        calibrated = f"calibrated for {', '.join(known) or 'nothing'}"
        return f"AnomalyDetector({recipe.name}, {recipe.image_score}, {calibrated})"

    # ---- pictures --------------------------------------------------------------------------------

    @door(class_name=str, words=(str, None), batch_size=int, any_product=bool)
    def predict(
        self,
        images: Picture | Sequence[Picture],
        class_name: str = "object",
        words: str | None = None,
        batch_size: int = 16,
        any_product: bool = False,
    ) -> Prediction | list[Prediction]:
        """images: a file, PIL picture, array (H, W, 3) or tensor (3, H, W), uint8 or float in [0,
        1]: one Prediction; a folder, list, array (N, H, W, 3) or tensor (N, 3, H, W): a list.
        words: said instead of the class name; a line drawn with others then gives no verdict.
        any_product: where the product has no line of its own, take the one of the validation
        products; it is often wrong.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: give at least 1")
        anchor = self.anchor(class_name, words)  # once for all pictures: words cost a text tower
        constants = self.calibration_of(class_name, any_product)
        threshold, why = decision.threshold_of(self, constants, class_name, words)
        predictions = []
        for group in alike(read_each(images), batch_size):  # of one size, for they are stacked
            batch = torch.stack([pixels for _, pixels in group])  # (B, 3, H, W)
            anchors = anchor.expand(len(batch), -1, -1)  # (B, d, 2), not copied
            bank = self.references.get(class_name)
            maps, scores = self.measure(batch, anchors, bank, class_name)
            maps, scores = decision.calibrated(maps, scores, constants)
            refuse_endless(maps, scores, [path for path, _ in group])  # nan > line is "sound"
            rows = zip(group, maps.cpu().numpy(), scores.tolist(), strict=True)
            for (path, _), anomaly_map, score in rows:
                verdict = None if threshold is None else score > threshold
                row = Prediction(anomaly_map, score, threshold, verdict, path, why)
                predictions.append(row)
        return predictions if is_several(images) else predictions[0]  # as many as were given

    def anomaly_maps(
        self, images: Float[Tensor, "B 3 H W"], class_names: Sequence[str]
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """Maps and scores of pictures of several classes, calibrated where that was done."""
        results: dict[int, tuple[Tensor, Tensor]] = {}  # by place in the batch
        for name in dict.fromkeys(class_names):  # a product's pictures share anchors and bank
            rows = [i for i, each in enumerate(class_names) if each == name]  # not contiguous
            anchors = self.anchor(name).expand(len(rows), -1, -1)
            measured = self.measure(images[rows], anchors, self.references.get(name), name)
            calibrated = decision.calibrated(*measured, self.calibration_of(name))
            results |= zip(rows, zip(*calibrated, strict=True), strict=True)
        maps, scores = zip(*(results[row] for row in range(len(images))), strict=True)
        return torch.stack(maps), torch.stack(scores)

    # ---- what is normal --------------------------------------------------------------------------

    @door(class_name=str, false_alarms=(float, int), readings=int, words=(str, None))
    def remember(
        self,
        pictures: Picture | Sequence[Picture],
        class_name: str = "object",
        false_alarms: float = decision.RATE,
        readings: int = references.READINGS,
        words: str | None = None,
    ) -> "AnomalyDetector":
        """Keep what a few sound parts of a product look like; from five on they also give it a
        line, each part judged against the others. Replaces what was remembered of the product.
        readings: how often they are read together, at most (each once at least); fewer save time.
        words: what the product is called from now on.
        """
        promise.refuse_rate("false_alarms =", false_alarms)  # before minutes of reading
        bank, entry = late("references")(self, pictures, class_name, false_alarms, readings, words)
        self.references[class_name] = bank  # only now: a picture that failed changed nothing
        return self._know(class_name, entry, words)

    @door(class_name=str, false_alarms=(float, int), words=(str, None))
    def calibrate(
        self,
        normal_images: Picture | Sequence[Picture] | AnomalyDataset,
        class_name: str = "object",
        false_alarms: float = decision.RATE,
        words: str | None = None,
    ) -> "AnomalyDetector":
        """Learn from normal pictures of one product what normal is: five give a line that other
        products help to draw; a rate of 0.05 is promised from 19 on. They must not be the
        references.

        Of a data set the normal pictures of all its classes are taken. That gives the scale of
        products without their own, and how far sound parts of a product scatter.
        """
        promise.refuse_rate("false_alarms =", false_alarms)
        if isinstance(normal_images, AnomalyDataset):
            return self._know(ANY, late("calibrate")(self, normal_images, false_alarms))
        entry = late("parts")(self, normal_images, class_name, false_alarms, words)
        return self._know(class_name, entry, words)

    def _know(self, name: str, entry: dict, words: str | None = None) -> "AnomalyDetector":
        # new dicts: copies of this detector (with_references) hold the old ones
        self.calibration = {**self.calibration, name: entry}
        self.words = self.words | ({name: words} if words else {})
        return self

    def line(self, class_name: str = "object") -> str:
        """One sentence: where the product's line comes from, and how sure it is."""
        kind = "references" if class_name in self.references else "words"
        return promise.explain_one(class_name, self.calibration, self.few(kind))

    def with_references(self, data: AnomalyDataset) -> "AnomalyDetector":
        """The same detector, with this set's pictures, all sound, as references of their classes."""
        other = copy.copy(self)  # the same model, not copied
        other.references = {}
        for name in data.classes:
            part = data.filter(name)
            with sound.quiet():  # remarks on single parts are for those who chose them
                other.remember([part[i].image for i in range(len(part))], name)
        return other

    def few(self, kind: str) -> dict:
        """What calibrating on several products told about lines from few parts."""
        everyone = self.calibration.get(ANY, {})  # of the validation products
        return {"rate": everyone.get("false_alarms")} | everyone.get("few", {}).get(kind, {})

    def calibration_of(self, name: str, any_product: bool = False) -> dict | None:
        """Constants of map and score, and a threshold: None where the product has no line of its
        own, unless any_product takes that of the validation products.
        """
        if name in self.calibration or ANY not in self.calibration:
            return self.calibration.get(name)
        entry = self.calibration[ANY]
        return entry if any_product else {**entry, "threshold": None}  # its scale, not its line

    def anchor(self, name: str, words: str | None = None) -> Float[Tensor, "d 2"]:
        key = (name, words or self.words.get(name))  # new words, new anchors; none is forgotten
        if key not in self._known:
            with torch.no_grad():
                names = [name] if key[1] is None else {name: key[1]}
                self._known[key] = self.model.text_anchors(names)[name]
        return self._known[key]

    def features(self, images: Float[Tensor, "B 3 H W"], name: str, steps: int = 1) -> Features:
        """steps above 1: of one picture, at so many places a side (references.moved)."""
        images = self.model.preprocess(images.to(self.model.clip.text_projection.device))
        if steps > 1:  # a new part never lies on the grid of patches as its reference did
            images = references.moved(images, self.model.clip.patch, steps)
        return self.model(images, [name] * len(images))

    @torch.no_grad()
    def measure(
        self,
        images: Float[Tensor, "B 3 H W"],
        anchors: Float[Tensor, "B d 2"],
        bank: Float[Tensor, "M D"] | None = None,
        name: str = "object",
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """Maps and scores of one product, not calibrated. bank: patches of its references."""
        return self.compare(self.features(images, name), anchors, images.shape[-2:], bank)

    def compare(
        self,
        features: Features,
        anchors: Float[Tensor, "B d 2"],
        size: Sequence[int],
        bank: Float[Tensor, "M D"] | None = None,
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        grid = None if bank is None else references.distances(features.levels, bank)
        return self.judge(features, anchors, size, grid)

    def judge(
        self,
        features: Features,
        anchors: Float[Tensor, "B d 2"],
        size: Sequence[int],
        grid: Float[Tensor, "B 1 h w"] | None = None,
    ) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """grid: distances from the nearest reference patch; they are added to the words' map."""
        recipe = self.model.recipe
        maps = scoring.anomaly_map(features.levels, anchors, size, self.domain, **recipe.finish)
        if grid is not None:
            grid = references.map_units(grid, len(features.levels))
            # added: words find what all products share, references what this one never shows
            maps = maps + scoring.finish(grid, size, self.domain, **recipe.finish)
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
        """name: "course" (shipped), a folder that training or save() wrote, or hf:OWNER/NAME.

        clip: the backbone, where the folder does not say which (it does after save()).
        """
        saved = late("read")(name, clip)
        detector = cls(saved.model.to(device), **saved.notes)
        detector.references = {name: bank.to(device) for name, bank in saved.references.items()}
        detector.training = saved.training
        return detector

    @door(folder=(str, Path))
    def save(self, folder: str | Path) -> Path:
        """Adapters, references, calibration, words, and the backbone's source, not the backbone."""
        notes = {name: getattr(self, name) for name in NOTES}
        return late("write")(Path(folder), self.model, notes, self.references, self.training)

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
