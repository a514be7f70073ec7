"""A run's folder: adapters, history, and the file to go on from. At every moment in between two
writes it can be resumed.
"""

import hashlib
from pathlib import Path

from accelerate import Accelerator

from ..checkpoint import MismatchError, load_adapter, read_metadata, save_adapter
from ..datasets import AnomalyDataset
from ..files.keep import sweep
from ..model import AdaptedCLIP
from ..train import History
from .resume import load_resume, save_resume


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
            raise type(error)(
                f"{error}. Choose another out folder, or start over with resume=False"
            ) from None
        self.accelerator.wait_for_everyone()  # all have read before the first save
        step = stored.get("step", 0)
        if not 0 <= step <= stored.get("steps", step):
            raise MismatchError(
                f"{self.resume}: step {step} of {stored['steps']} cannot be. Choose another out "
                "folder, or start over with resume=False"
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
