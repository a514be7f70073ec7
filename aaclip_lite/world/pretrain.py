"""How the embedded CLIP was made: an ordinary open_clip model, trained from scratch on the factory.

Worker processes draw pictures into a pool on disk; every picture is replayed a few times, mirrored
and with a caption drawn anew, so that the renderer is never the brake. Five losses:

  caption  picture and caption find each other in a batch of few classes (hard negatives), and the
  picture refuses
           its own caption with the place of a thing changed
  phrase   the mean patch under a neutral thing ("a red dot") finds its phrase among all phrases of
  the batch patch    every patch picks one of its own picture's phrases, at every level: patches
  learn WHAT is WHERE where    the other direction: every phrase picks its patches among all of its
  picture, at every level pixels   patches keep enough detail to redraw themselves

No picture ever shows damage to a test or validation product, and damage words appear in a share of
`damage_share` of the captions of training products. Runs are resumable and log JSON lines.

    python -m aaclip_lite pretrain --minutes 60 --out runs/pretrain
    python -m aaclip_lite pretrain --warm-start data/lite_clip --minutes 300   # goes on from its
    249 minutes
"""

from __future__ import annotations

import json
import math
import multiprocessing as mp
import os
import queue
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import prompts
from ..load import blank_clip
from . import factory
from .fields import PALETTE
from .products import PRODUCTS

REGIONS = 5  # at most three things, the surface, the ground
# relief, or a trace
HARD_THINGS = (
    "shallow dimple",
    "raised ridge",
    "water drop",
    "{} hair",
    "{} sand grains",
)
# from leg to leg
CHANGING = (
    "minutes",
    "lr",
    "batch",
    "replays",
    "hard_things",
    "where_weight",
    "wrong_places",
)
COUNTS = {"step": 0, "seen": 0, "elapsed": 0.0, "legs": []}  # of a run from nothing
DAMAGE_WORDS = ("damaged", "broken", "defective")
MODEL = {
    "embed_dim": 192,
    "vision_cfg": {"image_size": 128, "patch_size": 8, "width": 192, "layers": 8, "head_width": 64},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 192, "heads": 3, "layers": 4},
}


