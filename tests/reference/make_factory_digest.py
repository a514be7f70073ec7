"""What some factory pictures look like, small enough to store: the proof that a seed gives the same
picture everywhere.

python -m tests.reference.make_factory_digest        # after raising factory.WORLD or
a plan's world, from the project's folder
"""

import json
from pathlib import Path

import numpy as np

from aaclip_lite.world import factory
from aaclip_lite.world.products import PRODUCTS

FILE = Path(__file__).with_name("factory_digest.json")
# grey levels that one of the 16 x 16 cells of a thumbnail may differ: floating point differs by
# machine
LARGEST = 2
MASK_SHARE = 0.002  # of the picture that a mask's area may differ
DEFECTIVE = [  # product, split, seed, defect, severity
    ("candle", "train", 60, "scratch", 0),
    ("pcb2", "train", 61, "crack", 1),
    ("brick", "train", 62, "hole", 2),
    ("cookie", "train", 63, "stain", 1),
    ("hinge", "val", 64, "dent", 2),
    ("tweed", "val", 65, "cut", 1),
    ("bottle", "test", 66, "colour_spot", 1),
    ("wood", "test", 67, "contamination", 0),
    ("zipper", "test", 68, "thread", 2),
    ("transistor", "test_hard", 69, "missing_part", 1),
    ("cable", "test_hard", 70, "misplaced_part", 1),
    ("screw", "test_hard", 71, "bent", 1),
    ("capsule", "test_hard", 72, "broken_edge", 1),
]


def thumbnail(image: np.ndarray) -> str:
    """image uint8 (S, S, 3) -> 16 x 16 grey levels, row by row, two hexadecimal digits each."""
    cell = image.shape[0] // 16
    return (
        image.reshape(16, cell, 16, cell, 3)
        .mean((1, 3, 4))
        .round()
        .astype(np.uint8)
        .tobytes()
        .hex()
    )


def digest() -> dict:
    """Thumbnails of every product, of one picture a kind of defect, of two other sizes; one caption
    and its phrases.
    """
    found = {"world": factory.WORLD, "pictures": {}, "masks": {}, "words": {}}
    found["worlds"] = {split: plan.world for split, plan in factory.PLANS.items()}
    for name in PRODUCTS:
        found["pictures"][name] = thumbnail(factory.draw(name, 5, split="digest").image)
    for name, split, seed, defect, severity in DEFECTIVE:
        picture = factory.draw(name, seed, 128, defect, severity, split=split)
        found["pictures"][f"{name} {defect}"] = thumbnail(picture.image)
        found["masks"][f"{name} {defect}"] = round(float(picture.mask.mean()), 4)
    for split in ("val", "test"):
        station = factory.PLANS[split].station
        for name in factory.jobs(split):
            picture = factory.draw(name, 5, split=split, station=station)
            found["pictures"][f"{name} at its station"] = thumbnail(picture.image)
    for size in (64, 256):
        found["pictures"][f"leaf {size}"] = thumbnail(factory.draw("leaf", 5, size).image)
    for name in ("egg", "denim", "metal_nut"):
        picture = factory.draw(name, 5, things=3, regions=True, split="digest")
        found["pictures"][f"{name} with things"] = thumbnail(picture.image)
        found["words"][name] = [factory.caption(picture.facts, np.random.default_rng(5))]
        found["words"][name] += [phrase for phrase, _ in picture.regions]
    return found


def differences(found: dict, stored: dict) -> list[str]:
    """What differs by more than the tolerance; empty where both are the same world."""
    if found["world"] != stored["world"]:
        return [f"WORLD is {found['world']}, stored is {stored['world']}: make the digest anew"]
    if found["worlds"] != stored["worlds"]:
        return [f"the sets' worlds are {found['worlds']}, stored are {stored['worlds']}"]
    wrong = [
        f"{kind}: {sorted(found[kind].keys() ^ stored[kind].keys())} only on one side"
        for kind in ("pictures", "masks", "words")
        if found[kind].keys() != stored[kind].keys()
    ]
    for name in found["pictures"].keys() & stored["pictures"].keys():
        now, then = (np.array([*bytes.fromhex(side["pictures"][name])]) for side in (found, stored))
        apart = np.abs(now - then).max()
        wrong += [f"picture {name}: differs by {apart} grey levels"] if apart > LARGEST else []
    for name in found["masks"].keys() & stored["masks"].keys():
        apart = abs(found["masks"][name] - stored["masks"][name])
        wrong += [f"mask {name}: area differs by {apart:.4f}"] if apart > MASK_SHARE else []
    wrong += [
        f"words {name}: {words} were {stored['words'].get(name)}"
        for name, words in found["words"].items()
        if words != stored["words"].get(name)
    ]
    return sorted(wrong)


if __name__ == "__main__":
    FILE.write_text(json.dumps(digest(), indent=1) + "\n")
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")
