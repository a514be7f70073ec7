"""A batch: pictures of few classes, kept patches, captions drawn anew, phrases and who owns a patch."""

import numpy as np
import torch
import torch.nn.functional as F

from ...clip import MEAN_STD
from .. import factory
from .options import REGIONS, Pretraining
from .pool import Pool
from .words import DAMAGE_WORDS, misplaced


def make_batch(pool: Pool, tokenizer, options: Pretraining, rng, keep: int, device: str) -> dict:
    """Pictures, kept patches, captions drawn anew and phrases; pictures are mirrored at random,
    with their words.
    """
    slots = pool.sample(options.batch, rng)
    images = pool.images[slots]
    cover = pool.cover[slots]
    patch = options.patch_size
    blocks = patch // 8  # the pool counts in squares of 8 pixels
    cover = cover.reshape(-1, REGIONS, 16 // blocks, blocks, 16 // blocks, blocks).mean((3, 5))
    mirrored = rng.random(len(slots)) < 0.5
    images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    cover = np.where(mirrored[:, None, None, None], cover[..., ::-1], cover)
    cover = cover.reshape(len(slots), REGIONS, -1)
    captions, wrong, phrases, phrase_of = _say(pool, slots, mirrored, options, rng)
    owner, is_thing = _owners(pool, slots, cover.astype(np.float32) / 255)
    kept = np.sort(np.argsort(-(rng.random(owner.shape) + is_thing), 1)[:, :keep], 1)
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 255
    kept = torch.from_numpy(kept).to(device)
    pixels = F.unfold(x, patch, stride=patch).transpose(1, 2)
    pixels = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.std(-1, keepdim=True) + 0.03)
    mean, std = (x.new_tensor(values).view(3, 1, 1) for values in MEAN_STD["clip"])
    x = (x - mean) / std
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


def _say(pool: Pool, slots: list[int], mirrored: np.ndarray, options: Pretraining, rng) -> tuple:
    """Captions, the same with the place of a thing changed, {phrase: its number}, and the numbers
    of each picture's phrases (B, R), -1 where it has none.
    """
    captions = []
    wrong = []
    phrases = {}
    phrase_of = np.full((len(slots), REGIONS), -1)
    for b, slot in enumerate(slots):
        facts = pool.facts[slot]
        if not options.caption_things:
            facts = facts | {"things": []}
        word = str(rng.choice(DAMAGE_WORDS)) if facts["damaged"] else None
        wording = int(rng.integers(2**32))
        told = misplaced(facts, rng) if options.wrong_places and facts["things"] else facts
        for said, into in ((facts, captions), (told, wrong)):
            same = np.random.default_rng(wording)
            into.append(factory.caption(said, same, bool(mirrored[b]), word))
        for r, phrase in enumerate(pool.phrases[slot]):
            phrase_of[b, r] = phrases.setdefault(phrase, len(phrases))
    return captions, wrong, phrases, phrase_of


def _owners(pool: Pool, slots: list[int], share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """share (B, R, N) of each patch under each region -> the region that owns a patch (B, N), and
    whether that is a thing.
    """
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
    return owner, (things.max(1) > 0.22) & (share.max(1) > 0)
