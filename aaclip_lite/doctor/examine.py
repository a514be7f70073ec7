"""What is wrong, and what is not, with a checkpoint, data set, loss balance, gradient, anchors or
logit scales.

Special: each number stands beside its null value (what an untrained or undecided model gives) and
an error. Size alone shows nothing: Xavier-uniform 768 x 768 has mean |w| 0.031, and between 0.030
and 0.032 after 100 steps of 1e-5.
Use: `print(doctor.checkpoint("runs/a/text.safetensors", model))`; every call gives a `Finding`.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..adapters import image_adapters, text_adapters
from ..checkpoint import FORMAT, read_metadata
from ..datasets import DataError, overlap
from ..files.weights import WeightsError, existing, read_pickle, read_safetensors
from ..losses import detection, dice, focal, orthogonal
from ..model import AdaptedCLIP, stack_anchors
from ..recipe import Recipe
from ..scoring import probability_map, similarity_logits

# events expected: where none is seen, fewer prove nothing, and that many prove it
TOO_FEW, ENOUGH = (
    3,
    10,
)
# below the one (Adam's) gradients stop moving weights, above the other fp16 ends
EPSILON, HALF_MAX = (
    1e-8,
    65504.0,
)
# logits: p = 0.9; beyond the focal loss's smoothing
UNDECIDED, SATURATED = (
    math.log(9),
    -math.log(1e-5),
)
VERDICTS = {  # gravest first; the last is the healthy one
    "checkpoint": "broken, wrong backbone, wrong recipe, untrained, unknown, inconsistent, partial, short, trained",
    "dataset": "one label, swapped masks, broken files, leak, copies, unbalanced, sound",
    "losses": "not finite, one label, detached, dominated, at null, balanced",
    "gradients": "detached, frozen, exploding, cut off, vanishing, flowing",
    "anchors": "collapsed, saturated, untrained, apart",
    "scales": "constant, scale mismatch, alike",
}
# share of a loss's gradient, ratio of logit scales, beyond which the other hardly counts
DOMINATED, FAR = (
    0.97,
    3.0,
)
SEGMENTATION = {  # parts of the segmentation loss, a value a picture
    "focal": lambda p, m: focal(p, m, reduction="none"),
    "dice normal": lambda p, m: dice(p[:, 0], 1 - m, "none"),
    "dice abnormal": lambda p, m: dice(p[:, 1], m, "none"),
}


@dataclass(repr=False)
class Finding:
    """verdict: the gravest of what was found; reasons: all of it; rows: the numbers; samples: a
    data set's pictures.
    """

    kind: str  # which of VERDICTS
    subject: str
    verdict: str
    healthy: bool
    reasons: list[str]
    rows: list[dict]
    samples: list = field(default_factory=list)

    def table(self) -> str:
        """The rows as aligned text; "-" is a number that does not exist or is not known."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        cells = [names, *([_shown(row.get(name)) for name in names] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)

    def to_dict(self) -> dict:
        """For JSON, which has no infinite numbers: they become text."""
        rows = [
            {k: str(v) if v in (math.inf, -math.inf) or v != v else v for k, v in r.items()}
            for r in self.rows
        ]
        return {
            k: getattr(self, k) for k in ("kind", "subject", "verdict", "healthy", "reasons")
        } | {"rows": rows}

    def __repr__(self) -> str:
        return "\n".join(
            [f"{self.subject}: {self.verdict}", *(f"- {r}" for r in self.reasons), self.table()]
        )


def _conclude(
    kind: str, subject: object, found: dict[str, list[str]], rows=(), notes=(), samples=()
) -> Finding:
    """found: {verdict: reasons}; notes: what is said in any case."""
    order = VERDICTS[kind].split(", ")
    wrong = [verdict for verdict in sorted(found, key=order.index) if found[verdict]]
    reasons = [*(reason for verdict in wrong for reason in found[verdict]), *filter(None, notes)]
    return Finding(
        kind, str(subject), (wrong or order[-1:])[0], not wrong, reasons, list(rows), list(samples)
    )


