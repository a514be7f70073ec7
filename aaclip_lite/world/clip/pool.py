"""The pool: pictures drawn by worker processes into files, replayed a few times by the trainer.

So the renderer is never the brake. Workers start by `spawn`: `_worker` must stay at the top level.
"""

import multiprocessing as mp
import os
import queue
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from .. import factory
from ..products import PRODUCTS
from .options import HARD_THINGS, REGIONS, Pretraining


def _fresh_rng(seed: int, first: int) -> np.random.Generator:
    """A run that goes on must not draw the pictures of its first part again: the time is in it."""
    return np.random.default_rng([seed, first, time.time_ns() % 2**32])


def _worker(folder, pool, first, step, options, ready, tokens):
    """Draw for ever, eight pictures a token; facts go through the queue, pixels into the pool file."""
    torch.set_num_threads(1)
    os.nice(1)
    images = np.memmap(Path(folder) / "images.u8", np.uint8, "r+", shape=(pool, 128, 128, 3))
    cover = np.memmap(Path(folder) / "cover.u8", np.uint8, "r+", shape=(pool, REGIONS, 256))
    everyone = list(PRODUCTS)
    rng = _fresh_rng(options.seed, first)
    often = np.array(
        [options.hard_things if each in HARD_THINGS else 1.0 for each in factory.THINGS]
    )
    number = first
    while True:
        tokens.acquire()
        batch = []
        for _ in range(8):
            slot = number % pool
            name = everyone[rng.integers(len(everyone))]
            unseen = PRODUCTS[name].split in ("val", "test")
            bare = unseen and not options.test_things
            count = 0 if bare else int(rng.choice(4, p=(0.2, 0.3, 0.3, 0.2)))
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
        self.facts = [None] * self.size
        self.phrases = [None] * self.size
        self.by_class: dict[str, set[int]] = {name: set() for name in PRODUCTS}
        # for the workers: numpy's own threads only spin there
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        context = mp.get_context("spawn")
        self.ready = context.Queue()
        self.tokens = context.Semaphore(0)
        self.drawn = 0
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
