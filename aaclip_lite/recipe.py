"""Every choice of the method as a named field, and the three recipes that fill them in.

Special: a quirk of the public code or of the reference document is a value of a field, never a
branch on whose version runs. The comment beside a field is its help text and its row in the table;
a value that cannot work is refused with the field's name; depths of None follow the backbone.
Use: `Recipe.released().replace(levels=(2, 4, 6, 8))`, `recipe.resolve(24, 12)`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, NamedTuple

from .files.fields import meanings, refuse_unfit

Blocks = int | tuple[int, ...] | Literal["quarter", "half", "all"] | None
Words = Literal["course", "documented", "released"]
Score = Literal["released", "map_detection", "map_late", "map_max", "map_top", "detection"]


class Depths(NamedTuple):
    """A recipe's depths on one backbone, as counts from 1: level 6 is what block 6 puts out."""

    levels: tuple[int, ...]
    image_blocks: tuple[int, ...]
    text_blocks: tuple[int, ...]
    dense_blocks: int


@dataclass(frozen=True)  # a model keeps its recipe: a later change would not reach its weights
class Recipe:
    name: str = "course"  # label of the recipe, printed and stored with checkpoints

    # what is read of the frozen CLIP
    activation: Literal["gelu", "quick_gelu"] | None = None  # None: as its weights were trained
    normalisation: Literal["clip", "imagenet"] = "clip"  # channel means and deviations of the input
    levels: tuple[int, ...] | None = None  # blocks that are read; None: one at each quarter
    dense_blocks: int | None = None  # last blocks with value-value attention; None: 19 of 24
    dense_axis: Literal["patch", "batch"] | None = "patch"  # what attends there; None: no such pass

    # words
    names: Literal["real", "plain"] = "plain"  # class names through the table of real names or not
    states: Words = "course"  # set of phrases for normal and abnormal
    templates: Words = "course"  # set of sentences around them

    # adapters
    image_blocks: Blocks = "all"  # blocks with an adapter: first n, a share, numbers; None: quarter
    text_blocks: Blocks = None  # text blocks with an adapter, given like image_blocks
    adapter: Literal["linear", "bottleneck"] = "bottleneck"  # one matrix, or down to half and up
    adapter_bias: bool = True  # whether the adapters' matrices and projections have biases
    adapter_slope: float = 0.2  # LeakyReLU slope in adapters and projections
    adapter_init: Literal["xavier", "identity"] = "identity"  # the latter: x + A(x), A(x) = 0
    text_mix: float = 0.3  # share of the adapted state in the text mix
    image_mix: float = 0.3  # share of the adapted token in the image mix
    text_head: Literal["relu", "linear"] = "linear"  # on the end-of-text state, LeakyReLU or not
    proj_relu: bool = False  # LeakyReLU after the level and detection projections
    proj_init: Literal["xavier", "clip"] = "clip"  # start of head and projections: or CLIP's own

    # losses
    logit_scale: float = 15.0  # factor on cosines in the segmentation losses (maps: always 100)
    detection_scale: float = 30.0  # factor on cosines in the detection loss
    stage1_levels: Literal["last", "all"] = "all"  # levels in stage 1's loss; last: documented bug
    orthogonal_weight: float = 0.1  # of the orthogonal loss; on four levels 0.4 equals 0.1 on one

    # maps and scores
    align_corners: bool = False  # how maps are enlarged; True puts edges up to half a patch out
    blur: float | None = 0.7  # sigma in patches; None: the domain's, 1 industrial and 1.5 medical
    image_score: Score = "map_detection"  # a picture's score: hottest pixels and detection, or else

    # training
    augmentation: Words | Literal["none"] = "course"  # how training pictures are varied
    text_lr: float = 3e-3  # learning rate of stage 1
    text_batch: int = 16  # pictures in a stage 1 batch
    text_epochs: int = 1  # passes over the data in stage 1; 0: CLIP's own text tower is used
    text_steps: int | None = 70  # optimiser steps of stage 1; None: text_epochs decides
    image_lr: float = 2e-3  # learning rate of stage 2
    image_batch: int = 16  # pictures in a stage 2 batch
    image_epochs: int = 1  # passes over the data in stage 2
    image_steps: int | None = 150  # optimiser steps of stage 2; None: image_epochs decides
    betas: tuple[float, float] = (0.5, 0.999)  # Adam's averaging factors
    milestones: tuple[int, ...] = (70, 105, 130)  # stage 2 steps where the rate takes lr_factor
    lr_factor: float = 0.4  # what the learning rate is multiplied by there

    def __post_init__(self) -> None:
        refuse_unfit(self, RANGES)
        for name in RISING:
            value = getattr(self, name)
            if isinstance(value, tuple) and list(value) != sorted(set(value)):
                raise ValueError(f"Recipe.{name} = {value!r} must rise without repeats")
        if self.levels == ():
            raise ValueError(
                "Recipe.levels = () reads nothing; name at least one block or use None"
            )

    @classmethod
    def course(cls) -> "Recipe":
        """The default: every known quirk switched to what works on the embedded backbone."""
        return cls()

    @classmethod
    def documented(cls) -> "Recipe":
        """The reference document, read literally."""
        return cls.released().replace(
            name="documented",
            activation=None,
            dense_axis="patch",
            states="documented",
            templates="documented",
            adapter="bottleneck",
            adapter_bias=True,
            adapter_slope=0.2,
            proj_relu=True,
            augmentation="documented",
            normalisation="imagenet",
        )

    @classmethod
    def released(cls) -> "Recipe":
        """The public code at commit 53db195, quirks included."""
        return cls(
            name="released",
            activation="gelu",
            image_blocks=None,
            dense_axis="batch",
            names="real",
            states="released",
            templates="released",
            adapter="linear",
            adapter_bias=False,
            adapter_slope=0.01,
            adapter_init="xavier",
            text_mix=0.1,
            image_mix=0.1,
            text_head="relu",
            proj_init="xavier",
            logit_scale=100.0,
            detection_scale=1.0,
            stage1_levels="last",
            align_corners=True,
            blur=None,
            image_score="released",
            augmentation="released",
            text_lr=1e-5,
            text_epochs=5,
            text_steps=None,
            image_lr=5e-4,
            image_batch=2,
            image_epochs=20,
            image_steps=None,
            milestones=(16000, 32000),
            lr_factor=0.5,
        )

    def replace(self, **changes) -> "Recipe":
        _refuse_unknown(changes)
        return replace(self, **changes)

    def of_length(self, text_steps: int, image_steps: int) -> "Recipe":
        """The same in so many steps of each stage, its learning rate dropping at the same shares of
        stage 2. For recipes that count steps, not epochs.
        """
        share = image_steps / self.image_steps
        # a set: in a short run two drops may fall on one step
        drops = {max(1, round(milestone * share)) for milestone in self.milestones}
        milestones = tuple(sorted(drops))
        return self.replace(text_steps=text_steps, image_steps=image_steps, milestones=milestones)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Recipe":
        """What to_dict gave, also in an older version that had more fields or other names."""
        values = {RENAMED.get(name, name): value for name, value in values.items()}  # older files
        for name, default in RETIRED.items():
            if values.pop(name, default) != default:
                raise ValueError(
                    f"Recipe.{name} is no field any more, and this one differs from {default!r}: "
                    "train anew, with the plug-in of that name in aaclip_lite.variants.improvements"
                )
        _refuse_unknown(values)
        return cls(**values)

    @property
    def trains_text(self) -> bool:
        """False where stage 1 has no length: anchors then come from CLIP's own text tower."""
        length = self.text_epochs if self.text_steps is None else self.text_steps
        return length > 0

    @property
    def finish(self) -> dict:
        """How a map becomes a picture, as arguments of scoring.anomaly_map and scoring.finish."""
        return {"align_corners": self.align_corners, "blur": self.blur}

    def differences(self, other: "Recipe", training: bool = True) -> dict[str, tuple]:
        """{field: (mine, other's)} where they differ; training=False leaves out TRAINING_FIELDS."""
        skipped = {"name"} if training else {"name", *TRAINING_FIELDS}
        names = [field.name for field in fields(self) if field.name not in skipped]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return {name: (mine, theirs) for name, (mine, theirs) in pairs.items() if mine != theirs}

    def resolve(self, vision_blocks: int, text_blocks: int) -> Depths:
        """Concrete depths on a backbone of these depths: 24 blocks give levels 6, 12, 18, 24, six
        adapters and 19 dense blocks.
        """
        # rounded, not cut; a set, since a shallow tower's quarters may fall together
        quarters = {max(1, (vision_blocks * k + 2) // 4) for k in (1, 2, 3, 4)}
        levels = tuple(sorted(quarters)) if self.levels is None else self.levels
        dense = self.dense_blocks
        if dense is None:
            dense = (19 * vision_blocks + 12) // 24  # the published share, 19 of 24, rounded
        for field, highest in (("levels", max(levels)), ("dense_blocks", dense)):
            if highest > vision_blocks:
                raise ValueError(
                    f"Recipe.{field} = {getattr(self, field)!r} needs {highest} blocks, the tower "
                    f"has {vision_blocks}"
                )
        image = _block_numbers("image_blocks", self.image_blocks, vision_blocks)
        text = _block_numbers("text_blocks", self.text_blocks, text_blocks)
        return Depths(levels, image, text, dense)


LENGTHS = ("text_epochs", "text_steps", "image_epochs", "image_steps")
# the numbers that a field, or each entry of it, may hold
RANGES = {
    (0, 1): ("text_mix", "image_mix", "adapter_slope", "lr_factor"),
    (0, 0.999999): ("betas",),
    (0, 10): ("text_lr", "image_lr"),
    (0, 1e6): ("orthogonal_weight", "blur"),
    (1e-6, 1e6): ("logit_scale", "detection_scale"),
    (1, 1e9): ("levels", "milestones", "text_batch", "image_batch"),
    (0, 1e9): ("image_blocks", "text_blocks", "dense_blocks", *LENGTHS),
}
RISING = ("levels", "image_blocks", "text_blocks", "milestones")
# read by training only, or by what turns a map into a score: other values of theirs do not make
# stored adapters another model
TRAINING_FIELDS = {
    *("stage1_levels", "dense_blocks", "dense_axis", "detection_scale"),
    *("orthogonal_weight", "augmentation", "proj_init", "betas", "milestones", "lr_factor"),
    *("text_lr", "text_batch", "image_lr", "image_batch", "image_score", *LENGTHS),
}
RENAMED = {"gamma": "lr_factor"}
# fields of earlier versions, with the only value under which their files still mean the same
RETIRED = {
    "norm_preserving": True,
    "detection_pool": "mean",
    "level_weights": "sum",
    "stage1_classification_weight": 0.0,
    "detection_weight": 1.0,
    "map_top_weight": 0.0,
    "text_separation": "orthogonal",
    "accumulate": 1,
    "joint": False,
}


def comparison(differing_only: bool = False) -> list[dict[str, str]]:
    """Rows of the side-by-side table: field, the value in each recipe, what the field means."""
    recipes = (Recipe.course(), Recipe.documented(), Recipe.released())
    rows = []
    for name, meaning in meanings(Recipe).items():
        values = {recipe.name: str(getattr(recipe, name)) for recipe in recipes}
        if len(set(values.values())) > 1 or not differing_only:
            rows.append({"field": name, **values, "meaning": meaning})
    return rows


def _block_numbers(field: str, value: Blocks, depth: int) -> tuple[int, ...]:
    """Block numbers, from 1, that a count, a share or a tuple stands for."""
    shares = {
        None: max(1, (depth + 2) // 4),
        "quarter": max(1, (depth + 2) // 4),
        "half": (depth + 1) // 2,
        "all": depth,
    }
    if isinstance(value, tuple):
        numbers = value
    else:
        count = value if isinstance(value, int) else shares[value]
        numbers = tuple(range(1, count + 1))
    if numbers and not 1 <= min(numbers) <= max(numbers) <= depth:
        raise ValueError(f"Recipe.{field} = {value!r} does not fit a tower of {depth} blocks")
    return numbers


def _refuse_unknown(names: Iterable[str]) -> None:
    known = [field.name for field in fields(Recipe)]
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(
            f"Recipe has no field {', '.join(map(repr, unknown))}; fields: {', '.join(known)}"
        )