def _shown(value) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _mean(values) -> tuple[float | None, float | None]:
    """(mean, its standard error); None where there are too few values."""
    values = torch.as_tensor(values).detach().double().flatten()
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None
    return float(values.mean()) if len(values) else None, error


def _by_module(items) -> dict[str, list]:
    """(weight's name, value) pairs, gathered under the adapter or projection that the weight
    belongs to.
    """
    modules = defaultdict(list)
    for name, value in items:
        modules[name.split(".fc.")[0]].append(value)
    return modules


def _unread(depths) -> set[str]:
    """Adapters behind the last level that is read: nothing depends on them, and training leaves
    them alone.
    """
    late = [i for i, block in enumerate(depths.image_blocks) if block > max(depths.levels)]
    return {f"image_adapter.layer_adapters.{i}" for i in late}


# ---- checkpoints ---------------------------------------------------------------------------------


def checkpoint(path, model: AdaptedCLIP | None = None) -> Finding:
    """An adapter file, a resume file or a released .pth; with a model, also whether it belongs to
    it.

    outside: share of weights beyond their initial support, exactly 0 before training; from it
    follows how far they "moved" on average, 2 * support * outside for uniform starts. reach: what
    Adam can do in the stored steps.
    """
    try:
        tensors, header = _read(existing(path))
    except WeightsError as error:
        return _conclude("checkpoint", path, {"broken": [str(error)]})
    recipe, stage, step = header["recipe"], header["stage"], header.get("step")
    found = _strangers(tensors, header, model)
    rows, found["broken"] = _tensor_rows(
        tensors, recipe, None if found["wrong backbone"] else model
    )
    told, (rate, reach) = [row for row in rows if row["moved"] is not None], _reach(header)
    count = max(1, sum(row["weights"] for row in told))
    moved = sum(row["weights"] * row["moved"] for row in told) / count
    noise = math.hypot(*(row["weights"] * row["moved ±"] for row in told)) / count
    seen = _expected(told, reach) if step else None
    if rows and not told:
        found["unknown"] = [
            "all weights start as CLIP's own projections: give model= to compare with them"
        ]
    elif rows and not moved:
        nothing = f"no weight lies beyond its initial support; the stored steps could have put {_shown(seen)} there"
        found["unknown" if step and seen < TOO_FEW else "untrained"] = [nothing]
    elif step is not None and moved - 4 * noise > reach:
        found["inconsistent"] = [
            f"weights moved by {moved:.3g}, which {step} steps of {rate} cannot do"
        ]
    home = header["backbone"]
    unread = (
        _unread(recipe.resolve(home["vision_blocks"], home["text_blocks_count"])) if home else ()
    )
    modules = _by_module(
        (row["tensor"], row)
        for row in told
        if moved and row["tensor"].split(".fc.")[0] not in unread
    )
    still = [
        m
        for m, own in modules.items()
        if not any(r["outside"] for r in own) and _expected(own, moved) > ENOUGH
    ]
    found["partial"] = (
        [f"{', '.join(still)}: at the start, others moved (a detached loss?)"] if still else []
    )
    side = "text" if stage == "text" else "image"
    plans = {
        unit: header.get(f"{unit}s", getattr(recipe, f"{side}_{unit}s"))
        for unit in ("step", "epoch")
    }
    unit = "epoch" if plans["step"] is None else "step"
    if header.get(unit) is not None and header[unit] < plans[unit]:
        found["short"] = [f"{unit} {header[unit]} of the {plans[unit]} that were planned"]
    null = max((row["null"] for row in told if row["support"]), default=0.0)
    return _conclude(
        "checkpoint",
        path,
        found,
        [row | {"reach": reach} for row in rows],
        [
            f"stage {stage}, recipe {recipe.name!r}, epoch {_shown(header.get('epoch'))}, "
            f"optimiser step {_shown(step)}",
            f"weights moved by {moved:.3g} ± {noise:.1g} on average" if told else "",
            "no step is stored: how far they could move is not known"
            if step is None
            else f"{step} steps of {rate} move a weight by about {reach:.3g} at most",
            f"mean |w| shows nothing: at the start it is {null:.3g}, far above that"
            if step and null > 4 * reach
            else "",
            "the file does not name its backbone: only shapes compared"
            if model and not home
            else "",
        ],
    )


