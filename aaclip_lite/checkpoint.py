"""Adapter files: save, load, resume, and the public code's `.pth` files.

Special: a file holds adapters only, with recipe, backbone, data, epoch, step, seed and losses in
its metadata. It appears complete or not at all; a model that differs is refused with the field
named; no code in a file is ever run.
Use: `save_adapter("runs/a/text.safetensors", model, "text", {"epoch": 1})`, `load_adapter(path,
model)`.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from .files.keep import atomic
from .files.weights import WeightsError, existing, read_pickle
from .recipe import Recipe

FORMAT = "aaclip-lite adapter 1"


class MismatchError(ValueError):
    """A checkpoint that belongs to another backbone, recipe or data set."""


def save_adapter(
    path: str | Path, model: "AdaptedCLIP", stage: str, metadata: Mapping | None = None
) -> Path:
    """Write one stage's adapters; metadata (epoch, step, seed, losses, data fingerprint ...) must
    be JSON values.
    """
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.trainable(stage).items()}
    header = {
        **(metadata or {}),
        "stage": stage,
        "recipe": model.recipe.to_dict(),
        "backbone": _backbone(model),
    }
    packed = {"format": FORMAT} | {key: json.dumps(value) for key, value in header.items()}
    return atomic(path, lambda temporary: save_file(tensors, temporary, metadata=packed))


def read_metadata(path: str | Path) -> dict:
    """What a checkpoint says of itself: stage, recipe (a Recipe), backbone, and what was given when
    it was saved.
    """
    try:
        with safe_open(existing(path), framework="pt") as file:
            packed = file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a complete safetensors file ({error})") from error
    if packed.pop("format", None) != FORMAT:
        raise WeightsError(
            f"{path} is not an adapter checkpoint of aaclip_lite; for the public code's files use "
            "load_released_files"
        )
    header = {key: json.loads(value) for key, value in packed.items()}
    return header | {"recipe": Recipe.from_dict(header["recipe"])}


def load_adapter(
    path: str | Path, model: "AdaptedCLIP", data: str | None = None, training: bool = False
) -> dict:
    """Put a checkpoint's adapters into the model and return its metadata.

    Backbone and the recipe's fields that shape the forward pass must agree; training=True (to go on
    training) compares all fields. data: fingerprint of the data at hand, compared where given.
    """
    metadata = read_metadata(path)
    _agree(path, model, metadata, data, training)
    _fill(model, load_file(path), metadata["stage"], str(path))
    return metadata


def save_resume(
    path,
    model: "AdaptedCLIP",
    stage: str,
    optimizer,
    scheduler=None,
    progress: Mapping | None = None,
) -> Path:
    """All that an interrupted run needs, in one file: adapters, optimiser, scheduler, random state,
    progress.
    """
    contents = {
        "format": f"{FORMAT} resume",
        "stage": stage,
        "recipe": model.recipe.to_dict(),
        "backbone": _backbone(model),
        "adapters": {name: p.detach().cpu() for name, p in model.trainable(stage).items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "random": random_state(),
        "progress": dict(progress or {}),
    }
    return atomic(path, lambda temporary: torch.save(contents, temporary))


def load_resume(
    path, model: "AdaptedCLIP", stage: str, optimizer, scheduler=None, data: str | None = None
) -> dict:
    """Continue where save_resume stopped, random state included. Returns the progress; its "data"
    must equal `data`.
    """
    contents = read_pickle(existing(path))
    if not isinstance(contents, dict) or contents.get("format") != f"{FORMAT} resume":
        raise WeightsError(f"{path} is not a resume file of aaclip_lite")
    if contents["stage"] != stage:
        raise MismatchError(
            f"{path} belongs to stage {contents['stage']!r}, this run is stage {stage!r}"
        )
    metadata = {
        **contents["progress"],
        "backbone": contents["backbone"],
        "recipe": Recipe.from_dict(contents["recipe"]),
    }
    _agree(path, model, metadata, data, training=True)
    _fill(model, contents["adapters"], stage, str(path))
    optimizer.load_state_dict(contents["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(contents["scheduler"])
    restore_random_state(contents["random"])
    return contents["progress"]


def load_released_files(
    model: "AdaptedCLIP", text_path: str | Path | None, image_path: str | Path | None
) -> dict[str, int]:
    """The public code's text_adapter.pth and image_adapter.pth into a model of recipe `released`;
    their epochs.
    """
    epochs = {}
    for part, path in (("text_adapter", text_path), ("image_adapter", image_path)):
        if path is not None:
            contents = read_pickle(existing(path))
            if not isinstance(contents, dict) or not isinstance(contents.get(part), Mapping):
                raise WeightsError(
                    f"{path} has no entry {part!r}; is it the other of the two released files?"
                )
            model.load_part(part, contents[part], str(path))
            epochs[part] = int(contents.get("epoch", -1))
    return epochs


def random_state() -> dict:
    """State of every generator that training draws from, as plain values and tensors."""
    kind, keys, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore_random_state(state: Mapping) -> None:
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _backbone(model: "AdaptedCLIP") -> dict:
    return {**model.clip.describe(), "image_size": model.clip.image_size}


def _agree(path, model: "AdaptedCLIP", metadata: Mapping, data: str | None, training: bool) -> None:
    own = _backbone(model)
    pairs = {
        f"backbone.{k}": (v, own.get(k))
        for k, v in metadata["backbone"].items()
        if training or k != "image_size"
    }
    pairs |= {
        f"recipe.{k}": v for k, v in metadata["recipe"].differences(model.recipe, training).items()
    }
    if data is not None:
        pairs["data"] = (metadata.get("data"), data)
    wrong = [
        f"{field} is {theirs!r} in the file, {mine!r} here"
        for field, (theirs, mine) in pairs.items()
        if theirs != mine
    ]
    if wrong:
        raise MismatchError(f"{path} does not belong to this model: {'; '.join(wrong)}")


def _fill(model: "AdaptedCLIP", tensors: Mapping, stage: str, label: str) -> None:
    parts = {name.split(".")[0] for name in model.trainable(stage)}
    for part in sorted(parts):
        model.load_part(
            part,
            {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")},
            label,
        )
