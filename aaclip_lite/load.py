"""Where a CLIP comes from: embedded, a hub, a file, a config. The only file that imports open_clip,
and only where it must: for its names, its downloads and its random start.

Special: the activation belongs to the weights (OpenAI's are QuickGELU), running another is reported
with its measured cost; "lite" touches no network; a source that cannot work gives one error with
the remedy, and no file's code is run.
Use: `load_clip("lite")`, `load_clip("ViT-L-14-336", "openai", image_size=518)`, `load_clip(config,
weights=PATH)`.
"""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .clip import ACTIVATIONS, FrozenCLIP
from .files import configs
from .files.activation import tell
from .files.checked import read_json
from .files.door import door
from .files.environment import data_path
from .files.hub import fetched, named
from .files.towers import is_plain, tokenize, towers
from .files.weights import WeightsError, read_state

LARGEST_SIDE = 4096  # beyond it a typing error is likelier than a picture


class Source(NamedTuple):
    config: dict
    state: dict[str, Tensor] | None  # None: a random start
    activation: str  # the one that belongs to the weights
    label: str  # for messages


@door(source=(str, dict, Path), weights=(str, Path, None), image_size=(int, None))
def load_clip(
    source: str | dict | Path = "lite",
    weights: str | Path | None = "own",
    image_size: int | None = None,
    activation: str | None = None,
) -> FrozenCLIP:
    """A frozen CLIP in fp32 on the CPU.

    source: "lite" (embedded), an open_clip name, "TinyCLIP-ViT-8M-16", or a config: dict, .json
    file, folder with config.json and weights.
    weights: "own" (beside the config), a tag such as "openai", a file, or None for random ones.
    image_size: side of the square input; the position grid is resized to it.
    activation: "gelu", "quick_gelu", or None for the weights' own.
    """
    if activation not in (None, *ACTIVATIONS):
        raise ValueError(
            f"activation = {activation!r}: use None, {', '.join(map(repr, ACTIVATIONS))}"
        )
    if image_size is not None and not 0 < image_size <= LARGEST_SIDE:
        raise ValueError(f"image_size = {image_size}: give a side from 1 to {LARGEST_SIDE} pixels")
    origin = _find(*named(source, weights))
    if image_size is not None:  # the tower is built for it, and the loader fits the positions
        origin.config["vision_cfg"]["image_size"] = image_size
    # weights that are replaced need no random start
    device = "cpu" if origin.state is None else "meta"
    model = _build(origin.config, origin.label, device)
    clip = FrozenCLIP(model, tokenize, activation or origin.activation)
    if origin.state is not None:
        clip.load_state_dict(origin.state, label=origin.label, assign=True)
        if clip.activation != origin.activation:  # allowed, for the public code does it
            tell(clip, origin.activation, origin.label)
    return clip


def _find(source: str | dict | Path, weights: str | Path | None) -> Source:
    if isinstance(source, str) and source != "lite":  # "lite" must not wait for open_clip
        import open_clip

        if source.replace("/", "-") in open_clip.list_models():  # "ViT-L/14" is "ViT-L-14" there
            return _find_named(source.replace("/", "-"), weights)
    if isinstance(source, dict):
        config = copy.deepcopy(source)  # image_size is written into it below
        label = "config"
    else:
        place = data_path("lite_clip") if source == "lite" else Path(source)
        file = place if place.suffix == ".json" else place / "config.json"
        if not file.is_file():
            raise FileNotFoundError(
                f"{source!r} is not a source, and {file} is missing. Sources: 'lite', an open_clip "
                "name such as 'ViT-L-14-336', a config dict, a .json file, a folder with "
                "config.json and model.safetensors; a weights file goes into weights=..."
            )
        config = read_json(file, remedy="give the config that belongs to the weights")
        label = str(file)
        # a config file alone says nothing of weights; a folder holds both
        weights = place / "model.safetensors" if weights == "own" and place.is_dir() else weights
    config = config.get("model_cfg", config)  # the hub's files hold it under this name
    configs.refuse_unbounded(config, label)
    if not isinstance(config, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
        raise WeightsError(
            f"{label}: not the config of a CLIP, which needs embed_dim, vision_cfg and text_cfg"
        )
    if weights == "own":  # a random CLIP looks like a working one until its maps are seen
        warnings.warn(
            "a config without weights gives a random CLIP; weights=None says that this is meant",
            stacklevel=4,
        )
    quick = bool(config.get("quick_gelu"))
    if weights in ("own", None):
        return Source(config, None, _activation(quick), f"{label} with random weights")
    state, by_openai = read_state(weights)
    configs.refuse_endless(state, weights)  # nan in one weight is nan in every feature
    return Source(config, state, _activation(quick or by_openai), str(weights))


def _find_named(name: str, weights: str | Path | None) -> Source:
    """An architecture that open_clip knows, with a tag's weights, a file's, or random ones."""
    import open_clip

    config = open_clip.get_model_config(name)
    tags = open_clip.list_pretrained_tags_by_model(name)
    quick = bool(config.get("quick_gelu"))
    label = f"{name} with weights {str(weights)!r}"
    if weights is None:
        return Source(config, None, _activation(quick), label)
    if weights == "own":
        raise ValueError(
            f"which weights of {name}? One of {', '.join(tags)}, a file, or None for random ones"
        )
    tag = open_clip.get_pretrained_cfg(name, str(weights))  # {} where it is no tag
    if not tag and not Path(weights).is_file():
        raise FileNotFoundError(
            f"weights = {str(weights)!r}: no such file, and no such tag; tags: {', '.join(tags)}"
        )
    if tag:
        weights = fetched(name, str(weights), tag, open_clip.download_pretrained)
    state, by_openai = read_state(weights)
    configs.refuse_endless(state, label)
    # the architecture's name is the same for weights of both kinds: any hint at QuickGELU counts
    quick = quick or by_openai or bool(tag.get("quick_gelu"))
    return Source(config, state, _activation(quick), label)


def _activation(quick: bool) -> str:
    return "quick_gelu" if quick else "gelu"


def blank_clip(config: dict) -> tuple[nn.Module, Callable]:
    """open_clip's own untrained model and the tokenizer for it: where pretraining begins."""
    import open_clip

    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    return _build(config, "config", "cpu"), tokenizer


def _build(config: dict, label: str, device: str) -> nn.Module:
    """open_clip's own model, refused where our walk would not follow it."""
    foreign = configs.foreign_parts(config)  # before building: it may want other libraries
    if not foreign:
        configs.refuse_odd_size(config, label)
        try:
            with torch.device(device):
                if device == "meta" and is_plain(config):  # spares the slow import below
                    return towers(config)
                import open_clip

                keys = config.keys() - {"quick_gelu", "custom_text"}  # our walk has its own
                model = open_clip.CLIP(**{key: config[key] for key in keys})
        except (TypeError, ValueError, AssertionError, RuntimeError, ZeroDivisionError) as error:
            raise WeightsError(f"{label}: open_clip cannot build this config: {error}") from error
        foreign = configs.foreign_blocks(model)
    if foreign:  # a walk that ran all the same would be wrong without a word
        raise WeightsError(
            f"{label}: only plain CLIP models with two transformers are supported; in the way: "
            f"{'; '.join(foreign)}"
        )
    return model
