"""All that an interrupted run needs to go on bit for bit, in one file beside the adapters.

Use: `save_resume(path, model, "text", optimizer, {"step": 9})`, `load_resume(path, model, "text", optimizer)`
"""

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..checkpoint import FORMAT, MismatchError, backbone_of, fill, refuse_mismatch
from ..files.keep import atomic
from ..files.weights import WeightsError, existing, read_pickle
from ..model import AdaptedCLIP
from ..recipe import Recipe

_NEEDED = ("stage", "recipe", "backbone", "adapters", "optimizer", "random", "progress")


def save_resume(path, model: AdaptedCLIP, stage: str, optimizer, progress: Mapping) -> Path:
    """All that an interrupted run needs, in one file: adapters, optimiser, random state, progress."""
    contents = {
        "format": f"{FORMAT} resume",
        "stage": stage,
        "recipe": model.recipe.to_dict(),
        "backbone": backbone_of(model),
        "variant": model.variant,
        "adapters": {name: p.detach().cpu() for name, p in model.trainable(stage).items()},
        "optimizer": optimizer.state_dict(),
        "random": random_state(),
        "progress": dict(progress),
    }
    return atomic(path, lambda temporary: torch.save(contents, temporary))


def load_resume(path, model: AdaptedCLIP, stage: str, optimizer, data: str | None = None) -> dict:
    """Continue where save_resume stopped, random state included. Returns the progress; its "data"
    must equal `data`.
    """
    contents = read_pickle(existing(path))
    if not isinstance(contents, dict) or contents.get("format") != f"{FORMAT} resume":
        raise WeightsError(f"{path} is not a resume file of aaclip_lite")
    lacking = [name for name in _NEEDED if name not in contents]
    if lacking:
        raise WeightsError(f"{path} lacks {', '.join(lacking)}; start over with resume=False")
    if contents["stage"] != stage:
        raise MismatchError(
            f"{path} belongs to stage {contents['stage']!r}, this run is stage {stage!r}"
        )
    metadata = {
        **contents["progress"],
        "backbone": contents["backbone"],
        "variant": contents.get("variant"),
        "recipe": Recipe.from_dict(contents["recipe"]),
    }
    refuse_mismatch(path, model, metadata, data, training=True)
    fill(model, contents["adapters"], stage, str(path))
    optimizer.load_state_dict(contents["optimizer"])
    restore_random_state(contents["random"])
    return contents["progress"]


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
