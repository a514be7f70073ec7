"""The words of pretraining: which tokens can occur, and captions that tell a wrong place."""

from itertools import product

from ... import prompts
from .. import factory
from ..fields import PALETTE
from ..products import PRODUCTS

DAMAGE_WORDS = ("damaged", "broken", "defective")


def vocabulary(tokenizer) -> list[int]:
    """Ids of all tokens that captions, phrases and prompts of this project can contain, in order."""
    nouns = {*PRODUCTS, *(item.spoken for item in PRODUCTS.values()), "object"}
    texts = [*DAMAGE_WORDS, *PALETTE]
    for noun, *way in product(nouns, prompts.STATES, prompts.TEMPLATES, ("plain", "real")):
        for group in prompts.sentences(noun, *way):
            texts += group
    for phrase, colour in product(factory.THINGS, factory.THING_COLOURS):
        texts.append(phrase.format(colour))
    for name, item in PRODUCTS.items():
        texts.append(f"{item.spoken} {item.material}, {name.replace('_', ' ')}")
    texts += [
        "filling the frame, upright, tilted, straight",
        "the surface of a",
        "a picture of an image of made of on a background ground table with and at in the",
        ", ".join(factory.PLACES),
    ]
    return sorted({0, *tokenizer(texts).flatten().tolist()})


def misplaced(facts: dict, rng) -> dict:
    """The same facts with one of the things somewhere else."""
    which = int(rng.integers(len(facts["things"])))
    phrase, where = facts["things"][which]
    other = str(rng.choice([place for place in factory.PLACES if place != where]))
    things = list(facts["things"])
    things[which] = (phrase, other)
    return facts | {"things": things}
