"""From a class name to the sentences whose mean is an anchor: states ("damaged {}"), sentence
templates, real names.

Special: prompts are data plus one string function, without torch; a name that no table knows is
used as given.
Use: `normal, abnormal = sentences("metal_nut", states="released", templates="released",
names="real")`.
"""

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

# What the classes of the public data sets look like, in the words that the released adapters were
# trained with.
REAL_NAMES: dict[str, dict[str, str]] = {
    "MVTec": {
        "bottle": "dark bottle",
        "cable": "top view of three cables",
        "capsule": "black and orange capsule",
        "carpet": "gray carpet",
        "grid": "metal or plastic mesh",
        "hazelnut": "single brown hazelnut",
        "leather": "brown leather",
        "metal_nut": "metal nut which has four notched edges",
        "pill": "oval white pill with small red speckles and the letters 'FF' engraved",
        "tile": "speckled tile surface",
        "transistor": "a three-legged transistor placed vertically",
        "toothbrush": "toothbrush head",
        "wood": "wood surface",
        "zipper": "a black zipper",
    },
    "VisA": {
        "pcb1": "dual ultrasonic distance sensor pcb module",
        "pcb2": "integrated circuits board",
        "pcb3": "infrared sensor pcb module",
        "pcb4": "battery charging pcb module",
        "macaroni1": "orange macaroni",
        "macaroni2": "scattered yellow macaroni",
        "pipe_fryum": "pipe-shaped fryum",
        "fryum": "wheel-shaped fryum snack",
        "cashew": "cashew nut",
        "chewinggum": "chewing gum",
    },
    "BTAD": {
        "01": "Bright concentric rings in neon yellow and blue tones against a dark blue background, "
        "resembling a stylized wave or energy field radiating outward.",
        "02": "vertical fabric lines in warm, dusty pink and beige tones",
        "03": "oval concentric circular rings in gradient shades of blue and white",
    },
    "MPDD": {
        "connector": "metal clamps with black adjustment knobs",
        "tubes": "scattered metal objects",
        "metal_plate": "blue rectangular metal plate with a notch on one side",
        "bracket_white": "white, elongated triangular metal bracket with a smooth, matte finish",
        "bracket_brown": "brown L-shaped metal bracket with smooth, glossy finish and multiple mounting holes "
        "along its arms",
        "bracket_black": "black ornamental metal bracket with spiral design attached to a rectangular frame",
    },
    "medical": {
        **dict.fromkeys(("Brain", "Liver", "Retina"), "scan"),
        **dict.fromkeys(
            ("Colon_clinicDB", "Colon_colonDB", "Kvasir", "CVC-300"), "colon endoscopy image"
        ),
    },
}
_WORDS = {name: words for table in REAL_NAMES.values() for name, words in table.items()}


def real_name(name: str) -> str:
    """The words for a class of a public data set; any other name as given, underscores read as
    spaces.
    """
    return _WORDS.get(name, plain_name(name))


def plain_name(name: str) -> str:
    return name.replace("_", " ")


def sentences(
    name: str, states: str = "course", templates: str = "course", names: str = "plain"
) -> tuple[list[str], list[str]]:
    """(normal, abnormal) sentences of one class; names="real" looks the class up, "plain" takes the
    name itself.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a class name must be a non-empty string, not {name!r}")
    for what, key, table in (("states", states, STATES), ("templates", templates, TEMPLATES)):
        if key not in table:
            raise ValueError(f"unknown {what} {key!r}; known: {', '.join(table)}")
    words = real_name(name) if names == "real" else plain_name(name)
    normal, abnormal = (
        [
            template.format(state.format(words))
            for state in group
            for template in TEMPLATES[templates]
        ]
        for group in STATES[states]
    )
    return normal, abnormal
