"""A run's folder: adapters, history, and one file with all that an interrupted run needs to go on bit
for bit. At every moment in between two writes it can be resumed.

Use: `save_resume(path, model, "text", optimizer, {"step": 9})`, `load_resume(path, model, "text", optimizer)`
"""

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ..checkpoint import (
    FORMAT,
    MismatchError,
    backbone_of,
    fill,
    load_adapter,
    read_metadata,
    refuse_mismatch,
    save_adapter,
)
from ..datasets import AnomalyDataset
from ..files.keep import atomic, sweep
from ..files.weights import WeightsError, existing, read_pickle
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..train import History

_NEEDED = ("stage", "recipe", "backbone", "adapters", "optimizer", "random", "progress")
OTHERWISE = "Choose another out folder, or start over with resume=False"


def identity(
    stage: str, model: AdaptedCLIP, data: AnomalyDataset, seed: int, views: int | None
) -> str:
    """What a run must share with the one that it goes on from."""
    parts = [f"{data.fingerprint()}, size {data.size}, seed {seed}"]
    if stage == "image" and model.recipe.trains_text:
        weights = [p.detach().cpu().numpy().tobytes() for p in model.text_adapter.parameters()]
        parts.append(f"text adapters {hashlib.sha256(b''.join(weights)).hexdigest()[:8]}")
    if views:
        parts.append(f"{views} views")
    if getattr(model, "base", None):  # a variant that began with the adapters of another run
        parts.append(f"base {model.base}")
    return ", ".join(parts)


class RunFiles:
    def __init__(self, out: Path, stage: str, accelerator: Accelerator) -> None:
        self.out = out
        self.stage = stage
        self.accelerator = accelerator
        self.adapters = out / f"{stage}.safetensors"
        self.resume = out / f"{stage}.resume"
        self.log = out / f"{stage}.jsonl"

    def take_text_adapters(self, model: AdaptedCLIP) -> None:
        """Stage 2 goes on from the folder's text adapters; without any it keeps the model's, for a
        detector needs both files.
        """
        path = self.out / "text.safetensors"
        if path.exists():
            load_adapter(path, model)
        elif model.recipe.trains_text and self.accelerator.is_main_process:
            save_adapter(path, model, "text", {"step": 0})

    def go_on(self, model: AdaptedCLIP, optimizer, run: str, resume: bool) -> tuple[History, int]:
        """Take up what the folder holds of this run; another run's is refused."""
        if self.accelerator.is_main_process:
            ours = (self.adapters, self.resume, self.log)
            sweep(ours)
            for path in () if resume else ours:
                path.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
        try:
            stored = self._load(model, optimizer, run)
        except (MismatchError, FileNotFoundError) as error:
            raise type(error)(f"{error}. {OTHERWISE}") from None
        self.accelerator.wait_for_everyone()  # all have read before the first save
        step = stored.get("step", 0)
        if not 0 <= step <= stored.get("steps", step):
            raise MismatchError(
                f"{self.resume}: step {step} of {stored['steps']} cannot be. {OTHERWISE}"
            )
        rows = History.load(self.log).rows if self.log.exists() else []
        known = [row for row in rows if row["step"] <= step]
        return History(self.stage, known, stored.get("finished", False)), step

    def _load(self, model: AdaptedCLIP, optimizer, run: str) -> dict:
        stored = read_metadata(self.adapters) if self.adapters.exists() else {}
        if stored.get("finished", False):
            load_adapter(self.adapters, model, run, training=True)
            if self.accelerator.is_main_process:  # a kill may have left it
                self.resume.unlink(missing_ok=True)
            return stored
        if self.resume.exists():
            progress = load_resume(self.resume, model, self.stage, optimizer, data=run)
            if progress["scaler"] and self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(progress["scaler"])
            return progress
        if stored:
            raise FileNotFoundError(f"{self.adapters} is unfinished, but {self.resume} is gone")
        return {}

    def save(self, model: AdaptedCLIP, optimizer, history: History, progress: dict) -> None:
        """History, then all to go on from, then the adapters."""
        if not self.accelerator.is_main_process:
            return
        history.save(self.log)
        if not progress["finished"]:
            scaler = self.accelerator.scaler
            state = {"scaler": scaler and scaler.state_dict()}
            save_resume(self.resume, model, self.stage, optimizer, progress=progress | state)
        if progress["step"]:
            row = history.rows[-1] if history.rows else {}
            last = {name: value for name, value in row.items() if not name.startswith("gradient/")}
            save_adapter(self.adapters, model, self.stage, progress | {"losses": last})
        if progress["finished"]:
            self.resume.unlink(missing_ok=True)


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
    recipe = Recipe.from_dict(contents["recipe"])
    metadata = contents | {"data": contents["progress"].get("data"), "recipe": recipe}
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
