"""The words of pretraining: which tokens can occur, and captions that tell a wrong place."""

from ... import prompts
from .. import factory
from ..fields import PALETTE
from ..products import PRODUCTS

DAMAGE_WORDS = ("damaged", "broken", "defective")


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
