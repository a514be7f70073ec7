"""Adapter files: save, load, and the public code's `.pth` files.

Special: a file holds adapters only, with recipe, backbone, data, epoch, step, seed and losses in
its metadata. It appears complete or not at all; a model that differs is refused with the field
named; no code in a file is ever run.
Use: `save_adapter("runs/a/text.safetensors", model, "text", {"epoch": 1})`, `load_adapter(path,
model)`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .files.checked import anything, fields, fields_open, integer, maybe, one_of, parse, text
from .files.keep import atomic
from .files.weights import WeightsError, checksum, existing, read_pickle, read_safetensors
from .model import STAGES, AdaptedCLIP
from .recipe import Recipe

FORMAT = "aaclip-lite adapter 1"
# what a file has to say of itself; whatever else was given when it was saved may stand beside it
_HEADER = fields(
    ("stage", "recipe", "backbone"),
    True,
    stage=one_of(*STAGES),
    recipe=fields_open,
    backbone=fields_open,
    variant=fields_open,
    step=maybe(integer()),
    steps=maybe(integer()),
    epoch=maybe(integer()),
    seed=maybe(integer(0, 2**63)),
    checksum=text(),
    text_adapters=text(),
)


class MismatchError(ValueError):
    """A checkpoint that belongs to another backbone, recipe or data set."""


def save_adapter(
    path: str | Path, model: AdaptedCLIP, stage: str, metadata: Mapping | None = None
) -> Path:
    """Write one stage's adapters; metadata (epoch, step, seed, losses, data fingerprint ...) must
    be JSON values.
    """
    # adapters alone: the backbone is named, not copied, and a file stays small
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.trainable(stage).items()}
    header = {
        **(metadata or {}),
        "stage": stage,
        "recipe": model.recipe.to_dict(),
        "backbone": backbone_of(model),
    }
    if model.variant is not None:  # its modules differ, whatever the recipe says
        header["variant"] = model.variant
    header["checksum"] = checksum(tensors)
    if stage != "text" and model.recipe.trains_text:  # they were trained against these words
        header["text_adapters"] = text_checksum(model)
    # safetensors takes text only; NaN is no JSON, and others could not read it
    packed = {key: json.dumps(value, allow_nan=False) for key, value in header.items()}
    packed["format"] = FORMAT
    return atomic(path, lambda temporary: save_file(tensors, temporary, metadata=packed))


def read_metadata(path: str | Path) -> dict:
    """What a checkpoint says of itself: stage, recipe (a Recipe), backbone, and what was given when
    it was saved.
    """
    try:
        with safe_open(existing(path), framework="pt") as file:  # the header, not the tensors
            packed = file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a complete safetensors file ({error}); fetch or save it again"
        ) from error
    if packed.pop("format", None) != FORMAT:  # any safetensors file can be opened, few are ours
        raise WeightsError(
            f"{path} is not an adapter checkpoint of aaclip_lite; for the public code's files use "
            "load_released_files"
        )
    header = {key: parse(words, anything, f"{path}: {key}") for key, words in packed.items()}
    try:
        _HEADER(header, "")
        return header | {"recipe": Recipe.from_dict(header["recipe"])}
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path}: {error}; train or fetch it again") from error


def text_checksum(model: AdaptedCLIP) -> str:
    """Names the text adapters that image adapters were trained against."""
    return checksum(model.text_adapter.state_dict())


def load_adapter(
    path: str | Path, model: AdaptedCLIP, data: str | None = None, training: bool = False
) -> dict:
    """Put a checkpoint's adapters into the model and return its metadata.

    Backbone and the recipe's fields that shape the forward pass must agree; training=True (to go on
    training) compares all fields. data: fingerprint of the data at hand, compared where given.
    """
    metadata = read_metadata(path)
    refuse_mismatch(path, model, metadata, data, training)  # before a weight is touched
    tensors = read_safetensors(Path(path))  # plain numbers: nothing in it can run
    # a run that diverged saves such numbers, and they would spread to every map
    endless = [name for name, values in tensors.items() if not values.isfinite().all()]
    if endless:
        raise WeightsError(
            f"{path}: {endless[0]} holds numbers that are not finite; train it again"
        )
    if metadata.get("checksum", checksum(tensors)) != checksum(tensors):  # older files have none
        raise WeightsError(f"{path} is damaged: its checksum is wrong; train or fetch it again")
    fill(model, tensors, metadata["stage"], str(path))  # the other stage's weights stay
    return metadata


def load_released_files(
    model: AdaptedCLIP, text_path: str | Path | None, image_path: str | Path | None
) -> dict[str, int]:
    """The public code's text_adapter.pth and image_adapter.pth into a model of recipe `released`;
    their epochs.
    """
    epochs = {}
    for part, path in (("text_adapter", text_path), ("image_adapter", image_path)):
        if path is not None:
            contents = read_pickle(existing(path))  # numbers only: its code is never run
            if not isinstance(contents, dict) or not isinstance(contents.get(part), Mapping):
                raise WeightsError(
                    f"{path} has no entry {part!r}; is it the other of the two released files?"
                )
            model.load_part(part, contents[part], str(path))
            epochs[part] = int(contents.get("epoch", -1))  # -1: the file does not say
    return epochs


def backbone_of(model: AdaptedCLIP) -> dict:
    return {**model.clip.describe(), "image_size": model.clip.image_size}


def refuse_mismatch(
    path: str | Path, model: AdaptedCLIP, metadata: Mapping, data: str | None, training: bool
) -> None:
    """Backbone, recipe and data must be those that the file was made with."""
    pairs = {}  # {field: (the file's value, ours)}
    mine = backbone_of(model)
    for key, value in metadata["backbone"].items():
        if training or key != "image_size":  # judging at another size is allowed
            pairs[f"backbone.{key}"] = (value, mine.get(key))
    for key, values in metadata["recipe"].differences(model.recipe, training).items():
        pairs[f"recipe.{key}"] = values
    if (theirs := metadata.get("variant")) != model.variant:
        pairs["variant"] = (theirs, model.variant)
    if data is not None:  # to go on training on other pictures would mix two runs
        pairs["data"] = (metadata.get("data"), data)
    wrong = [  # all of them at once: nobody should mend one field after the other
        f"{field} is {theirs!r} in the file, {here!r} here"
        for field, (theirs, here) in pairs.items()
        if theirs != here
    ]
    if wrong:
        raise MismatchError(f"{path} does not belong to this model: {'; '.join(wrong)}")


def fill(
    model: AdaptedCLIP, tensors: Mapping[str, Shaped[Tensor, "..."]], stage: str, label: str
) -> None:
    """A stage's tensors, by their full names, into the model."""
    # "text_adapter" or "image_adapter"; a variant's stage may train a module of its own as well
    for part in dict.fromkeys(name.split(".")[0] for name in model.trainable(stage)):
        start = f"{part}."
        state = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        model.load_part(part, state, label)
