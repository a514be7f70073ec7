"""Training: stage 1 (`train_text`), stage 2 (`train_image`), or both at once (Recipe.joint), by one
plain loop.

Special: killed at any moment and called again with the same `out`, a run ends with the weights it
would have had; a step that would spoil them is refused, with module and step named. Device,
precision and processes are accelerate's.
Use: `history = train_text(model, data, out="runs/a")`, `train_image(model, data, out="runs/a",
steps=50)`.
"""

import hashlib
import json
import math
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import gather_object, parse_flag_from_env
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import losses
from .checkpoint import (
    MismatchError,
    load_adapter,
    load_resume,
    read_metadata,
    save_adapter,
    save_resume,
)
from .datasets import AnomalyDataset
from .model import AdaptedCLIP, stack_anchors
from .recipe import Recipe

# a gradient norm so many times the largest that its module had in so many steps
EXPLODING, RECENT = (
    1e3,
    50,
)
VANISHING, PATIENCE = 1e-12, 20  # a norm below this for so many steps


class TrainingError(RuntimeError):
    """A run that must not go on; its folder keeps the last good state."""


@dataclass(frozen=True)
class Options:
    """What a call of train_text or train_image may set; None leaves it to the recipe."""

    epochs: int | None = None  # passes over the data
    steps: int | None = None  # optimiser steps, instead of epochs
    batch: int | None = None  # pictures in a batch, over all processes
    seed: int = 0  # order and augmentation of the pictures
    # go on with what the folder holds; False: start over, with the model as it is
    resume: bool = True
    save_seconds: float = 60.0  # longest time between two saves; the end of each epoch is saved too
    save_steps: int | None = None  # save every so many steps as well
    # compute activations again in the backward pass: less memory, slower
    checkpointing: bool = False
    views: int | None = (
        # stage 1: augment each picture in so many ways only and keep the image features of each
        None
    )
    progress: bool = True  # show a progress bar

    def applied_to(self, recipe: Recipe, side: str) -> Recipe:
        given = {
            name: getattr(self, name)
            for name in ("epochs", "steps", "batch")
            if getattr(self, name) is not None
        }
        if {"epochs", "steps"} <= given.keys() or 0 in given.values():
            raise ValueError(
                f"{given}: give epochs or steps, at least 1; what to leave out is the recipe's "
                "choice"
            )
        whole = {f"{side}_steps": None} if "epochs" in given else {}
        return recipe.replace(**whole, **{f"{side}_{name}": value for name, value in given.items()})


@dataclass
class History:
    """A row a step: loss and parts, anchors' cosine, gradient norm, the same of each module
    ("gradient/..."), speed.
    """

    stage: str
    rows: list[dict] = field(default_factory=list)
    finished: bool = False

    def column(self, name: str) -> list:
        return [row[name] for row in self.rows]

    def table(self, rows: int = 12) -> str:
        """About so many rows and the last; gradients of single modules are in .rows only."""
        chosen = [*self.rows[: -1 : math.ceil(len(self.rows) / rows) or 1], *self.rows[-1:]]
        names = [name for name in (chosen or [{"step": 0}])[-1] if not name.startswith("gradient/")]
        cells = [
            names,
            *(
                ["-" if row[name] is None else f"{row[name]:.4g}" for name in names]
                for row in chosen
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in cells
        )

    def save(self, path: str | Path) -> None:
        """JSON lines, all or none."""
        temporary = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | Path) -> "History":
        return cls(
            Path(path).stem,
            [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()],
        )


def train_text(
    model: AdaptedCLIP, data: AnomalyDataset, out: str | Path, on_epoch=None, **options
) -> History:
    """Stage 1: text adapters, against dense features of the frozen image tower.

    out: folder of the run. on_epoch(model, history) is called after each epoch, every `save_steps`
    steps, and at the end. options: see Options.
    Ctrl-C ends the step, saves, and returns the history so far.
    """
    return _train("text", model, data, Path(out), on_epoch, Options(**options))


