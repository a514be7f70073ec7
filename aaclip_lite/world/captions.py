"""What a picture shows, said in many ways: the words that the embedded CLIP learned from.

Use: `caption(draw("egg", 5).facts, np.random.default_rng(0))`.
"""

import numpy as np


def caption(
    facts: dict, rng: np.random.Generator, mirrored: bool = False, damage_word: str | None = None
) -> str:
    """One of many ways to say what a picture shows; drawn anew each time. Mirrored pictures swap
    left and right.
    """
    noun = facts["spoken"] if rng.random() < 0.6 else facts["product"].replace("_", " ")
    if damage_word:
        noun = f"{damage_word} {noun}"
    if rng.random() < 0.75:
        noun = f"{facts['colour']} {noun}"
    article = rng.choice(["a ", "a ", "the ", ""])
    text = f"{article}{noun}"
    if rng.random() < 0.25:
        text += f" made of {facts['material']}"
    if rng.random() < 0.2:
        text += f", {facts['pose']}"
    if facts["ground"] and rng.random() < 0.6:
        text += f" on a {facts['ground']} {rng.choice(['background', 'ground', 'table'])}"
    if facts["things"] and rng.random() < 0.9:
        spoken = []
        for phrase, where in facts["things"]:
            if mirrored:
                sides = ("left", "right") if "left" in where else ("right", "left")
                where = where.replace(*sides)
            spoken.append(
                f"a {phrase}"
                + (f" {rng.choice(['at', 'in'])} the {where}" if rng.random() < 0.7 else "")
            )
        text += " with " + " and ".join(spoken)
    frames = ["{}", "{}.", "a photo of {}", "a photo of {}.", "a picture of {}", "an image of {}"]
    return str(rng.choice(frames)).format(text)
