"""A detector for elsewhere: ONNX for machines without PyTorch, the Hugging Face hub for colleagues.

Use: `detector.to_onnx("bolt.onnx", "bolt")`, `detector.push_to_hub("me/bolts")`.
"""

import importlib.util
import json
import tempfile
import warnings
from pathlib import Path

import huggingface_hub
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..clip import MEAN_STD
from ..decision import calibrated
from ..detector import AnomalyDetector
from ..files import notes
from ..files.keep import atomic, sweep

CARD = Path(__file__).with_name("hub_card.md")
# in the file's metadata, for whoever has the file alone
INPUT = (
    "one RGB picture (1, 3, {side}, {side}), float from 0 to 1; turned as its EXIF says, then resized "
    "bicubic with antialiasing (Pillow's or PyTorch's), not cropped"
)
VERDICT = "anomalous where the score lies above the threshold; null: no line was drawn"


def to_onnx(detector: AnomalyDetector, path: Path, class_name: str) -> Path:
    needed = ("onnx", "onnxscript")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"to_onnx needs {' and '.join(missing)}: pip install 'aaclip-lite[export]'"
        )
    known = notes.products(detector.calibration)
    if known and class_name not in known:
        raise ValueError(
            f"no line for {class_name!r}: this detector knows {', '.join(known)}; name one of them, "
            "or remember this product first"
        )
    module = OneClass(detector, class_name)
    threshold = module.constants and module.constants["threshold"]
    return write_program(module, path, class_name, detector.model.clip.image_size, threshold)


def write_program(
    module: nn.Module, path: Path, class_name: str, side: int, threshold: float | None
) -> Path:
    """A module of one picture (1, 3, S, S) in [0, 1] -> map (1, S, S) and score (1,), as a file."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        example = torch.rand(1, 3, side, side, device=next(module.parameters()).device)
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=["map", "score"],
        )
    facts = {"class_name": class_name, "image_size": side, "threshold": threshold}
    facts |= {"input": INPUT.format(side=side), "verdict": VERDICT}
    packed = {name: json.dumps(value) for name, value in facts.items()}
    program.model.metadata_props.update(packed)
    sweep([path])  # what a killed export left
    return atomic(path, lambda name: program.save(name, external_data=False))


class OneClass(nn.Module):
    """What is exported: normalisation, model, one class's anchors, references and calibration,
    without checks on values.
    """

    def __init__(self, detector: AnomalyDetector, class_name: str) -> None:
        super().__init__()
        self.model = detector.model
        self.detector = detector
        self.name = class_name
        self.constants = detector.calibration_of(class_name)
        self.register_buffer("anchors", detector.anchor(class_name)[None])
        self.register_buffer("bank", detector.references.get(class_name))
        # a variant's pictures may look at the words of their class: these do not change any more
        states = getattr(self.model, "sentence_states", None)
        self.register_buffer("words", states and states(class_name)[None])
        mean, std = MEAN_STD[detector.model.recipe.normalisation]
        self.register_buffer("mean", self.anchors.new_tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", self.anchors.new_tensor(std).view(1, 3, 1, 1))

    def forward(
        self, image: Float[Tensor, "1 3 S S"]
    ) -> tuple[Float[Tensor, "1 S S"], Float[Tensor, " 1"]]:
        x = (image - self.mean) / self.std
        size = image.shape[-2:]
        features = self.model(x, [self.name] if self.words is None else self.words)
        maps, scores = self.detector.compare(features, self.anchors, size, self.bank)
        return calibrated(maps, scores, self.constants)


def push_to_hub(detector: AnomalyDetector, repo_id: str, private: bool, token: str | None) -> str:
    """Save to a repository, with a short card."""
    api = huggingface_hub.HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    card = CARD.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        detector.save(folder)
        text = card.format(repo=repo_id, detector=detector, backbone=detector.backbone)
        Path(folder, "README.md").write_text(text, encoding="utf-8")
        api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message="Save anomaly detector"
        )
    return repo_id