def train_image(
    model: AdaptedCLIP, data: AnomalyDataset, out: str | Path, on_epoch=None, **options
) -> History:
    """Stage 2: image adapters, against the anchors of the text adapters in `out`, or else of those
    the model holds.

    Recipe.joint trains the text adapters along, from where they are. Arguments as in train_text.
    """
    return _train(
        "joint" if model.recipe.joint else "image",
        model,
        data,
        Path(out),
        on_epoch,
        Options(**options),
    )


def _train(
    stage: str, model: AdaptedCLIP, data: AnomalyDataset, out: Path, on_epoch, options: Options
) -> History:
    recipe, checkpointing = model.recipe, model.clip.checkpointing
    if stage != "text" and options.views is not None:
        raise ValueError(
            "views keeps features that do not change: stage 1's, not those behind image adapters"
        )
    if stage != "image" and not recipe.trains_text:
        if stage == "joint" or options.epochs or options.steps:
            raise ValueError(
                "Recipe.text_steps or text_epochs is 0, CLIP's own text tower: its adapters cannot "
                "train"
            )
        print("text stage: nothing to train, the recipe takes CLIP's own text tower")
        return History(stage, finished=True)
    flags = [(p, p.requires_grad) for p in model.parameters()]
    model.recipe = options.applied_to(recipe, "text" if stage == "text" else "image")
    try:
        model.clip.checkpointing = checkpointing or options.checkpointing
        run = _Run(stage, model, data, out, options)
        if not run.history.finished:
            run.loop(on_epoch)
        run.accelerator.wait_for_everyone()  # one process writes what all read next
        return run.history
    finally:
        model.recipe, model.clip.checkpointing = recipe, checkpointing
        for parameter, flag in flags:
            parameter.requires_grad_(flag).grad = None


class _Views:
    """Stage 1's image features of augmented views, computed when a view first comes, kept in half
    precision.
    """

    def __init__(self, model: AdaptedCLIP, data: AnomalyDataset, views: int) -> None:
        recipe, clip = model.recipe, model.clip
        if views < 1 or recipe.dense_axis == "batch":
            raise ValueError(
                f"views = {views}, Recipe.dense_axis = {recipe.dense_axis!r}: features can be kept "
                "from one view "
                "on, and only where they do not depend on batch mates"
            )
        self.model, self.kept = model, {}
        self.used = slice(None) if recipe.stage1_levels == "all" else slice(-1, None)
        levels, free = len(model.depths.levels[self.used]), psutil.virtual_memory().available
        needed = 2 * len(data) * views * levels * clip.grid**2 * clip.embed_dim
        if needed > 0.8 * free:
            raise ValueError(
                f"views = {views}: the features of {len(data)} pictures need {needed / 1e9:.1f} GB "
                "of memory, "
                f"{free / 1e9:.1f} are free; take fewer views or pictures (data.few_shot), or none"
            )

    def features(self, batch: dict, images: Tensor) -> tuple[Tensor, ...]:
        places = [(index, batch["view"]) for index in batch["index"]]
        if any(place not in self.kept for place in places):
            levels = torch.stack(self.model.dense_features(images)[self.used], 1).half().cpu()
            self.kept |= zip(places, levels, strict=True)
        return (
            torch.stack([self.kept[place] for place in places], 1)
            .to(images.device)
            .float()
            .unbind()
        )