def _read(path) -> tuple[dict[str, Tensor], dict]:
    """(tensors under this project's names, what the file says of itself)."""
    if str(path).endswith(".safetensors"):
        return read_safetensors(path), read_metadata(path)
    contents = read_pickle(path)
    contents = contents if isinstance(contents, dict) else {}
    if contents.get("format") == f"{FORMAT} resume":
        return contents["adapters"], contents["progress"] | contents | {
            "recipe": Recipe.from_dict(contents["recipe"])
        }
    parts = [
        part for part in ("text_adapter", "image_adapter") if isinstance(contents.get(part), dict)
    ]
    if not parts:
        raise WeightsError(f"{path} has neither an entry 'text_adapter' nor 'image_adapter'")
    named = ((f"{part}.{name}", w) for part in parts for name, w in contents[part].items())
    tensors = {name: w for name, w in named if isinstance(w, Tensor)}
    recipe = Recipe.released().replace(proj_relu="image_adapter.det_proj.fc.0.weight" in tensors)
    stage = parts[0].removesuffix("_adapter")
    header = {"recipe": recipe, "stage": stage, "backbone": None, "epoch": contents.get("epoch")}
    for optimiser in (
        v for v in contents.values() if isinstance(v, dict) and v.get("param_groups")
    ):
        group, states = optimiser["param_groups"][0], list(optimiser["state"].values())
        header |= {
            "lr": group.get("initial_lr", group["lr"]),
            "step": int(states[0]["step"]) if states else 0,
        }
    return tensors, header


def _strangers(tensors: dict[str, Tensor], header: dict, model) -> dict[str, list[str]]:
    """Where file and model disagree; a released file names neither backbone nor recipe, so shapes
    must do.
    """
    pairs = {"backbone": {}, "recipe": {}}
    if model is not None and header["backbone"]:
        pairs["backbone"] = {
            k: (header["backbone"][k], v) for k, v in model.clip.describe().items()
        }
        pairs["recipe"] = header["recipe"].differences(model.recipe, training=False)
    elif model is not None:
        weights = {k: w for k, w in model.trainable(header["stage"]).items() if k in tensors}
        pairs["backbone"] = {
            k: (tuple(tensors[k].shape), tuple(w.shape)) for k, w in weights.items()
        }
    return {
        f"wrong {what}": [
            f"{k} is {a!r} in the file, {b!r} in the model" for k, (a, b) in both.items() if a != b
        ]
        for what, both in pairs.items()
    }


def _reach(header: dict) -> tuple[float, float | None]:
    """(learning rate, its sum over all steps, None if those are not stored): Adam moves a weight
    one rate a step.
    """
    recipe, stage, step = header["recipe"], header["stage"], header.get("step")
    rates = {
        "text": recipe.text_lr,
        "image": recipe.image_lr,
    }
    rate = header.get("lr") or rates[stage]
    if step is None:
        return rate, None
    edges = [0, *(min(at, step) for at in recipe.milestones if stage != "text"), step]
    return rate, sum(
        (b - a) * rate * recipe.lr_factor**i for i, (a, b) in enumerate(pairwise(edges))
    )


def _expected(rows: list[dict], distance: float) -> float:
    """How many weights lie beyond their support once all have moved so far."""
    return sum(
        r["weights"] * (min(1.0, distance / (2 * r["support"])) if r["support"] else 1.0)
        for r in rows
    )


