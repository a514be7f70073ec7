"""The pool: pictures drawn by worker processes, kept on disk, replayed a few times by the trainer.

So the renderer is never the brake. Workers start by `spawn`: `draw_some` must stay at the top level.
"""

import multiprocessing as mp
import os
import tempfile
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from .. import factory
from ..products import PRODUCTS
from .options import HARD_THINGS, REGIONS, Pretraining

AT_ONCE = 8  # pictures that a worker draws for one order


def draw_some(options: Pretraining, seed: list[int]) -> list[tuple]:
    """Pictures of any products: (pixels, how much of each patch a region covers, facts, phrases)."""
    rng = np.random.default_rng(seed)
    everyone = list(PRODUCTS)
    hard = [each in HARD_THINGS for each in factory.THINGS]
    often = np.where(hard, options.hard_things, 1.0)
    drawn: list[tuple] = []
    for _ in range(AT_ONCE):
        name = everyone[rng.integers(len(everyone))]
        unseen = PRODUCTS[name].split in ("val", "test")
        bare = unseen and not options.test_things
        count = 0 if bare else int(rng.choice(4, p=(0.2, 0.3, 0.3, 0.2)))
        things = rng.choice(list(factory.THINGS), count, p=often / often.sum()).tolist()
        damaged = not unseen and rng.random() < options.damage_share
        kind = str(rng.choice(factory.LOCAL_DEFECTS)) if damaged else None
        try:
            number = int(rng.integers(2**31))
            picture = factory.draw(
                name, number, 128, kind, things=things, split="pretrain", regions=not damaged
            )
        except ValueError:  # this defect can't be seen on this part: take another picture
            continue
        cover = np.zeros((REGIONS, 256), np.uint8)
        for i, (_, mask) in enumerate(picture.regions):
            cover[i] = (mask.reshape(16, 8, 16, 8).sum((1, 3)) * 3.98).astype(np.uint8).ravel()
        phrases = [phrase for phrase, _ in picture.regions]
        drawn.append((picture.image, cover, picture.facts, phrases))
    return drawn


class Pool:
    """What has been drawn so far: pixels in memory-mapped files, facts and phrases in lists."""

    def __init__(self, options: Pretraining):
        self.options = options
        self.size = options.pool
        self.images = _on_disk(self.size, 128, 128, 3)
        self.cover = _on_disk(self.size, REGIONS, 256)
        self.facts = [None] * self.size
        self.phrases = [None] * self.size
        self.by_class: dict[str, set[int]] = {name: set() for name in PRODUCTS}
        self.drawn = 0
        # for the workers: numpy's own threads only spin there
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        context = mp.get_context("spawn")
        self.workers = ProcessPoolExecutor(options.workers, context, os.nice, (1,))
        self.coming: deque = deque()  # what the workers were asked for
        self.ordered = 0
        # a run that goes on must not draw the pictures of its first part again
        self.began = time.time_ns() % 2**32

    def order(self, pictures: int) -> None:
        for _ in range(pictures // AT_ONCE):
            seed = [self.options.seed, self.began, self.ordered]
            self.coming.append(self.workers.submit(draw_some, self.options, seed))
            self.ordered += 1

    def collect(self, block: bool = False) -> None:
        """Put what was drawn in place of the oldest pictures; block: wait for the next."""
        while self.coming and (block or self.coming[0].done()):
            for image, cover, facts, phrases in self.coming.popleft().result():
                slot = self.drawn % self.size
                if self.facts[slot]:
                    self.by_class[self.facts[slot]["product"]].discard(slot)
                self.images[slot] = image
                self.cover[slot] = cover
                self.facts[slot] = facts
                self.phrases[slot] = phrases
                self.by_class[facts["product"]].add(slot)
                self.drawn += 1
            block = False

    def sample(self, batch: int, rng) -> list[int]:
        """Slots of a hard batch: sixteen classes, so that only details tell most pairs apart."""
        full = [n for n, slots in self.by_class.items() if len(slots) >= 4]
        chosen = rng.choice(len(full), min(16, len(full)), replace=False)
        slots = []
        for i in chosen:
            mine = list(self.by_class[full[i]])
            picked = rng.choice(len(mine), min(batch // len(chosen), len(mine)), replace=False)
            slots += [mine[j] for j in picked]
        return slots

    def close(self) -> None:
        self.workers.shutdown(cancel_futures=True)


def _on_disk(*shape: int) -> np.ndarray:
    """Bytes in a file that goes with its process."""
    return np.memmap(tempfile.TemporaryFile(), np.uint8, "w+", shape=shape)