def levels_of(layers: int) -> tuple[int, ...]:
    """Blocks after which patches are compared with phrases: each quarter of them."""
    return tuple(layers * k // 4 for k in (1, 2, 3, 4))


LEVELS = levels_of(MODEL["vision_cfg"]["layers"])
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Pretraining:
    """Options of a pretraining run; those that made the shipped model stand in its run.json."""

    out: str = "runs/pretrain"
    warm_start: str = ""  # folder of a model to go on from, its minutes counted; "": from nothing
    minutes: float = 60.0  # over all times that the run was taken up
    device: str = "cpu"
    workers: int = 1  # drawing processes
    batch: int = 128  # for each process
    lr: float = 1.2e-3
    weight_decay: float = 0.05
    warmup: int = 300  # steps
    # of 256 patches; those under neutral things always; all of them in the last twentieth
    keep: int = 112
    pool: int = 40_000  # pictures kept on disk, about 50 KB each
    replays: int = 6  # how often a picture is used before a new one replaces it
    phrase_weight: float = 0.7
    patch_weight: float = 1.0
    where_weight: float = 0.5
    pixel_weight: float = 0.3
    caption_things: bool = True  # captions name the neutral things and their places
    # a picture must also refuse its caption with the place of a thing changed
    wrong_places: bool = True
    # how often a thing of HARD_THINGS is drawn for each time another one is
    hard_things: float = 3.0
    damage_share: float = 0.003
    # neutral things also lie on validation and test products (never damage)
    test_things: bool = True
    save_every: float = 5.0  # minutes
    seed: int = 0
    layers: int = MODEL["vision_cfg"]["layers"]  # blocks of the picture's side
    patch_size: int = MODEL["vision_cfg"]["patch_size"]  # pixels, 8 or 16

    def model(self) -> dict:
        """The configuration of the model that these options train, as open_clip takes it."""
        shape = {"layers": self.layers, "patch_size": self.patch_size}
        return MODEL | {"vision_cfg": MODEL["vision_cfg"] | shape}


# -- the pool: pictures drawn by workers, replayed by the trainer ----------------------------------


def _worker(folder, pool, first, step, options, ready, tokens):
    """Draw for ever, eight pictures a token; facts go through the queue, pixels into the pool file."""
    torch.set_num_threads(1)
    os.nice(1)
    images = np.memmap(Path(folder) / "images.u8", np.uint8, "r+", shape=(pool, 128, 128, 3))
    cover = np.memmap(Path(folder) / "cover.u8", np.uint8, "r+", shape=(pool, REGIONS, 256))
    everyone = list(PRODUCTS)
    rng = np.random.default_rng([options.seed, first, time.time_ns() % 2**32])
    often = np.array(
        [options.hard_things if each in HARD_THINGS else 1.0 for each in factory.THINGS]
    )
    number = first
    while True:
        tokens.acquire()
        batch = []
        for _ in range(8):
            slot, name = number % pool, everyone[rng.integers(len(everyone))]
            unseen = PRODUCTS[name].split in ("val", "test")
            count = (
                int(rng.choice(4, p=(0.2, 0.3, 0.3, 0.2)))
                if options.test_things or not unseen
                else 0
            )
            things = rng.choice(list(factory.THINGS), count, p=often / often.sum()).tolist()
            damaged = not unseen and rng.random() < options.damage_share
            kind = str(rng.choice(factory.LOCAL_DEFECTS)) if damaged else None
            try:
                seed = int(rng.integers(2**31))
                picture = factory.draw(
                    name, seed, 128, kind, things=things, split="pretrain", regions=not damaged
                )
            except ValueError:  # this defect can't be seen on this part: take another picture
                continue
            images[slot] = picture.image
            cover[slot] = 0
            for i, (_, mask) in enumerate(picture.regions):
                cover[slot, i] = (
                    (mask.reshape(16, 8, 16, 8).sum((1, 3)) * 3.98).astype(np.uint8).ravel()
                )
            batch.append((slot, picture.facts, [phrase for phrase, _ in picture.regions]))
            number += step
        ready.put(batch)


class Pool:
    """What has been drawn so far: pixels in memory-mapped files, facts and phrases in lists."""

    def __init__(self, options: Pretraining):
        self.folder = tempfile.mkdtemp(prefix="aaclip-pool-")
        self.size = options.pool
        for name, shape in (
            ("images", (self.size, 128, 128, 3)),
            ("cover", (self.size, REGIONS, 256)),
        ):
            array = np.memmap(Path(self.folder) / f"{name}.u8", np.uint8, "w+", shape=shape)
            setattr(self, name, array)
        self.facts, self.phrases = [None] * self.size, [None] * self.size
        self.by_class: dict[str, set[int]] = {name: set() for name in PRODUCTS}
        # for the workers: numpy's own threads only spin there
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        context = mp.get_context("spawn")
        self.ready, self.tokens, self.drawn = context.Queue(), context.Semaphore(0), 0
        self.workers = [
            context.Process(
                target=_worker,
                args=(self.folder, self.size, i, options.workers, options, self.ready, self.tokens),
                daemon=True,
            )
            for i in range(options.workers)
        ]
        for worker in self.workers:
            worker.start()

    def order(self, pictures: int) -> None:
        for _ in range(pictures // 8):
            self.tokens.release()

    def collect(self, block: bool = False) -> None:
        while block or not self.ready.empty():
            try:
                batch = self.ready.get(timeout=2)
            except queue.Empty:
                if not all(worker.is_alive() for worker in self.workers):
                    raise RuntimeError(
                        "a drawing process has stopped; its own message stands above"
                    ) from None
                continue
            for slot, facts, phrases in batch:
                if self.facts[slot]:
                    self.by_class[self.facts[slot]["product"]].discard(slot)
                self.facts[slot], self.phrases[slot] = facts, phrases
                self.by_class[facts["product"]].add(slot)
            self.drawn += len(batch)
            block = False

    def sample(self, batch: int, rng) -> list[int]:
        """Slots of a hard batch: sixteen classes, so that only details tell most pairs apart."""
        full = [n for n, slots in self.by_class.items() if len(slots) >= 4]
        chosen = rng.choice(len(full), min(16, len(full)), replace=False)
        slots = []
        for i in chosen:
            mine = list(self.by_class[full[i]])
            slots += [
                mine[j]
                for j in rng.choice(len(mine), min(batch // len(chosen), len(mine)), replace=False)
            ]
        return slots

    def close(self) -> None:
        for worker in self.workers:
            worker.terminate()
        shutil.rmtree(self.folder, ignore_errors=True)


# -- words -----------------------------------------------------------------------------------------


def vocabulary(tokenizer) -> list[int]:
    """Ids of all tokens that captions, phrases and prompts of this project can contain, in order."""
    nouns = sorted({*PRODUCTS, *(item.spoken for item in PRODUCTS.values()), "object"})
    wordings = [
        (s, t, n) for s in prompts.STATES for t in prompts.TEMPLATES for n in ("plain", "real")
    ]
    texts = [
        text
        for noun in nouns
        for way in wordings
        for group in prompts.sentences(noun, *way)
        for text in group
    ]
    texts += [
        phrase.format(colour) for phrase in factory.THINGS for colour in factory.THING_COLOURS
    ]
    texts += [
        f"{item.spoken} {item.material}, {name.replace('_', ' ')}"
        for name, item in PRODUCTS.items()
    ]
    texts += [
        *DAMAGE_WORDS,
        *PALETTE,
        "filling the frame, upright, tilted, straight",
        "the surface of a",
    ]
    texts += ["a picture of an image of made of on a background ground table with and at in the"]
    texts += ["top left, top right, bottom left, bottom right, top, bottom, left, right, middle"]
    return sorted({0, *tokenizer(texts).flatten().tolist()})


# -- the model in training -------------------------------------------------------------------------


def _norm(x, layer):
    return F.layer_norm(x, (x.shape[-1],), layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _linear(x, weight, bias):
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))


def _block(x: Tensor, block, mask: Tensor | None = None) -> Tensor:
    """One open_clip block in the precision of x. Written out because on a CPU torch's fused
    attention is slow backwards and autocast copies far more than it computes: 87 pictures per CPU
    second against 31.
    """
    b, n, width = x.shape
    qkv = _linear(_norm(x, block.ln_1), block.attn.in_proj_weight, block.attn.in_proj_bias)
    q, k, v = qkv.view(b, n, 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    attention = (scores if mask is None else scores + mask).softmax(-1)
    x = x + _linear(
        (attention @ v).transpose(1, 2).reshape(b, n, width),
        block.attn.out_proj.weight,
        block.attn.out_proj.bias,
    )
    hidden = F.gelu(_linear(_norm(x, block.ln_2), block.mlp.c_fc.weight, block.mlp.c_fc.bias))
    return x + _linear(hidden, block.mlp.c_proj.weight, block.mlp.c_proj.bias)


class Learner(nn.Module):
    """open_clip's CLIP with a short word table, patch dropout by choice, and the heads of the side
    losses.
    """

    def __init__(self, ids: list[int], dtype: torch.dtype = torch.float32, config: dict = MODEL):
        super().__init__()
        self.dtype = dtype
        self.config = config
        self.levels = levels_of(config["vision_cfg"]["layers"])
        self.clip = blank_clip(config)[0]
        self.register_buffer("ids", torch.tensor(ids))
        rows = torch.full((config["text_cfg"]["vocab_size"],), -1, dtype=torch.long)
        rows[self.ids] = torch.arange(len(ids))
        self.register_buffer("row_of", rows, persistent=False)
        self.clip.token_embedding = nn.Embedding(len(ids), config["text_cfg"]["width"])
        nn.init.normal_(self.clip.token_embedding.weight, std=0.02)
        self.region_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.redraw = nn.Linear(
            config["vision_cfg"]["width"], 3 * config["vision_cfg"]["patch_size"] ** 2
        )

    def words(self, tokens: Tensor) -> Tensor:
        """tokens (B, L) -> unit sentence features (B, d)."""
        clip, length = self.clip, int(tokens.argmax(1).max()) + 1
        rows = self.row_of[tokens[:, :length]]
        if (rows < 0).any():
            raise ValueError(
                f"token {tokens[:, :length][rows < 0][0].item()} is not in the embedded vocabulary"
            )
        x = (clip.token_embedding(rows) + clip.positional_embedding[:length]).to(self.dtype)
        mask = clip.attn_mask[:length, :length].to(self.dtype)
        for block in clip.transformer.resblocks:
            x = _block(x, block, mask)
        x = _norm(x[torch.arange(len(x)), tokens.argmax(1)], clip.ln_final)
        return F.normalize((x @ clip.text_projection.to(x.dtype)).float(), dim=-1)

    def patches(self, images: Tensor, kept: Tensor):
        """images (B, 3, 128, 128) -> class feature (B, d), level features 4 x (B, K, d), last
        tokens (B, K, D).
        """
        v = self.clip.visual
        x = F.conv2d(images.to(self.dtype), v.conv1.weight.to(self.dtype), stride=v.conv1.stride)
        x = x.flatten(2).transpose(1, 2) + v.positional_embedding[1:].to(self.dtype)
        x = torch.gather(x, 1, kept[..., None].expand(-1, -1, x.shape[-1]))
        first = (v.class_embedding + v.positional_embedding[0]).to(self.dtype).expand(len(x), 1, -1)
        x = _norm(torch.cat([first, x], 1), v.ln_pre)
        levels = []
        for i, block in enumerate(v.transformer.resblocks, 1):
            x = _block(x, block)
            if i in self.levels:
                levels.append(_norm(x, v.ln_post) @ v.proj.to(x.dtype))
        return levels[-1][:, 0], [level[:, 1:] for level in levels], x[:, 1:]


def losses(model: Learner, batch: dict, options: Pretraining) -> dict[str, Tensor]:
    """The four losses of one batch."""
    cls, levels, last = model.patches(batch["images"], batch["kept"])
    captions, phrases = model.words(batch["captions"]), model.words(batch["phrases"])
    cls = F.normalize(cls.float(), dim=-1)
    sharpness = model.clip.logit_scale.exp().clamp(max=100)
    logits = sharpness * cls @ captions.T
    target = torch.arange(len(cls), device=cls.device)
    wrong = torch.full_like(logits[:, :1], -1e4)
    if len(batch["misplaced"]):
        scores = (cls[batch["misplaced_of"]] * model.words(batch["misplaced"])).sum(1, keepdim=True)
        wrong = wrong.index_copy(0, batch["misplaced_of"], sharpness * scores)
    caption = (
        F.cross_entropy(torch.cat([logits, wrong], 1), target) + F.cross_entropy(logits.T, target)
    ) / 2
    # every patch picks one of its own picture's phrases; regions weigh the same whatever their size
    own = phrases[batch["phrase_of"]]  # (B, R, d)
    absent = batch["phrase_of"] < 0
    owner = F.one_hot(batch["owner"], REGIONS).float()  # (B, K, R)
    share = owner / owner.sum(1, keepdim=True).clamp(min=1)
    weight = share.sum(2) / share.sum((1, 2)).clamp(min=1e-6)[:, None]
    present = (owner.sum(1) > 0) & ~absent
    # subtracted, so that a perfect answer costs nothing
    spread = torch.xlogy(share, share).sum(1)[present]
    patch = where = 0.0
    scale = model.region_scale.exp().clamp(max=50)
    for level in levels:
        level = F.normalize(level.float(), dim=-1)
        scores = (scale * level @ own.transpose(1, 2)).masked_fill(absent[:, None], -1e4)
        patch = patch + (
            F.cross_entropy(scores.flatten(0, 1), batch["owner"].flatten(), reduction="none").view(
                weight.shape
            )
            * weight
        ).sum(1).mean() / len(levels)
        where = where + (spread - (share * scores.log_softmax(1)).sum(1)[present]).mean() / len(
            levels
        )
    # the mean patch of a region against every phrase of the batch
    mean = F.normalize(
        share.transpose(1, 2) @ F.normalize(levels[-1].float(), dim=-1), dim=-1, eps=1e-6
    )
    phrase = F.cross_entropy(scale * mean[present] @ phrases.T, batch["phrase_of"][present])
    pixels = F.mse_loss(model.redraw(last.float()), batch["pixels"])
    total = caption + options.phrase_weight * phrase + options.patch_weight * patch
    total = total + options.where_weight * where + options.pixel_weight * pixels
    return {
        "loss": total,
        "caption": caption,
        "phrase": phrase,
        "patch": patch,
        "where": where,
        "pixels": pixels,
    }


def misplaced(facts: dict, rng) -> dict:
    """The same facts with one of the things somewhere else."""
    which = int(rng.integers(len(facts["things"])))
    phrase, where = facts["things"][which]
    other = str(rng.choice([place for place in factory.PLACES if place != where]))
    return facts | {
        "things": [
            (phrase, other) if i == which else each for i, each in enumerate(facts["things"])
        ]
    }


def make_batch(pool: Pool, tokenizer, options: Pretraining, rng, keep: int, device: str) -> dict:
    """Pictures, kept patches, captions drawn anew and phrases; pictures are mirrored at random,
    with their words.
    """
    slots = pool.sample(options.batch, rng)
    images, cover, patch = pool.images[slots], pool.cover[slots], options.patch_size
    blocks = patch // 8  # the pool counts in squares of 8 pixels
    cover = cover.reshape(-1, REGIONS, 16 // blocks, blocks, 16 // blocks, blocks).mean((3, 5))
    captions, wrong, phrases, phrase_of = [], [], {}, np.full((len(slots), REGIONS), -1)
    mirrored = rng.random(len(slots)) < 0.5
    images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    cover = np.where(mirrored[:, None, None, None], cover[..., ::-1], cover).reshape(
        len(slots), REGIONS, -1
    )
    for b, slot in enumerate(slots):
        facts = pool.facts[slot]
        if not options.caption_things:
            facts = facts | {"things": []}
        word = str(rng.choice(DAMAGE_WORDS)) if facts["damaged"] else None
        wording = int(rng.integers(2**32))
        captions.append(
            factory.caption(facts, np.random.default_rng(wording), bool(mirrored[b]), word)
        )
        told = misplaced(facts, rng) if options.wrong_places and facts["things"] else facts
        wrong.append(factory.caption(told, np.random.default_rng(wording), bool(mirrored[b]), word))
        for r, phrase in enumerate(pool.phrases[slot]):
            phrase_of[b, r] = phrases.setdefault(phrase, len(phrases))
    share = cover.astype(np.float32) / 255
    things = share.copy()
    # surface and ground come last; a thing owns a patch from a fifth of its area on
    for b, slot in enumerate(slots):
        count = len(pool.phrases[slot])
        named = sum(
            not p.startswith("the surface") and not p.endswith("background")
            for p in pool.phrases[slot]
        )
        things[b, named:count] *= 0.22
    owner = things.argmax(1)
    owner[(share.sum(1) == 0)] = 0
    is_thing = (things.max(1) > 0.22) & (share.max(1) > 0)
    kept = np.sort(np.argsort(-(rng.random(owner.shape) + is_thing), 1)[:, :keep], 1)
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    kept = torch.from_numpy(kept).to(device)
    pixels = F.unfold(x, patch, stride=patch).transpose(1, 2)
    pixels = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.std(-1, keepdim=True) + 0.03)
    x = (x - torch.tensor(MEAN, device=device).view(3, 1, 1)) / torch.tensor(
        STD, device=device
    ).view(3, 1, 1)
    captions, wrong = tokenizer(captions), tokenizer(wrong)
    # not those where the place is left out, or cut off at the end
    other = (captions != wrong).any(1).nonzero()[:, 0]
    return {
        "images": x,
        "kept": kept,
        "captions": captions.to(device),
        "misplaced": wrong[other].to(device),
        "misplaced_of": other.to(device),
        "phrases": tokenizer(list(phrases)).to(device),
        "phrase_of": torch.from_numpy(phrase_of).to(device),
        "owner": torch.gather(torch.from_numpy(owner).to(device), 1, kept),
        "pixels": torch.gather(pixels, 1, kept[..., None].expand(-1, -1, pixels.shape[-1])),
    }


def export(model: Learner, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16, only the word rows that occur) in place of
    older ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        k: v.detach().to(torch.float16).cpu().contiguous()
        for k, v in model.clip.state_dict().items()
        if k != "attn_mask"
    }
    state["token_embedding.rows"] = state.pop("token_embedding.weight")
    state["token_embedding.ids"] = model.ids.to(torch.int32).cpu()
    save_file(state, folder / ".model.tmp")
    os.chmod(folder / ".model.tmp", 0o644)
    os.replace(folder / ".model.tmp", folder / "model.safetensors")
    (folder / ".config.tmp").write_text(json.dumps(model.config, indent=2) + "\n")
    os.replace(folder / ".config.tmp", folder / "config.json")


def native_bf16(device: str) -> bool:
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Run:
    """All that a run carries from step to step, and how it is put down and taken up again."""

    def __init__(self, options: Pretraining, ids: list[int]):
        self.options, self.out = options, Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        saved = None
        if (self.out / "resume.pt").is_file():
            saved = torch.load(
                self.out / "resume.pt", map_location=options.device, weights_only=True
            )
            ids = saved["model"]["ids"].tolist()
        dtype = torch.bfloat16 if native_bf16(options.device) else torch.float32
        self.model = Learner(ids, dtype, options.model())
        told = self._start(Path(options.warm_start)) if options.warm_start and not saved else {}
        self.model.to(options.device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        wide = [p for p in self.model.parameters() if p.ndim >= 2]
        narrow = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": wide, "weight_decay": options.weight_decay},
            {"params": narrow, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.98))
        self.step, self.seen, self.elapsed, self.legs = (told.get(n, v) for n, v in COUNTS.items())
        self.first = self.step, self.elapsed  # where this schedule began
        if saved:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.average, self.step, self.seen = saved["average"], saved["step"], saved["seen"]
            self.elapsed, self.first = saved["elapsed"], saved["first"]
            self.legs = json.loads((self.out / "model" / "run.json").read_text())["legs"]
        self.legs = [
            *self.legs,
            {"step": self.step} | {name: getattr(options, name) for name in CHANGING},
        ]

    def _start(self, folder: Path) -> dict:
        """Take the weights of a finished model; what its run.json tells is counted on. Its
        optimiser's state is gone, so the schedule begins anew. Words that the model does not know
        yet keep their random rows.
        """
        if missing := [
            name for name in ("model.safetensors", "run.json") if not (folder / name).is_file()
        ]:
            absent = " and no ".join(missing)
            raise FileNotFoundError(
                f"warm_start={folder}: no {absent} there; a run leaves both in OUT/model"
            )
        state, told = (
            load_file(folder / "model.safetensors"),
            json.loads((folder / "run.json").read_text()),
        )
        rows, known = state.pop("token_embedding.rows"), state.pop("token_embedding.ids").tolist()
        words, row_of = self.model.clip.token_embedding.weight.detach().clone(), self.model.row_of
        for row, token in zip(rows, known, strict=True):
            if row_of[token] >= 0:
                words[row_of[token]] = row.float()
        state["token_embedding.weight"] = words
        self.model.clip.load_state_dict(state)  # cast to fp32 on the way
        # 20 where it was not kept yet: of seven scales, the one of least patch loss on the model of
        # 3,398 steps
        self.model.region_scale.data.fill_(math.log(told.get("region_scale", 20.0)))
        if (folder / "log.jsonl").is_file():
            shutil.copy(folder / "log.jsonl", self.out / "log.jsonl")
        return told

    @property
    def progress(self) -> float:
        return (self.elapsed - self.first[1]) / (self.options.minutes * 60 - self.first[1])

    def learn(self, batch: dict, world: int) -> dict[str, Tensor]:
        """One optimiser step; the averaged weights follow the trained ones."""
        wave = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(self.progress, 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = (
                self.options.lr
                * min(1, (self.step - self.first[0] + 1) / self.options.warmup)
                * wave
            )
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
                self.average[k].lerp_(v, 1 - decay) if v.is_floating_point() else self.average[
                    k
                ].copy_(v)
        self.step, self.seen = self.step + 1, self.seen + world * len(batch["images"])
        return parts

    def save(self) -> None:
        """The resume file, and the averaged model as it would be shipped now."""
        counts = {"step": self.step, "seen": self.seen, "elapsed": self.elapsed}
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
        }
        torch.save(state | counts | {"first": self.first}, self.out / ".resume.tmp")
        os.replace(self.out / ".resume.tmp", self.out / "resume.pt")
        shown = Learner(self.model.ids.tolist(), config=self.model.config)
        shown.load_state_dict(self.average)
        export(shown, self.out / "model")
        counts["region_scale"] = round(self.model.region_scale.exp().item(), 3)
        # one for each time the run was taken up
        facts = asdict(self.options) | counts | {"legs": self.legs}
        (self.out / "model" / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
        shutil.copytree(
            self.out / "model", self.out / "checkpoints" / str(self.step), dirs_exist_ok=True
        )


def run(options: Pretraining) -> Path:
    """Train until `minutes` of training time are used up (over all resumed runs); returns the model
    folder.

    Several processes, each with a thread and a pool of its own: `torchrun --nproc-per-node 2 -m
    aaclip_lite pretrain`.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if options.device.startswith("cuda") else "gloo")
    tokenizer = blank_clip(MODEL)[1]
    state = Run(options, vocabulary(tokenizer))
    if state.elapsed >= options.minutes * 60:
        if (state.out / "resume.pt").is_file():
            return state.out / "model"  # finished earlier
        had = state.elapsed / 60
        raise ValueError(
            f"minutes={options.minutes:g}: the model has had {had:.1f} already; ask for more"
        )
    rng = np.random.default_rng([options.seed, rank, 17, state.step])
    total = options.minutes * 60
    if rank == 0:
        used = f"{state.elapsed / 60:.1f} of {options.minutes} minutes used"
        print(
            f"pretraining on {options.device}, {state.model.dtype}, from step {state.step}, {used}"
        )
    pool, saved, debt = Pool(options), state.elapsed, 0.0
    everything = (MODEL["vision_cfg"]["image_size"] // options.patch_size) ** 2
    bar = tqdm(total=round(total), initial=round(state.elapsed), unit="s", disable=rank != 0)
    try:
        pool.order(min(4096, options.pool))
        while pool.drawn < min(1500, options.pool // 2):
            pool.collect(block=True)
        while state.elapsed < total:
            began = time.perf_counter()
            keep = everything if state.progress > 0.95 else options.keep
            batch = make_batch(pool, tokenizer, options, rng, keep, options.device)
            parts = state.learn(batch, world)
            debt += len(batch["images"]) / options.replays
            pool.order(int(debt))
            debt -= int(debt) // 8 * 8
            pool.collect()
            state.elapsed += time.perf_counter() - began
            if world > 1:  # all processes must see the same clock, or one would stop alone
                clock = torch.tensor(state.elapsed, device=options.device)
                dist.broadcast(clock, 0)
                state.elapsed = clock.item()
            if rank:
                continue
            bar.update(round(state.elapsed) - bar.n)
            if state.step % 20 == 0:
                row = {
                    "step": state.step,
                    "seconds": round(state.elapsed, 1),
                    "seen": state.seen,
                    "drawn": pool.drawn,
                }
                row |= {k: round(float(v), 4) for k, v in parts.items()}
                with open(state.out / "log.jsonl", "a") as log:
                    log.write(json.dumps(row) + "\n")
                bar.set_postfix(loss=row["loss"], rate=f"{state.seen / state.elapsed:.0f}/s")
            if state.elapsed - saved > options.save_every * 60 or state.elapsed >= total:
                state.save()
                saved = state.elapsed
    finally:
        bar.close()
        pool.close()
    return state.out / "model"