def _tensor_rows(tensors: dict[str, Tensor], recipe: Recipe, model) -> tuple[list[dict], list[str]]:
    """(one row a tensor, what is broken); starts are those of the code that builds adapters."""
    rows, broken = [], []
    for part in sorted({name.split(".")[0] for name in tensors}):
        own = {
            name.removeprefix(f"{part}."): w
            for name, w in tensors.items()
            if name.startswith(f"{part}.")
        }
        fresh = _fresh(part, own, recipe)
        strange = sorted(
            n
            for n in {*own, *fresh}
            if n not in own or n not in fresh or own[n].shape != fresh[n].shape
        )
        broken += (
            [f"{part}: {', '.join(strange)}: unlike recipe {recipe.name!r} in name or shape"]
            if strange
            else []
        )
        for name in sorted(own.keys() - set(strange)):
            w, start, copied, support = own[name], fresh[name], bool(fresh[name].isnan().any()), 0.0
            if start.any() and not copied:  # matrices start Xavier-uniform, biases as torch does it
                fans = (
                    start.shape
                    if start.ndim == 2
                    else fresh[f"{name.removesuffix('bias')}weight"].shape[1:] * 6
                )
                support = math.sqrt(6 / sum(fans))
            elif copied and model is not None:
                start = (
                    (
                        model.clip.text_projection
                        if part == "text_adapter"
                        else model.clip.visual.proj
                    )
                    .cpu()
                    .T
                )
            rows.append({"tensor": f"{part}.{name}", **_movement(w, start.to(w.dtype), support)})
            if not w.isfinite().all() or (rows[-1]["null"] and not w.any()):
                broken.append(
                    f"{part}.{name} is {'all zero' if w.isfinite().all() else 'not finite'}"
                )
    return rows, broken