class _Parts(nn.Module):
    """Loss parts of one process's share of a batch; a module, so that DDP averages the gradients."""

    def __init__(self, model: AdaptedCLIP, stage: str) -> None:
        super().__init__()
        # anchors: given where they do not train
        self.model, self.stage, self.anchors = (
            model,
            stage,
            None,
        )
        self.views: _Views | None = None

    def forward(self, batch: dict, names: Sequence[str], share: float) -> dict[str, Tensor]:
        """names: the batch's classes in all processes; share: weight of this one's means, 1 if all
        have as many.
        """
        model, recipe = self.model, self.model.recipe
        anchors = self.anchors or model.text_anchors(sorted(set(names)))
        images, own, mask = (
            model.preprocess(batch["image"]),
            stack_anchors(anchors, batch["class_name"]),
            batch["mask"],
        )
        if self.stage == "text":
            levels = (
                self.views.features(batch, images) if self.views else model.dense_features(images)
            )
            parts = losses.stage1_parts(levels, own, mask, recipe)
        else:
            parts = losses.stage2_parts(model(images), own, mask, batch["label"], recipe)
        parts, everyones = (
            {name: share * part for name, part in parts.items()},
            stack_anchors(anchors, names),
        )
        if self.stage == "joint" or (self.stage == "text" and len(names) > len(own)):
            # no mean over pictures: each process takes it over all the batch's classes
            parts["separation"] = recipe.orthogonal_weight * losses.SEPARATIONS[
                recipe.text_separation
            ](everyones)
        cosine = (everyones[..., 0] * everyones[..., 1]).sum(-1).mean().detach()
        return {**parts, "loss": torch.stack(tuple(parts.values())).sum(), "cosine": cosine}


