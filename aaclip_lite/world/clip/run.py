"""A pretraining run: steps, averaged weights, the resume file, the model as it would be shipped."""

import json
import math
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from ...files import keep
from ...load import blank_clip
from .batches import make_batch
from .learner import Learner
from .losses import losses
from .options import CHANGING, MODEL, Pretraining
from .pool import Pool
from .words import vocabulary


def export(model: Learner, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16, only the word rows that occur) in place of
    older ones.
    """
    half = {k: v.to(torch.float16).cpu().contiguous() for k, v in model.clip.state_dict().items()}
    half["token_embedding.rows"] = half.pop("token_embedding.weight")
    half["token_embedding.ids"] = model.ids.to(torch.int32).cpu()
    keep.atomic(folder / "model.safetensors", lambda temporary: save_file(half, temporary))
    keep.write_json(folder / "config.json", model.config)


def native_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Run:
    """All that a run carries from step to step, and how it is put down and taken up again."""

    def __init__(self, options: Pretraining, ids: list[int]):
        self.options = options
        self.out = Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        told = {}
        resume = self.out / "resume.pt"
        if resume.is_file():
            told = torch.load(resume, map_location=options.device, weights_only=True)
            told["legs"] = json.loads((self.out / "model" / "run.json").read_text())["legs"]
            ids = told["model"]["ids"].tolist()
        dtype = torch.bfloat16 if native_bf16(options.device) else torch.float32
        self.model = Learner(ids, dtype, options.model())
        if resume.is_file():
            self.model.load_state_dict(told["model"])
        elif options.warm_start:
            told = self._start(Path(options.warm_start))
        self.model.to(options.device)
        started = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.average = told.get("average", started)
        wide = [p for p in self.model.parameters() if p.ndim >= 2]
        narrow = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": wide, "weight_decay": options.weight_decay},
            {"params": narrow, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.98))
        if resume.is_file():
            self.optimizer.load_state_dict(told["optimizer"])
        self.step = told.get("step", 0)
        self.seen = told.get("seen", 0)
        self.elapsed = told.get("elapsed", 0.0)
        self.first = told.get("first", (self.step, self.elapsed))  # where this schedule began
        leg = {"step": self.step} | {name: getattr(options, name) for name in CHANGING}
        self.legs = [*told.get("legs", []), leg]

    def _start(self, folder: Path) -> dict:
        """Take the weights of a finished model; what its run.json tells is counted on. Its
        optimiser's state is gone, so the schedule begins anew. Words that the model does not know
        yet keep their random rows.
        """
        names = ("model.safetensors", "run.json")
        if absent := " and no ".join(name for name in names if not (folder / name).is_file()):
            raise FileNotFoundError(
                f"--warm-start {folder}: no {absent} there; name the OUT/model that a run left"
            )
        state = load_file(folder / "model.safetensors")
        told = json.loads((folder / "run.json").read_text())
        rows = state.pop("token_embedding.rows")
        places = self.model.row_of[state.pop("token_embedding.ids").long()]
        words = self.model.clip.token_embedding.weight.detach().clone()
        words[places[places >= 0]] = rows[places >= 0].float()
        state["token_embedding.weight"] = words
        self.model.clip.load_state_dict(state)  # cast to fp32 on the way
        # 20 where it was not kept yet: of seven scales, the one of least patch loss on the model of
        # 3,398 steps
        self.model.region_scale.data.fill_(math.log(told.get("region_scale", 20.0)))
        if (folder / "log.jsonl").is_file():
            shutil.copy(folder / "log.jsonl", self.out / "log.jsonl")
        return told

    def finished_before(self) -> bool:
        """Whether nothing is left to do; a warm start that asks for nothing is an error."""
        if self.elapsed < self.options.minutes * 60:
            return False
        if (self.out / "resume.pt").is_file():
            return True
        raise ValueError(
            f"--minutes {self.options.minutes:g}: the model has had {self.elapsed / 60:.1f} "
            "already; give more"
        )

    @property
    def progress(self) -> float:
        return (self.elapsed - self.first[1]) / (self.options.minutes * 60 - self.first[1])

    def learn(self, batch: dict, world: int) -> dict[str, Tensor]:
        """One optimiser step; the averaged weights follow the trained ones."""
        wave = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(self.progress, 1)))
        begun = min(1, (self.step - self.first[0] + 1) / self.options.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * begun * wave
        parts = losses(self.model, batch, self.options)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        if world > 1:
            for p in self.model.parameters():
                dist.all_reduce(p.grad)
                p.grad /= world
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if not torch.isfinite(norm):
            raise RuntimeError(
                f"gradient is {norm.item()} at step {self.step}; last good state: "
                f"{self.out}/resume.pt"
            )
        self.optimizer.step()
        taken = self.step - self.first[0]
        decay = min(0.998, (1 + taken) / (10 + taken))
        with torch.no_grad():
            for k, v in self.model.state_dict().items():
                if v.is_floating_point():  # the ids of words stay what they are
                    self.average[k].lerp_(v, 1 - decay)
        self.step = self.step + 1
        self.seen = self.seen + world * len(batch["images"])
        return parts

    def agree_on_time(self) -> None:
        """All processes must see the same clock, or one would stop alone."""
        clock = torch.tensor(self.elapsed, device=self.options.device)
        dist.broadcast(clock, 0)
        self.elapsed = clock.item()

    def log(self, parts: dict[str, Tensor], drawn: int) -> dict:
        """Append a row to the log."""
        row = {"step": self.step, "seconds": round(self.elapsed, 1), "seen": self.seen}
        row |= {"drawn": drawn} | {k: round(float(v), 4) for k, v in parts.items()}
        keep.append_jsonl(self.out / "log.jsonl", [row])
        return row

    def save(self) -> None:
        """The resume file, and the averaged model as it would be shipped now."""
        counts = {"step": self.step, "seen": self.seen, "elapsed": self.elapsed}
        state = counts | {"first": self.first, "average": self.average}
        state["model"] = self.model.state_dict()
        state["optimizer"] = self.optimizer.state_dict()
        keep.atomic(self.out / "resume.pt", lambda temporary: torch.save(state, temporary))
        shown = Learner(self.model.ids.tolist(), config=self.model.config)
        shown.load_state_dict(self.average)
        export(shown, self.out / "model")
        counts["region_scale"] = round(self.model.region_scale.exp().item(), 3)
        # one for each time the run was taken up
        facts = asdict(self.options) | counts | {"legs": self.legs}
        keep.write_json(self.out / "model" / "run.json", facts)
        kept = self.out / "checkpoints" / str(self.step)
        shutil.copytree(self.out / "model", kept, dirs_exist_ok=True)


def run(options: Pretraining) -> Path:
    """Train until `minutes` of training time are used up (over all resumed runs); returns the model
    folder.

    Several processes, each with a thread and a pool of its own: `torchrun --nproc-per-node 2 -m
    aaclip_lite lab pretrain`.
    """
    rank = int(os.environ.get("RANK", 0))
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if options.device.startswith("cuda") else "gloo")
    tokenizer = blank_clip(MODEL)[1]
    state = Run(options, vocabulary(tokenizer))
    if state.finished_before():
        return state.out / "model"
    rng = np.random.default_rng([options.seed, rank, 17, state.step])
    total = options.minutes * 60
    if rank == 0:
        used = f"{state.elapsed / 60:.1f} of {options.minutes} minutes used"
        print(
            f"pretraining on {options.device}, {state.model.dtype}, from step {state.step}, {used}"
        )
    pool = Pool(options)
    saved = state.elapsed
    debt = 0.0
    everything = (MODEL["vision_cfg"]["image_size"] // options.patch_size) ** 2
    bar = tqdm(total=round(total), initial=round(state.elapsed), unit="s", disable=rank != 0)
    try:
        pool.order(min(4096, options.pool))
        while pool.drawn < min(1500, options.pool // 2):
            pool.collect(block=True)
        while state.elapsed < total:
            began = time.perf_counter()
            kept = everything if state.progress > 0.95 else options.keep
            batch = make_batch(pool, tokenizer, options, rng, kept, options.device)
            parts = state.learn(batch, world)
            debt += len(batch["images"]) / options.replays
            pool.order(int(debt))
            debt -= int(debt) // 8 * 8
            pool.collect()
            state.elapsed += time.perf_counter() - began
            if world > 1:
                state.agree_on_time()
            if rank:
                continue
            bar.update(round(state.elapsed) - bar.n)
            if state.step % 20 == 0:
                row = state.log(parts, pool.drawn)
                bar.set_postfix(loss=row["loss"], rate=f"{state.seen / state.elapsed:.0f}/s")
            if state.elapsed - saved > options.save_every * 60 or state.elapsed >= total:
                state.save()
                saved = state.elapsed
    finally:
        bar.close()
        pool.close()
    return state.out / "model"