def _fresh(part: str, own: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """The adapters as training starts them, NaN where that is CLIP's own projection."""
    numbers = [int(name.split(".")[0]) for name in own if name[0].isdigit()]
    head = "det_proj" if part == "image_adapter" else str(max(numbers, default=0))
    shape = own.get(f"{head}.fc.weight", own.get(f"{head}.fc.0.weight", torch.zeros(1, 1))).shape
    blank = torch.full(shape[::-1], math.nan)
    blocks, levels = (
        len({n.split(".")[1] for n in own if n.startswith(kind)}) for kind in ("layer_", "seg_")
    )
    # a diagnosis must not change what a training run draws next
    with torch.random.fork_rng(devices=[]):
        if part == "text_adapter":
            return text_adapters(recipe, *blank.shape, int(head), blank).state_dict()
        return image_adapters(recipe, *blank.shape, blocks, levels, blank).state_dict()


def _movement(w: Tensor, start: Tensor, support: float) -> dict:
    """Mean |w| beside its value before training, and what moved; support 0: the start is known
    weight by weight.
    """
    n, slack, w, start = w.numel(), 1 + torch.finfo(w.dtype).eps, w.double(), start.double()
    row = {"weights": n, "mean |w|": float(w.abs().mean())}
    if start.isnan().any():
        return row | dict.fromkeys(("null", "±", "support", "outside", "moved", "moved ±"))
    away = (w.abs() - support * slack).clamp(min=0) if support else (w - start).abs()
    outside = float((away > 0).double().mean())
    # where none is seen, three may have been missed
    noise = math.sqrt(max(outside * (1 - outside), TOO_FEW / n) / n)
    return row | {
        "null": support / 2 or float(start.abs().mean()),
        "±": support / math.sqrt(12 * n),
        "support": support,
        "outside": outside,
        "moved": 2 * support * outside or float(away.mean()),
        "moved ±": 2 * support * noise,
    }


# ---- data sets -----------------------------------------------------------------------------------


def dataset(data, other=None, look: int = 200) -> Finding:
    """Balance, masks, sizes and copies, with about `look` pictures decoded; `other`: a set that
    should share none.
    """
    if not len(data):
        raise ValueError("the data set is empty: there is nothing to examine")
    found = defaultdict(list)
    # a stricter twin: what opening the set tolerated is named here all the same
    strict = type(data)(
        data.root, data.records, **data.settings | {"allow": (), "cache": type(data.cache)(0)}
    )
    for problem in strict.check(decode=False):
        found["copies" if problem.startswith("duplicate") else "broken files"].append(problem)
    splits = [
        data.view(r for r in data.records if r.split == s)
        for s in sorted({r.split for r in data.records})
    ]
    for pair in [*combinations(splits, 2), *([] if other is None else [(data, other)])]:
        ours, theirs = ({str(one.root / r.image) for r in one.records} for one in pair)
        found["leak"] += [f"{a} is also {b}" for a, b in overlap(*pair)] + sorted(ours & theirs)
    rows, samples = [], []
    for name in data.classes:
        mine = [
            [i for i, r in enumerate(data.records) if (r.class_name, r.label) == (name, v)]
            for v in (0, 1)
        ]
        looked = []
        for index in (i for group in mine for i in group[:: max(1, len(data) // look)]):
            try:
                looked.append(strict[index])
            except DataError as error:
                found["broken files"] += error.problems
        row, masks = _class_row(name, *map(len, mine), looked)
        rows.append(row)
        samples += [
            next(s for s in looked if s.label == label)
            for label in sorted({s.label for s in looked})
        ]
        odd = {s.path: "all pixels are equal" for s in looked if s.image.min() == s.image.max()}
        odd |= {path: "the mask is all one" for path, share in masks.items() if share == 1}
        found["broken files"] += [f"content: {path}: {what}" for path, what in odd.items()]
        if masks and sorted(masks.values())[len(masks) // 2] > 0.5:
            found["swapped masks"].append(
                f"{name}: masks cover {row['mask share']:.0%} of defective pictures"
            )
    normal, abnormal = (sum(row[label] for row in rows) for label in ("normal", "abnormal"))
    if not (normal and abnormal):
        found["one label"] = [f"all {len(data)} pictures are {'normal' if normal else 'abnormal'}"]
    elif min(normal, abnormal) < 0.1 * len(data):
        found["unbalanced"] = [f"{normal} normal and {abnormal} abnormal pictures"]
    lone = [row["class"] for row in rows if normal and abnormal and row["balance"] in (0, 1)]
    notes = [
        data.detected,
        f"one label only, hence no image AUROC: {', '.join(lone)}" if lone else "",
    ]
    return _conclude(
        "dataset", f"data set of {len(data)} pictures", found, rows, notes, samples[:12]
    )


def _class_row(
    name: str, normal: int, abnormal: int, looked: list
) -> tuple[dict, dict[str, float]]:
    """One class's line of the table, and how much of each defective picture its mask covers."""
    masks = {s.path: float(s.mask.mean()) for s in looked if s.label and s.mask is not None}
    (share, error), sizes = (
        _mean(list(masks.values())),
        sorted({s.image.shape[1::-1] for s in looked}),
    )
    row = {
        "class": name,
        "normal": normal,
        "abnormal": abnormal,
        "balance": abnormal / (normal + abnormal),
        "even": 0.5,
        "±": 0.5 / math.sqrt(normal + abnormal),
        "looked at": len(looked),
        "mask share": share,
        "mask ±": error,
        "inverted": None if share is None else 1 - share,
        "sizes": " to ".join(f"{w}x{h}" for w, h in sizes[:: max(1, len(sizes) - 1)]),
    }
    return row, masks


# ---- losses and gradients ------------------------------------------------------------------------


def _ready(model, batch: dict) -> dict:
    """The batch on the model's device."""
    if "mask" not in batch:
        raise ValueError(
            "the losses need masks, this batch has none: is its data set image-level only?"
        )
    device = model.clip.text_projection.device
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def _values(model, batch: dict, stage: str) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """(weighted parts of a stage's loss, each (B,), whose means add up to what training minimises,
    with its graph; the same for two equal anchors; number of levels).
    """
    recipe = model.recipe
    mask = batch["mask"]
    images = model.preprocess(batch["image"])
    with torch.set_grad_enabled(stage != "image"):
        adapted = True if stage == "text" else None
        anchors = model.text_anchors(list(dict.fromkeys(batch["class_name"])), adapted=adapted)
        anchors = stack_anchors(anchors, batch["class_name"])
    if stage == "text":
        levels = model.dense_features(images)
        levels = levels if recipe.stage1_levels == "all" else levels[-1:]
        feature = None
    else:
        levels, feature = model(images)

    def parts(anchors: Tensor) -> dict[str, Tensor]:
        scale = recipe.logit_scale
        size = mask.shape[-2:]
        maps = [probability_map(x, anchors, size, scale, recipe.align_corners) for x in levels]
        values = {part: sum(loss(p, mask) for p in maps) for part, loss in SEGMENTATION.items()}
        if feature is None:
            values["separation"] = recipe.orthogonal_weight * orthogonal(anchors)[None]
        else:
            values["detection"] = detection(
                feature, anchors, batch["label"], recipe.detection_scale, reduction="none"
            )
        return values

    return parts(anchors), parts(anchors[..., :1].expand_as(anchors)), len(levels)


def _backward(loss: Tensor, weights: list[Tensor]) -> list[Tensor | None]:
    """The gradient of each weight; None where the weight is frozen or the loss does not depend on
    it.
    """
    able = [w for w in weights if w.requires_grad and loss.requires_grad]
    found = iter(
        torch.autograd.grad(loss, able, retain_graph=True, allow_unused=True) if able else ()
    )
    return [next(found) if able and w.requires_grad else None for w in weights]


def _flat(gradients: list[Tensor | None]) -> Tensor:
    """One row of all numbers, empty if there are none."""
    return torch.cat(
        [torch.zeros(0), *(g.detach().flatten().double().cpu() for g in gradients if g is not None)]
    )


@torch.enable_grad()
def losses(model, batch: dict, stages: tuple[str, ...] = ("text", "image")) -> Finding:
    """Each weighted part of the loss beside its value for equal anchors ("undecided") and for the
    answer "all normal", with the length of its gradient at weights that the parts share: text
    adapters, or adapters of the image blocks.
    """
    batch = _ready(model, batch)
    found, rows, mask = defaultdict(list), [], batch["mask"]
    if len(batch["label"].unique()) < 2:
        found["one label"] = [f"all {len(mask)} pictures have label {int(batch['label'][0])}"]
    sure = torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)
    for stage in stages:
        values, undecided, levels = _values(model, batch, stage)
        normal = {
            part: levels * float(loss(sure, mask).mean()) for part, loss in SEGMENTATION.items()
        }
        every = model.trainable(stage)
        shared = [
            w for name, w in every.items() if stage == "text" or "layer_adapters" in name
        ] or list(every.values())
        lengths = {
            part: float(_flat(_backward(value.mean(), shared)).norm())
            for part, value in values.items()
        }
        for part, value in values.items():
            (mean, error), share = _mean(value), lengths[part] / (sum(lengths.values()) or 1.0)
            rows.append(
                {
                    "stage": stage,
                    "part": part,
                    "value": mean,
                    "±": error,
                    "undecided": _mean(undecided[part])[0],
                    "all normal": normal.get(part),
                    "gradient": lengths[part],
                    "share": share,
                    "even": 1 / len(values),
                }
            )
            if not math.isfinite(mean):
                found["not finite"].append(f"{stage}: {part} is {mean}")
            elif mean and not lengths[part]:
                found["detached"].append(f"{stage}: {part} has no gradient at the shared weights")
            elif share > DOMINATED:
                found["dominated"].append(f"{stage}: {part} has {share:.0%} of the gradient")
        ours, theirs = (sum(parts[part] for part in SEGMENTATION) for parts in (values, undecided))
        (mean, error), null = _mean(ours), min(_mean(theirs)[0], sum(normal.values()))
        if not mean < null - 2 * (error or 0.0):
            found["at null"].append(
                f"{stage}: segmentation {mean:.3g} is not below a constant answer's {null:.3g}"
            )
    return _conclude("losses", f"loss of {len(mask)} pictures", found, rows)


@torch.enable_grad()
def gradients(
    model, batch: dict | None = None, stage: str = "image", loss: Tensor | None = None, scale=1.0
) -> Finding:
    """By module, of a batch's loss, of one's own `loss`, or, without both, of what backward() left
    in .grad.

    scale: the factor (or GradScaler) that is still in that loss or in .grad; the numbers here are
    without it.
    noise: error of the length, from two halves of the batch; agreement: the halves' cosine, 0 for
    unrelated gradients.
    """
    found, weights, halves = defaultdict(list), model.trainable(stage), []
    factor = (
        1.0
        if batch is not None
        else float(scale.get_scale() if hasattr(scale, "get_scale") else scale)
    )
    if batch is not None:
        batch = _ready(model, batch)
        loss = sum(value.mean() for value in _values(model, batch, stage)[0].values())
        order = batch["label"].argsort(stable=True).tolist()  # so that both halves have both labels
        for rows in (order[::2], order[1::2]) if len(order) > 1 else ():
            half = {
                k: v[rows] if isinstance(v, Tensor) else [v[i] for i in rows]
                for k, v in batch.items()
            }
            part = sum(value.mean() for value in _values(model, half, stage)[0].values())
            halves.append(
                _by_module(zip(weights, _backward(part, [*weights.values()]), strict=True))
            )
    every = (
        [w.grad for w in weights.values()] if loss is None else _backward(loss, [*weights.values()])
    )
    if any(w.requires_grad for w in weights.values()):
        if loss is not None and not loss.requires_grad:
            found["detached"] = [
                "the loss has no graph: it was detached, or computed under no_grad"
            ]
        elif loss is None and all(g is None for g in every):
            found["detached"] = [
                "no weight has a .grad: backward() did not run, or its loss was detached"
            ]
    rows, owned = [], _by_module(weights.items())
    for module, parts in _by_module(zip(weights, every, strict=True)).items():
        flat, n = _flat(parts) / factor, sum(w.numel() for w in owned[module])
        noise, agreement, length = None, None, float(flat.norm())
        if halves and len(flat):
            one, two = (_flat(half[module]) for half in halves)
            noise, agreement = (
                float((one - two).norm()) / 2,
                float(F.cosine_similarity(one, two, dim=0)),
            )
        rows.append(
            {
                "module": module,
                "weights": n,
                "length": length,
                "noise": noise,
                "a weight": length / n**0.5,
                "epsilon": EPSILON,
                "agreement": agreement,
                "unrelated": 0.0,
                "±": n**-0.5,
            }
        )
        if not any(w.requires_grad for w in owned[module]):
            found["frozen"].append(f"{module}: requires_grad is False")
        elif not math.isfinite(length) or (len(flat) and float(flat.abs().max()) > HALF_MAX):
            found["exploding"].append(
                f"{module}: length {length:.3g}, beyond what half precision holds"
            )
        elif not length and not found["detached"] and module not in _unread(model.depths):
            found["cut off"].append(f"{module}: the loss does not depend on it")
        elif length and length / n**0.5 < EPSILON:
            found["vanishing"].append(
                f"{module}: {length / n**0.5:.3g} a weight, below Adam's epsilon {EPSILON}"
            )
    return _conclude("gradients", f"gradients of stage {stage}", found, rows)


# ---- anchors and logits --------------------------------------------------------------------------


@torch.no_grad()
def anchors(model, names) -> Finding:
    """Per class: cosine and distance of the two anchors, beside those of CLIP's own text tower
    (frozen).

    reach: logit scale x distance, the logit of a patch that points straight from normal to
    abnormal; random: what one that points anywhere gets. Cosines of random directions are 0 within
    1 / sqrt(d).
    """
    scale, own, frozen = (
        model.recipe.logit_scale,
        model.text_anchors(names),
        model.text_anchors(names, adapted=False),
    )
    if not own:
        raise ValueError("anchors needs at least one class name")
    rows = []
    for name, pair in own.items():
        (cosine, apart), (cosine0, apart0) = (
            (float(a[:, 0] @ a[:, 1]), float((a[:, 1] - a[:, 0]).norm()))
            for a in (pair, frozen[name])
        )
        rows.append(
            {
                "class": name,
                "cosine": cosine,
                "frozen cosine": cosine0,
                "random ±": len(pair) ** -0.5,
                "distance": apart,
                "frozen distance": apart0,
                "reach": scale * apart,
                "frozen reach": scale * apart0,
                "random": scale * apart / len(pair) ** 0.5,
            }
        )
    (reach, error), (random, _) = (
        _mean([row[column] for row in rows]) for column in ("reach", "random")
    )
    found = {}
    if reach < UNDECIDED:
        surest = 1 / (1 + math.exp(-reach))
        found["collapsed"] = [
            f"scale x distance is {reach:.3g}: no patch gets beyond p = {surest:.2f}"
        ]
    if random > SATURATED:
        found["saturated"] = [
            f"random directions get logits of {random:.3g}, {SATURATED:.3g} leaves no gradient"
        ]
    if model.recipe.trains_text and all(
        abs(row["cosine"] - row["frozen cosine"]) < 1e-6 for row in rows
    ):
        found["untrained"] = [
            "the anchors are those of CLIP's own text tower: stage 1 has not moved them"
        ]
    notes = [
        f"mean of {len(rows)} classes: logit scale {scale:g} x distance = {reach:.3g} ± "
        f"{_shown(error)}"
    ]
    return _conclude("anchors", f"anchors of {len(rows)} classes", found, rows, notes)


@torch.no_grad()
def scales(model_a, model_b, images: Tensor, name: str = "object") -> Finding:
    """Logits (abnormal minus normal) of two models on the same pictures (B, 3, H, W), uint8 or in
    [0, 1].
    """
    every = []
    for model in (model_a, model_b):
        pair = model.text_anchors([name])[name]
        features = model(model.preprocess(images.to(pair.device)))
        maps = sum(
            similarity_logits(level, pair, model.recipe.logit_scale).flatten(2)
            for level in features.levels
        )
        pictures = model.recipe.detection_scale * features.detection @ pair  # (B, 2)
        every.append(
            {"map": maps[:, 1] - maps[:, 0], "detection": pictures[:, 1:].T - pictures[:, :1].T}
        )
    found, rows = defaultdict(list), []
    for kind in every[0]:
        logits = [one[kind].double() for one in every]  # (B, N) each, or (1, B)
        spreads = [one.std(dim=1) for one in logits]
        if min(float(spread.min()) for spread in spreads) < 1e-9 or spreads[0].isnan().any():
            found["constant"].append(
                f"{kind}: one logit only, from a model or for want of pictures"
            )
            continue
        logs = (spreads[1] / spreads[0]).log()
        mean, error = _mean(logs)
        # one value a picture has no second set to compare with: the error of a deviation of B
        # normal values, twice
        error = error if error is not None else (1 / max(1, logits[0].shape[1] - 1)) ** 0.5
        ratio = math.exp(mean)
        for label, one in zip("ab", logits, strict=True):
            rows.append(
                {
                    "logits": kind,
                    "model": label,
                    "lowest": float(one.min()),
                    "highest": float(one.max()),
                    "mean": float(one.mean()),
                    "std": float(one.std()),
                    "b / a": ratio,
                    "equal": 1.0,
                    "±": ratio * error,
                }
            )
        if abs(mean) > math.log(FAR):
            found["scale mismatch"].append(
                f"{kind}: model b's logits spread {ratio:.3g} times as far as model a's"
            )
    return _conclude("scales", "logit scales", found, rows)