class _Run:
    """What a stage trains, how far it is, and its files."""

    def __init__(
        self, stage: str, model: AdaptedCLIP, data: AnomalyDataset, out: Path, options: Options
    ) -> None:
        side, self.accelerator = "text" if stage == "text" else "image", choose_accelerator()
        self.stage, self.model, self.recipe, self.data, self.options = (
            stage,
            model,
            model.recipe,
            data,
            options,
        )
        self.adapters, self.resume, self.log = (
            out / f"{side}{end}" for end in (".safetensors", ".resume", ".jsonl")
        )
        self.batch, epochs, steps = (
            getattr(self.recipe, f"{side}_{name}") for name in ("batch", "epochs", "steps")
        )
        self.accumulate, world = self.recipe.accumulate, self.accelerator.num_processes
        _refuse_unfit(stage, self.recipe, data, world)
        # fewer cannot be shared out
        self.per_epoch = len(data) // self.batch + (len(data) % self.batch >= world)
        self.steps = (
            math.ceil(epochs * self.per_epoch / self.accumulate) if steps is None else steps
        )
        model.to(self.accelerator.device)
        if stage != "text" and (out / "text.safetensors").exists():
            load_adapter(out / "text.safetensors", model)
        elif stage == "image" and self.recipe.trains_text and self.accelerator.is_main_process:
            # a detector needs both files
            save_adapter(out / "text.safetensors", model, "text", {"step": 0})
        parts, optimizer = _Parts(model, stage), self._choose_weights()
        parts.views = None if options.views is None else _Views(model, data, options.views)
        self.parts, self.optimizer = self.accelerator.prepare(parts, optimizer)
        digest = hashlib.sha256(
            b"".join(p.detach().cpu().numpy().tobytes() for p in model.text_adapter.parameters())
        )
        anchors = (
            f", text adapters {digest.hexdigest()[:8]}"
            if stage == "image" and self.recipe.trains_text
            else ""
        )
        views = f", {options.views} views" if options.views else ""
        self.identity = (
            f"{data.fingerprint()}, size {data.size}, seed {options.seed}{anchors}{views}"
        )
        self.before, self.overflows, self.saved = self._checksums(), 0, time.monotonic()
        self.history, self.step = self._go_on()
        if stage == "image":
            with torch.no_grad():
                parts.anchors = model.text_anchors(data.classes)
        self._say()

    def _choose_weights(self) -> torch.optim.Optimizer:
        """Of the stage's weights those that the features pass through; all others are to stay as
        they are.
        """
        depths, rates = (
            self.model.depths,
            {"text_adapter": self.recipe.text_lr, "image_adapter": self.recipe.image_lr},
        )
        unread = [i for i, block in enumerate(depths.image_blocks) if block > max(depths.levels)]
        unread = tuple(f"image_adapter.layer_adapters.{i}." for i in unread)
        self.model.requires_grad_(False)
        weights = self.model.trainable(self.stage).items()
        self.trained = {
            name: p.requires_grad_() for name, p in weights if not name.startswith(unread)
        }
        self.frozen = {
            name: p for name, p in self.model.named_parameters() if name not in self.trained
        }
        self.modules, groups = defaultdict(list), defaultdict(list)
        for name, parameter in self.trained.items():
            self.modules[name.split(".fc.")[0]].append(parameter)
            groups[rates[name.split(".")[0]]].append(parameter)
        groups = [
            {"params": parameters, "lr": rate, "start": rate} for rate, parameters in groups.items()
        ]
        return torch.optim.Adam(groups, betas=self.recipe.betas)

    def _go_on(self) -> tuple[History, int]:
        """Take up what the folder holds of this run; another run's is refused."""
        if self.accelerator.is_main_process:
            old = () if self.options.resume else (self.adapters, self.resume, self.log)
            # hidden: what a killed save left
            for path in (
                *old,
                *self.log.parent.glob(f".{self.log.stem}.*"),
            ):
                path.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
        stored = read_metadata(self.adapters) if self.adapters.exists() else {}
        finished = stored.get("finished", False)
        try:
            if finished:
                load_adapter(self.adapters, self.model, self.identity, training=True)
            elif self.resume.exists():
                stored = load_resume(
                    self.resume, self.model, self.stage, self.optimizer, data=self.identity
                )
                if stored["scaler"] and self.accelerator.scaler:
                    self.accelerator.scaler.load_state_dict(stored["scaler"])
            elif stored:
                raise FileNotFoundError(f"{self.adapters} is unfinished, but {self.resume} is gone")
        except (MismatchError, FileNotFoundError) as error:
            raise type(error)(
                f"{error}. Choose another out folder, or start over with resume=False"
            ) from None
        self.accelerator.wait_for_everyone()  # all have read before the first save
        step, rows = stored.get("step", 0), History.load(self.log).rows if self.log.exists() else []
        return History(self.stage, [row for row in rows if row["step"] <= step], finished), step

    def _say(self) -> None:
        on, normal = self.accelerator, sum(record.label == 0 for record in self.data.records)
        device = (
            torch.cuda.get_device_name(on.device) if on.device.type == "cuda" else on.device.type
        )
        steps = f"steps {self.step} to {self.steps} of {self.accumulate * self.batch} pictures"
        on.print(
            f"{self.stage} stage: {device} x {on.num_processes}, "
            f"{on.mixed_precision.replace('no', 'fp32')}; "
            f"{len(self.data)} pictures ({normal} normal), {len(self.data.classes)} classes; "
            f"{'finished before, resume=False starts over' if self.history.finished else steps}; "
            f"{sum(p.numel() for p in self.trained.values()):,} trainable weights"
        )

    def _checksums(self) -> list[int]:
        """Sums of the frozen weights' bits: exact on every device."""
        kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
        return torch.stack(
            [p.detach().view(kinds[p.element_size()]).sum() for p in self.frozen.values()]
        ).tolist()

    def _spoiled(self) -> str | None:
        """What is wrong with the weights, if anything."""
        moved = [
            name
            for name, a, b in zip(self.frozen, self.before, self._checksums(), strict=True)
            if a != b
        ]
        broken = [name for name, p in self.trained.items() if not p.isfinite().all()]
        return (
            f"frozen weight {moved[0]} moved"
            if moved
            else f"{broken[0]} is not finite"
            if broken
            else None
        )

    def _save(self, finished: bool = False) -> None:
        """History, then all to go on from, then the adapters: at every moment in between the folder
        can be resumed.
        """
        if what := self._spoiled():
            raise TrainingError(
                f"{self.stage} stage, step {self.step}: {what}; the last save before that stands"
            )
        self.saved = time.monotonic()
        if not self.accelerator.is_main_process:
            return
        progress = {
            "data": self.identity,
            "step": self.step,
            "steps": self.steps,
            "seed": self.options.seed,
        }
        progress |= {"epoch": self.step * self.accumulate // self.per_epoch, "finished": finished}
        self.history.save(self.log)
        if not finished:
            state = progress | {
                "scaler": (scaler := self.accelerator.scaler) and scaler.state_dict()
            }
            save_resume(self.resume, self.model, self.stage, self.optimizer, progress=state)
        if self.step:
            row = self.history.rows[-1] if self.history.rows else {}
            last = {name: value for name, value in row.items() if not name.startswith("gradient/")}
            save_adapter(self.adapters, self.model, self.stage, progress | {"losses": last})
        if finished:
            self.resume.unlink(missing_ok=True)

    def batches(self) -> Iterator[tuple[dict, float]]:
        """Endless (batch, share) from the step reached; order and augmentation follow from seed and
        epoch alone.
        """
        on, done = self.accelerator, self.step * self.accumulate
        while True:
            epoch, start = divmod(done, self.per_epoch)
            place = {
                "epoch": epoch,
                "start": start,
                "rank": on.process_index,
                "world": on.num_processes,
            }
            place |= {"stage": 1 if self.stage == "text" else 2, "views": self.options.views}
            stream = self.data.batches(
                self.batch, True, self.options.seed, self.recipe, on.device, **place
            )
            for number, batch in zip(range(start, self.per_epoch), stream, strict=False):
                everyones = min(self.batch, len(self.data) - number * self.batch)
                batch["view"] = epoch % (self.options.views or 1)
                yield batch, len(batch["index"]) * on.num_processes / everyones
            done += self.per_epoch - start

    def loop(self, on_epoch: Callable | None) -> None:
        on, options, stop = self.accelerator, self.options, False
        hidden = not (on.is_main_process and options.progress)
        bar = tqdm(total=self.steps, initial=self.step, desc=self.stage, disable=hidden)
        if on.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            with bar, _held_interrupts() as told, closing(self.batches()) as batches:
                if self.step == 0:
                    self._save()
                while self.step < self.steps and not stop:
                    row, stop = self.advance(batches, told)
                    bar.set_postfix_str(
                        f"loss {row['loss']:.4f}, {row['pictures_per_second']:.0f} pictures/s",
                        False,
                    )
                    bar.update()
                    ended = self.step * self.accumulate % self.per_epoch < self.accumulate
                    due = options.save_steps and self.step % options.save_steps == 0
                    if (
                        ended
                        or due
                        or self.step == 1
                        or time.monotonic() - self.saved > options.save_seconds
                    ):
                        self._save()  # after step 1 to see early that nothing frozen moves
                    if (
                        on_epoch
                        and on.is_main_process
                        and (ended or due or self.step == self.steps)
                    ):
                        try:
                            on_epoch(self.model, self.history)
                        except KeyboardInterrupt:
                            told.set()
        except TrainingError:
            if not self._spoiled():
                self._save()
            raise
        self.history.finished = self.step == self.steps
        self._save(self.history.finished)
        if not self.history.finished:
            on.print(
                f"{self.stage} stage: stopped after step {self.step}, saved; the same call goes on "
                "from there"
            )

    def advance(self, batches: Iterator, told: threading.Event) -> tuple[dict, bool]:
        """One optimiser step: its row, and whether any process was told to stop."""
        began, on, values, pictures = time.perf_counter(), self.accelerator, defaultdict(float), 0
        drops = sum(
            self.step >= milestone for milestone in self.recipe.milestones if self.stage != "text"
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["start"] * self.recipe.gamma**drops
        self.optimizer.zero_grad()
        for number in range(self.accumulate):
            batch, share = next(batches)
            with on.no_sync(self.parts) if number + 1 < self.accumulate else nullcontext():
                parts = self.parts(batch, names := gather_object(batch["class_name"]), share)
                on.backward(parts["loss"] / self.accumulate)
            pictures += len(names)
            for name, part in parts.items():
                values[name] += part.detach().float() / self.accumulate
        on.unscale_gradients(self.optimizer)
        zero = torch.zeros((), device=on.device)
        for name, weights in self.modules.items():
            norms = [zero if p.grad is None else p.grad.norm() for p in weights]
            values[f"gradient/{name}"] = torch.stack(norms).norm()
        values["stop"] = zero + told.is_set()
        numbers = on.reduce(
            torch.stack(tuple(values.values())), "mean"
        ).tolist()  # the step's only wait for the device
        row = {"step": self.step + 1, "epoch": 1 + self.step * self.accumulate // self.per_epoch}
        row |= dict(zip(values, numbers, strict=True))
        stop = row.pop("stop") > 0
        self._judge(row)
        self.optimizer.step()
        row["gradient"] = math.hypot(
            *(value for name, value in row.items() if name.startswith("gradient/"))
        )
        row["lr"] = self.optimizer.param_groups[-1]["lr"]
        row["pictures_per_second"] = pictures / (time.perf_counter() - began)
        held = (
            torch.cuda.max_memory_allocated()
            if on.device.type == "cuda"
            else psutil.Process().memory_info().rss
        )
        row["memory_mb"] = max(
            held / 1e6, self.history.rows[-1]["memory_mb"] if self.history.rows else 0
        )
        self.history.rows.append(
            {name: value if math.isfinite(value) else None for name, value in row.items()}
        )
        self.step += 1
        return row, stop

    def _judge(self, row: dict) -> None:
        """Refuse a step whose loss or gradients would spoil the weights."""
        where = f"{self.stage} stage, step {row['step']}, not taken"
        gradients = {name: value for name, value in row.items() if name.startswith("gradient/")}
        for name, value in row.items():
            if name not in gradients and not math.isfinite(value):
                raise TrainingError(f"{where}: {name} is {value}")
        self.overflows = 0 if all(map(math.isfinite, gradients.values())) else self.overflows + 1
        if self.accelerator.scaler and 0 < self.overflows <= PATIENCE:
            return  # fp16: the scaler leaves this step out and scales less from now on
        unused = "gradient/image_adapter.det" if self.recipe.detection_weight == 0 else "-"
        for name, norm in gradients.items():
            usual, problem = (
                [r[name] for r in self.history.rows[-RECENT:] if r[name] is not None],
                None,
            )
            if not math.isfinite(norm):
                problem = f"is {norm}"
            elif len(usual) >= PATIENCE and norm > EXPLODING * max(usual) > 0:
                problem = f"explodes: {norm:.3g} after {max(usual):.3g} at most"
            elif (
                len(usual) >= PATIENCE
                and max([*usual[-PATIENCE:], norm]) < VANISHING
                and not name.startswith(unused)
            ):
                problem = f"has vanished: below {VANISHING} for {PATIENCE} steps, the loss does not reach it"
            if problem:
                raise TrainingError(f"{where}: the {name.replace('/', ' of ')} {problem}")


def choose_accelerator() -> Accelerator:
    """fp32 on the CPU and on Apple's chips; on CUDA bf16 where the card has it natively, else fp16
    with scaling.
    """
    state = processes()
    cuda = state.device.type == "cuda"
    # is_bf16_supported() counts emulation as well
    native = cuda and torch.cuda.get_device_capability()[0] >= 8
    return Accelerator(
        mixed_precision="bf16" if native else "fp16" if cuda else "no",
        cpu=state.device.type == "cpu",
    )


def processes() -> PartialState:
    """This process among those that `accelerate launch` started, and its device; on a CPU too they
    join each other.
    """
    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not found)


def _refuse_unfit(stage: str, recipe: Recipe, data: AnomalyDataset, world: int) -> None:
    data.check(strict=True)
    if {record.label for record in data.records} != {0, 1} or len(data) < world or data.image_level:
        raise ValueError(
            f"{data!r}: training needs normal and abnormal pictures, at least one a process, and "
            "masks"
        )
    if stage == "text" and recipe.dense_axis == "batch" and world > 1:
        raise ValueError(
            "Recipe.dense_axis = 'batch' lets the pictures of a batch see each other: use one "
            "process"
        )


@contextmanager
def _held_interrupts() -> Iterator[threading.Event]:
    """Ctrl-C takes effect between steps, as the event that this gives; signals reach the main
    thread only.
    """
    told, in_main = threading.Event(), threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: told.set()) if in_main else None
    try:
        yield told
    finally:
        if in_main:
            signal.signal(signal.SIGINT, before or signal.default_int_handler)
