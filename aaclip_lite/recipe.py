"""Every choice of the method as a named field, and the three recipes that fill them in.

Special: a quirk of the public code or of the reference document is a value of a field, never a
branch on whose version runs. A value that cannot work is refused with the field's name; a depth
left at None follows the backbone by one rule.
Use: `Recipe.released().replace(levels=(2, 4, 6, 8))`, `recipe.resolve(vision_blocks=24,
text_blocks=12)`.
"""

import inspect
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, NamedTuple, get_args, get_origin, get_type_hints

Blocks = int | tuple[int, ...] | Literal["quarter", "half", "all"] | None
Words = Literal["course", "documented", "released"]
ImageScore = Literal["released", "map_late", "map_max", "map_top", "detection", "map_top_detection"]


class Depths(NamedTuple):
    """A recipe's depths on one backbone, as counts from 1: level 6 is what block 6 puts out, after
    its adapter.
    """

    levels: tuple[int, ...]
    image_blocks: tuple[int, ...]
    text_blocks: tuple[int, ...]
    dense_blocks: int


@dataclass(frozen=True)
class Recipe:
    name: str = "course"  # label of the recipe, printed and stored with checkpoints
    # None: the one the backbone's weights were trained with
    activation: Literal["gelu", "quick_gelu"] | None = None
    normalisation: Literal["clip", "imagenet"] = "clip"  # channel means and deviations of the input
    # blocks whose patch tokens are read; None: at each quarter of the depth
    levels: tuple[int, ...] | None = None
    # image blocks with an adapter: the first n, a share, or numbers; None: a quarter
    image_blocks: Blocks = "all"
    text_blocks: Blocks = None  # text blocks with an adapter, given like image_blocks
    # last blocks with value-value attention in stage 1; None: 19 of 24, rounded
    dense_blocks: int | None = None
    # value-value across patches or batch mates; None: ordinary
    dense_axis: Literal["patch", "batch"] | None = "patch"
    # class names through the table of real names, or as given
    names: Literal["real", "plain"] = "plain"
    states: Words = "course"  # set of phrases for normal and abnormal
    templates: Words = "course"  # set of sentences around them
    # one matrix, or down to half the width and up again
    adapter: Literal["linear", "bottleneck"] = "bottleneck"
    adapter_bias: bool = True  # whether the adapters' matrices and projections have biases
    adapter_slope: float = 0.2  # LeakyReLU slope in adapters and projections
    # identity: x + A(x) with A's last matrix at zero
    adapter_init: Literal["xavier", "identity"] = "identity"
    text_mix: float = 0.3  # share of the adapted state in the text mix
    image_mix: float = 0.3  # share of the adapted token in the image mix
    norm_preserving: bool = True  # adapted tokens are scaled back to their length before the mix
    # trained head on the end-of-text state, with LeakyReLU or without
    text_head: Literal["relu", "linear"] = "linear"
    proj_relu: bool = False  # LeakyReLU after the level and detection projections
    # start of head and projections: random, or CLIP's own projections
    proj_init: Literal["xavier", "clip"] = "clip"
    # how the last level becomes one vector
    detection_pool: Literal["mean", "cls", "attention"] = "mean"
    # learned: each level's features get a trained factor, 1 at start
    level_weights: Literal["sum", "learned"] = "sum"
    logit_scale: float = 15.0  # factor on cosines in maps and segmentation losses
    detection_scale: float = 30.0  # the same in the detection loss
    # levels in the stage 1 loss; "last" is the documented bug
    stage1_levels: Literal["last", "all"] = "all"
    stage1_classification_weight: float = 0.0  # weight of a loss on the mean stage 1 feature
    # how maps are enlarged; True puts patches at the edge up to half a patch too far out
    align_corners: bool = False
    # sigma of the map's blur, in patches; None: the domain's, 1 industrial and 1.5 medical
    blur: float | None = 0.7
    detection_weight: float = 1.0  # weight of the detection loss in stage 2
    map_top_weight: float = 0.0  # weight of a loss on the map's hottest 1 % in stage 2
    # weight of the text separation; 0.4 on four levels equals 0.1 on one
    orthogonal_weight: float = 0.1
    # loss that parts the two anchors
    text_separation: Literal["orthogonal", "contrastive", "triplet"] = "orthogonal"
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
    # stage 2 steps at which the learning rate is multiplied by gamma
    milestones: tuple[int, ...] = (
        70,
        105,
        130,
    )
    gamma: float = 0.4  # that factor
    accumulate: int = 1  # batches whose gradients are added up before a step
    joint: bool = False  # train text and image adapters together in stage 2
    # a picture's score: peak of the later levels' map, of all, or another
    image_score: ImageScore = "map_late"

    def __post_init__(self) -> None:
        hints = get_type_hints(Recipe)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):  # JSON knows no tuples
                value = tuple(value)
                object.__setattr__(self, field.name, value)
            if not _fits(value, hints[field.name]):
                raise ValueError(
                    f"Recipe.{field.name} = {value!r} is not possible; expected "
                    f"{_spoken(hints[field.name])}"
                )
            low, high = _LIMITS.get(field.name, (None, None))
            for number in value if isinstance(value, tuple) else (value,):
                is_number = isinstance(number, int | float) and not isinstance(number, bool)
                if low is not None and is_number and not low <= number <= high:
                    raise ValueError(
                        f"Recipe.{field.name} = {value!r} is out of range; expected {low} to {high}"
                    )
            if (
                field.name in _ORDERED
                and isinstance(value, tuple)
                and list(value) != sorted(set(value))
            ):
                raise ValueError(f"Recipe.{field.name} = {value!r} must rise without repeats")
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
            detection_scale=1.0,
            stage1_levels="last",
            orthogonal_weight=0.1,
            augmentation="released",
            text_lr=1e-5,
            text_epochs=5,
            text_steps=None,
            image_lr=5e-4,
            image_batch=2,
            image_epochs=20,
            image_steps=None,
            milestones=(16000, 32000),
            gamma=0.5,
            logit_scale=100.0,
            image_score="released",
            align_corners=True,
            blur=None,
        )

    def replace(self, **changes) -> "Recipe":
        _known(changes)
        return replace(self, **changes)

    def of_length(self, text_steps: int, image_steps: int) -> "Recipe":
        """The same in so many steps of each stage, its learning rate dropping at the same shares of
        stage 2. For recipes that count steps, not epochs.
        """
        drops = {max(1, round(each * image_steps / self.image_steps)) for each in self.milestones}
        return replace(
            self, text_steps=text_steps, image_steps=image_steps, milestones=tuple(sorted(drops))
        )

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Recipe":
        _known(values)
        return cls(**values)

    @property
    def trains_text(self) -> bool:
        return self.text_steps > 0 if self.text_steps is not None else self.text_epochs > 0

    @property
    def finish(self) -> dict:
        """How a map becomes a picture, as arguments of scoring.anomaly_map and scoring.finish."""
        return {"align_corners": self.align_corners, "blur": self.blur}

    def differences(self, other: "Recipe", training: bool = True) -> dict[str, tuple]:
        """Fields that differ, as {field: (mine, other's)}; training=False leaves out what only
        training reads.
        """
        pairs = {
            f.name: (getattr(self, f.name), getattr(other, f.name))
            for f in fields(self)
            if f.name != "name"
        }
        return {
            k: v
            for k, v in pairs.items()
            if v[0] != v[1] and (training or k not in TRAINING_FIELDS)
        }

    def resolve(self, vision_blocks: int, text_blocks: int) -> Depths:
        """Concrete depths on a backbone of these depths: 24 blocks give levels 6, 12, 18, 24, 6
        adapters, 19 dense.
        """
        quarters = tuple(max(1, (vision_blocks * k + 2) // 4) for k in (1, 2, 3, 4))
        levels = tuple(sorted(set(quarters))) if self.levels is None else self.levels
        dense = (19 * vision_blocks + 12) // 24 if self.dense_blocks is None else self.dense_blocks
        image = _numbers("image_blocks", self.image_blocks, vision_blocks)
        text = _numbers("text_blocks", self.text_blocks, text_blocks)
        for field, highest, depth in (
            ("levels", max(levels), vision_blocks),
            ("dense_blocks", dense, vision_blocks),
        ):
            if highest > depth:
                raise ValueError(
                    f"Recipe.{field} = {getattr(self, field)!r} needs {highest} blocks, the tower "
                    f"has {depth}"
                )
        return Depths(levels, image, text, dense)


_LIMITS = {
    **dict.fromkeys(("text_mix", "image_mix", "adapter_slope", "gamma"), (0.0, 1.0)),
    "betas": (0.0, 0.999999),
    **dict.fromkeys(
        ("text_batch", "image_batch", "accumulate", "levels", "milestones"), (1, 10**9)
    ),
    **dict.fromkeys(
        ("text_epochs", "image_epochs", "text_steps", "image_steps", "dense_blocks"), (0, 10**9)
    ),
    **dict.fromkeys(
        ("orthogonal_weight", "stage1_classification_weight", "detection_weight"), (0.0, 1e6)
    ),
    **dict.fromkeys(("map_top_weight", "blur"), (0.0, 1e6)),
    **dict.fromkeys(("logit_scale", "detection_scale"), (1e-6, 1e6)),
    **dict.fromkeys(("text_lr", "image_lr"), (0.0, 10.0)),
    **dict.fromkeys(("image_blocks", "text_blocks"), (0, 10**9)),
}
_ORDERED = ("levels", "image_blocks", "text_blocks", "milestones")
TRAINING_FIELDS = frozenset(
    (
        "stage1_levels",
        "stage1_classification_weight",
        "detection_weight",
        "map_top_weight",
        "detection_scale",
        "orthogonal_weight",
        "text_separation",
        "augmentation",
        "text_lr",
        "text_batch",
        "text_epochs",
        "text_steps",
        "image_lr",
        "image_batch",
        "image_epochs",
        "image_steps",
        "betas",
        "milestones",
        "gamma",
        "accumulate",
        "joint",
        "proj_init",
        "dense_blocks",
        "dense_axis",
        "image_score",
    )
)


def comparison(differing_only: bool = False) -> list[dict[str, str]]:
    """Rows of the side-by-side table: field, the value in each recipe, and what the field means."""
    source = inspect.getsource(Recipe)
    meanings = dict(re.findall(r"^    (\w+): .*?  # (.*)$", source, re.M))
    above = re.findall(r"^    # (.*)\n    (\w+): ", source, re.M)
    meanings |= {name: meaning for meaning, name in above}
    recipes = (Recipe.course(), Recipe.documented(), Recipe.released())
    rows = [
        {
            "field": f.name,
            **{r.name: str(getattr(r, f.name)) for r in recipes},
            "meaning": meanings[f.name],
        }
        for f in fields(Recipe)
    ]
    return [row for row in rows if not differing_only or len({row[r.name] for r in recipes}) > 1]


def _numbers(field: str, value: Blocks, depth: int) -> tuple[int, ...]:
    """Block numbers, from 1, that a count, a share or a tuple stands for."""
    shares = {"quarter": max(1, (depth + 2) // 4), "half": (depth + 1) // 2, "all": depth}
    value = (
        shares["quarter" if value is None else value]
        if value is None or isinstance(value, str)
        else value
    )
    numbers = value if isinstance(value, tuple) else tuple(range(1, value + 1))
    if numbers and not 1 <= min(numbers) <= max(numbers) <= depth:
        raise ValueError(f"Recipe.{field} = {value!r} does not fit a tower of {depth} blocks")
    return numbers


def _known(names) -> None:
    unknown = sorted(set(names) - {f.name for f in fields(Recipe)})
    if unknown:
        raise ValueError(
            f"Recipe has no field {', '.join(map(repr, unknown))}; fields: "
            f"{', '.join(f.name for f in fields(Recipe))}"
        )


def _fits(value, hint) -> bool:
    options = get_args(hint)
    if get_origin(hint) is Literal:
        return value in options and not isinstance(value, bool)
    if get_origin(hint) is tuple:
        sized = options[-1] is Ellipsis or (isinstance(value, tuple) and len(value) == len(options))
        return isinstance(value, tuple) and sized and all(_fits(v, options[0]) for v in value)
    if options:
        return any(_fits(value, option) for option in options)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _spoken(hint) -> str:
    return re.sub(r"typing\.|<class '(\w+)'>", r"\1", str(hint)).replace("NoneType", "None")
