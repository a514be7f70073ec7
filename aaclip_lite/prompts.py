"""From a class name to the sentences whose mean is an anchor: states ("damaged {}"), sentence
templates, real names.

Special: prompts are data plus one string function, without torch; a name that no table knows is
used as given.
Use: `normal, abnormal = sentences("metal_nut", states="released", templates="released",
names="real")`.
"""

from .files.real_names import REAL_NAMES

# (phrases for a normal thing, phrases for an abnormal one)
STATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # The document gives the counts, 6 and 10, and two examples of each; the others are this
    # project's completion.
    "documented": (
        (
            "{}",
            "flawless {}",
            "perfect {}",
            "unblemished {}",
            "{} without flaw",
            "{} without defect",
        ),
        (
            "damaged {}",
            "broken {}",
            "cracked {}",
            "scratched {}",
            "stained {}",
            "defective {}",
            "{} with flaw",
            "{} with defect",
            "{} with damage",
            "{} with contamination",
        ),
    ),
    "released": (
        # nothing said counts as sound: captions rarely call a thing flawless
        ("{}", "a {}", "the {}"),
        ("a damaged {}", "a broken {}", "a {} with flaw", "a {} with defect", "a {} with damage"),
    ),
    "course": (
        ("{}", "a {}", "the {}", "a flawless {}", "a perfect {}", "a {} without defect"),
        (
            "a damaged {}",
            "a broken {}",
            "a scratched {}",
            "a {} with flaw",
            "a {} with defect",
            "a {} with damage",
        ),
    ),
}

TEMPLATES: dict[str, tuple[str, ...]] = {
    # The document gives the count, 7, and two examples; the others are this project's completion.
    "documented": (
        "a photo of a {}.",
        "a cropped photo of the {}.",
        "a photo of the {}.",
        "a cropped photo of a {}.",
        "a close-up photo of a {}.",
        "a bright photo of the {}.",
        "a photo of a {} for inspection.",
    ),
    "released": ("{}.", "a photo of {}."),
    "course": ("{}.", "a photo of {}."),
}

# no two data sets give one name to different things
_WORDS = {name: words for table in REAL_NAMES.values() for name, words in table.items()}


def real_name(name: str) -> str:
    """The words for a class of a public data set; any other name as given, underscores read as
    spaces.
    """
    return _WORDS.get(name, plain_name(name))


def plain_name(name: str) -> str:
    return name.replace("_", " ")  # "metal_nut" is one odd token run to CLIP, "metal nut" a thing


def sentences(
    name: str, states: str = "course", templates: str = "course", names: str = "plain"
) -> tuple[list[str], list[str]]:
    """(normal, abnormal) sentences of one class; names="real" looks the class up, "plain" takes the
    name itself.
    """
    if not isinstance(name, str) or not name.strip():  # "a damaged " would be about nothing
        raise ValueError(f"a class name must be a non-empty string, not {name!r}")
    for what, key, table in (("states", states, STATES), ("templates", templates, TEMPLATES)):
        if key not in table:
            raise ValueError(f"unknown {what} {key!r}; known: {', '.join(table)}")
    words = real_name(name) if names == "real" else plain_name(name)  # "pcb1" says little to CLIP
    frames = TEMPLATES[templates]  # every state in every template
    normal, abnormal = (
        [frame.format(state.format(words)) for state in group for frame in frames]
        for group in STATES[states]
    )
    return normal, abnormal
