"""Training for real: `train_text` (stage 1) and `train_image` (stage 2) around `train.step`.

Special: killed at any moment and called again with the same `out`, a run ends with the weights it
would have had; a step that would spoil them is refused, with module and step named. Device,
precision and processes are accelerate's; how a run is kept and goes on: resume.py beside this.
Use: `history = train_text(model, data, out="runs/a")`, `train_image(model, data, out="runs/a")`.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor
from tqdm.auto import tqdm

from ..datasets import AnomalyDataset
from ..files.door import door
from ..files.keep import only_one
from ..model import AdaptedCLIP
from ..train import History, free, learning_rate
from .guards import Guard, TrainingError
from .matmul import quick_products
from .options import Options, chosen, refuse_unfit
from .processes import choose_accelerator, described, held_interrupts, memory_mb, processes
from .resume import RunFiles, identity
from .share import BatchShare, borrowed
from .views import KeptViews

__all__ = ["Options", "TrainingError", "train_image", "train_text"]


@door(model=AdaptedCLIP, data=AnomalyDataset, out=(str, Path))
def train_text(
    model: AdaptedCLIP, data: AnomalyDataset, out: str | Path, on_progress=None, **options
) -> History:
    """Stage 1: text adapters, against dense features of the frozen image tower.

    out: folder of the run. on_progress(model, history) is called after each epoch, every
    `save_steps` steps, and at the end. options: see Options.
    Ctrl-C ends the step, saves, and returns the history so far.
    """
    return _train("text", model, data, Path(out), on_progress, chosen(options))


@door(model=AdaptedCLIP, data=AnomalyDataset, out=(str, Path))
def train_image(
    model: AdaptedCLIP, data: AnomalyDataset, out: str | Path, on_progress=None, **options
) -> History:
    """Stage 2: image adapters, against the anchors of the text adapters in `out`, or else of those
    the model holds. Arguments as in train_text.
    """
    return _train("image", model, data, Path(out), on_progress, chosen(options))


def _train(
    stage: str, model: AdaptedCLIP, data: AnomalyDataset, out: Path, on_progress, options: Options
) -> History:
    if stage == "image" and options.views is not None:
        raise ValueError(
            "views keeps features that do not change: stage 1's, not those behind image adapters"
        )
    if stage == "text" and not model.recipe.trains_text:
        if options.epochs or options.steps:
            raise ValueError(
                "Recipe.text_steps or text_epochs is 0, CLIP's own text tower: its adapters cannot "
                "train"
            )
        print("text stage: nothing to train, the recipe takes CLIP's own text tower")
        return History(stage, finished=True)
    with borrowed(model):
        model.recipe = options.applied_to(model.recipe, stage)
        model.clip.checkpointing |= options.checkpointing
        # before anything is written, the lock included
        refuse_unfit(stage, model.recipe, data, processes().num_processes)
        with only_one(out, ours=processes().is_main_process), quick_products(model.clip):
            run = _Run(stage, model, data, out, options)
            if not run.history.finished:
                run.loop(on_progress)
            run.accelerator.wait_for_everyone()  # one process writes what all read next
            return run.history


class _Run:
    """One stage's training: its state, its steps, its saves."""

    def __init__(
        self, stage: str, model: AdaptedCLIP, data: AnomalyDataset, out: Path, options: Options
    ) -> None:
        self.stage = stage
        self.model = model
        self.data = data
        self.options = options
        self.recipe = model.recipe
        self.accelerator = choose_accelerator()
        self.files = RunFiles(out, stage, self.accelerator)
        self._plan()
        model.to(self.accelerator.device)
        if stage == "image":
            self.files.take_text_adapters(model)
        self.trained = free(model, stage)
        frozen = {n: p for n, p in model.named_parameters() if n not in self.trained}
        self.modules = defaultdict(list)
        for name, parameter in self.trained.items():
            self.modules[name.split(".fc.")[0]].append(parameter)
        optimizer = torch.optim.Adam(self.trained.values(), betas=self.recipe.betas)
        parts = BatchShare(model, stage, options.bf16)
        if options.views is not None:
            parts.views = KeptViews(model, data, options.views)
        self.parts, self.optimizer = self.accelerator.prepare(parts, optimizer)
        scaled = self.accelerator.scaler is not None
        self.guard = Guard(stage, self.trained, frozen, scaled)
        self.identity = identity(stage, model, data, options.seed, options.views)
        self.saved = time.monotonic()
        self.history, self.step = self.files.go_on(
            model, self.optimizer, self.identity, options.resume
        )
        if stage == "image":
            if model.variant is not None and not self.step:  # drop-out must not follow stage 1's
                torch.manual_seed(options.seed)
            with torch.no_grad():
                parts.anchors = model.text_anchors(data.classes)
        self._say()

    def _plan(self) -> None:
        """How many steps, of how many pictures."""
        self.batch = getattr(self.recipe, f"{self.stage}_batch")
        rest = len(self.data) % self.batch
        # fewer pictures than processes cannot be shared out
        self.per_epoch = len(self.data) // self.batch + (rest >= self.accelerator.num_processes)
        self.steps = getattr(self.recipe, f"{self.stage}_steps")
        if self.steps is None:
            epochs = getattr(self.recipe, f"{self.stage}_epochs")
            self.steps = math.ceil(epochs * self.per_epoch / self.options.accumulate)

    def _say(self) -> None:
        on = self.accelerator
        normal = sum(record.label == 0 for record in self.data.records)
        pictures = self.options.accumulate * self.batch
        length = f"steps {self.step} to {self.steps} of {pictures} pictures"
        if self.history.finished:
            length = "finished before, resume=False starts over"
        on.print(
            f"{self.stage} stage: {described(on, self.options.bf16)}; {len(self.data)} pictures ({normal} normal), "
            f"{len(self.data.classes)} classes; {length}; "
            f"{sum(p.numel() for p in self.trained.values()):,} trainable weights"
        )

    def _save(self, finished: bool = False) -> None:
        if what := self.guard.spoiled():
            raise TrainingError(
                f"{self.stage} stage, step {self.step}: {what}; the last save before that stands"
            )
        self.saved = time.monotonic()
        progress = {
            "data": self.identity,
            "step": self.step,
            "steps": self.steps,
            "seed": self.options.seed,
            "epoch": self.step * self.options.accumulate // self.per_epoch,
            "finished": finished,
        }
        self.files.save(self.model, self.optimizer, self.history, progress)

    def batches(self) -> Iterator[tuple[dict, float]]:
        """Endless (batch, share of the step's mean) from the step reached."""
        on = self.accelerator
        done = self.step * self.options.accumulate
        while True:
            epoch, start = divmod(done, self.per_epoch)
            stream = self.data.batches(
                self.batch,
                True,
                self.options.seed,
                self.recipe,
                on.device,
                epoch=epoch,
                start=start,
                rank=on.process_index,
                world=on.num_processes,
                stage=1 if self.stage == "text" else 2,
                views=self.options.views,
            )
            for number, batch in zip(range(start, self.per_epoch), stream, strict=False):
                everyones = min(self.batch, len(self.data) - number * self.batch)
                batch["view"] = epoch % (self.options.views or 1)
                yield batch, len(batch["index"]) * on.num_processes / everyones
            done += self.per_epoch - start

    def loop(self, on_progress: Callable | None) -> None:
        try:
            self._steps(on_progress)
        except TrainingError:
            if not self.guard.spoiled():
                self._save()
            raise
        self.history.finished = self.step == self.steps
        self._save(self.history.finished)
        if not self.history.finished:
            self.accelerator.print(
                f"{self.stage} stage: stopped after step {self.step}, saved; the same call goes on "
                "from there"
            )

    def _steps(self, on_progress: Callable | None) -> None:
        on = self.accelerator
        if on.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        hidden = not (on.is_main_process and self.options.progress)
        bar = tqdm(total=self.steps, initial=self.step, desc=self.stage, disable=hidden)
        with bar, held_interrupts() as told, closing(self.batches()) as batches:
            if self.step == 0:
                self._save()
            stop = False
            while self.step < self.steps and not stop:
                row, stop = self.advance(batches, told.is_set())
                speed = f"{row['pictures_per_second']:.0f} pictures/s"
                bar.set_postfix_str(f"loss {row['loss']:.4f}, {speed}", False)
                bar.update()
                marked = self._marked()
                late = time.monotonic() - self.saved > self.options.save_seconds
                # after step 1 to see early that nothing frozen moves
                if marked or late or self.step == 1:
                    self._save()
                if on_progress and on.is_main_process and (marked or self.step == self.steps):
                    try:
                        on_progress(self.model, self.history)
                    except KeyboardInterrupt:
                        told.set()

    def _marked(self) -> bool:
        """At an epoch's end, or at a step that the caller wants to see."""
        accumulate = self.options.accumulate
        ended = self.step * accumulate % self.per_epoch < accumulate
        every = self.options.save_steps
        return ended or bool(every and self.step % every == 0)

    def advance(self, batches: Iterator, told: bool) -> tuple[dict, bool]:
        """One optimiser step: its row, and whether any process was told to stop."""
        began = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.stage, self.step)
        self.optimizer.zero_grad()
        values, pictures = self._backward(batches)
        self.accelerator.unscale_gradients(self.optimizer)
        zero = torch.zeros((), device=self.accelerator.device)
        for name, weights in self.modules.items():
            norms = [zero if p.grad is None else p.grad.norm() for p in weights]
            values[f"gradient/{name}"] = torch.stack(norms).norm()
        values["stop"] = zero + told
        # the step's only wait for the device
        numbers = self.accelerator.reduce(torch.stack(tuple(values.values())), "mean").tolist()
        epoch = 1 + self.step * self.options.accumulate // self.per_epoch
        row = {"step": self.step + 1, "epoch": epoch, **dict(zip(values, numbers, strict=True))}
        stop = row.pop("stop") > 0
        self.guard.judge(row, self.history.rows)
        self.optimizer.step()
        gradients = [value for name, value in row.items() if name.startswith("gradient/")]
        row["gradient"] = math.hypot(*gradients)
        row["lr"] = self.optimizer.param_groups[-1]["lr"]
        row["pictures_per_second"] = pictures / (time.perf_counter() - began)
        earlier = self.history.rows[-1]["memory_mb"] if self.history.rows else 0
        row["memory_mb"] = max(memory_mb(self.accelerator), earlier)
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        self.history.rows.append(finite)
        self.step += 1
        return row, stop

    def _backward(self, batches: Iterator) -> tuple[dict[str, Tensor], int]:
        """Gradients of the step's batches: their mean loss parts, and how many pictures they had."""
        on = self.accelerator
        accumulate = self.options.accumulate
        values: dict[str, Tensor] = defaultdict(float)
        pictures = 0
        for number in range(accumulate):
            batch, share = next(batches)
            names = gather_object(batch["class_name"])
            last = number + 1 == accumulate
            with nullcontext() if last else on.no_sync(self.parts):
                parts = self.parts(batch, names, share)
                on.backward(parts["loss"] / accumulate)
            pictures += len(names)
            for name, part in parts.items():
                values[name] += part.detach().float() / accumulate
        return values, pictures
