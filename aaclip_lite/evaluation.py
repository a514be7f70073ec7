"""How good is it, honestly: a model or detector on a data set, class by class, beside baselines
that know less.

Special: pictures stream through and only histograms stay, so 1,000 pictures need the memory of 100
(decoded pictures are kept by the data set, up to its `cache_bytes`). Intervals are a Poisson
bootstrap: beside the figures run `rounds` more, in which every picture counts 0, 1, 2 ... times.
Where torch.distributed is up, each process takes its share of the classes and all get the whole
report.

    report = evaluate(model, open_dataset("factory/test"), baselines=True,
    train=open_dataset("factory/train")) print(report.table()); report.save("runs/a/report.json");
    report.mean["pixel_auroc"], report.intervals["mean"]
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from tqdm.auto import tqdm

from . import metrics, scoring
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .model import AdaptedCLIP, stack_anchors
from .world.products import PRODUCTS

NAMES = (*metrics.PIXEL_NAMES, *metrics.IMAGE_NAMES)
HEADS = ("pixel AUROC", "AP", "F1-max", "PRO", "inside", "peak hit", "image AUROC", "AP", "F1-max")
STAGES = ("image", "text", "frozen")
# of a training set; share of a patch that makes it defective
PROBE_PICTURES, DEFECTIVE = (
    1000,
    0.15,
)
Found = dict[str, tuple[Tensor, Tensor]]  # {name: (maps (B, H, W), scores (B,))}
Heat = Callable[[dict], Found]  # what is judged: a batch of the data set -> maps and scores


@dataclass(repr=False)
class Report:
    """Figures under their names in metrics.py. One without a value is NaN with a reason, null in
    JSON, - in tables.
    """

    mean: dict[str, float]  # plain mean over the classes that have the figure
    classes: dict[str, dict[str, float]]
    # the mean over objects and over textures, where the factory knows them
    groups: dict[str, dict[str, float]]
    # by kind: pixels of its own pictures; its pictures against all normal ones
    defects: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]  # 95 %, by class and for "mean"
    baselines: dict[str, dict[str, float]]  # their means, and below, class by class
    baseline_classes: dict[str, dict[str, dict[str, float]]]
    # index in the data set, path, class_name, defect, label, score, own pixel_ap and peak_hit
    pictures: list[dict]
    about: dict[str, str | int]

    def table(self, markdown: bool = False) -> str:
        """Classes, means with their interval, kinds of defect and baselines, one row each."""
        ends = (
            {n: self.intervals["mean"].get(n, (np.nan, np.nan))[i] for n in NAMES} for i in (0, 1)
        )
        rows = (
            self.classes
            | {"MEAN": self.mean}
            | dict(zip(("  95 % from", "  95 % to"), ends, strict=True))
        )
        for title, part in (
            ("", self.groups),
            ("defect: ", self.defects),
            ("baseline: ", self.baselines),
        ):
            rows |= {f"{title}{name}": row for name, row in part.items()}
        cells = [["", *HEADS]]
        cells += [
            [k, *("-" if np.isnan(row[n]) else f"{row[n]:.3f}" for n in NAMES)]
            for k, row in rows.items()
        ]
        if markdown:
            cells.insert(1, ["---"] + ["---:"] * len(NAMES))
            return "\n".join("| " + " | ".join(row) + " |" for row in cells)
        first, *widths = (max(map(len, column)) for column in zip(*cells, strict=True))
        return "\n".join(
            "  ".join([row[0].ljust(first), *map(str.rjust, row[1:], widths)]) for row in cells
        )

    __repr__ = table

    def to_dict(self) -> dict:
        return metrics.jsonable(asdict(self))

    def save(self, path: str | Path) -> Path:
        """All of it as .json, or what was judged and the table as .md."""
        path = Path(path)
        if path.suffix not in (".json", ".md"):
            raise ValueError(f"{path}: a report is saved as .json or .md")
        about = "".join(
            f"- {key.replace('_', ' ')}: {value}\n" for key, value in self.about.items()
        )
        text = (
            json.dumps(self.to_dict(), indent=1)
            if path.suffix == ".json"
            else f"{about}\n{self.table(True)}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path

    def extremes(self, count: int = 8) -> dict[str, list[dict]]:
        """Defective pictures with the best and worst maps (by their own pixel AP), normal ones that
        score highest.
        """
        known = sorted(
            (row for row in self.pictures if row["pixel_ap"] is not None),
            key=lambda row: -row["pixel_ap"],
        )
        alarms = sorted(
            (row for row in self.pictures if not row["label"]), key=lambda row: -row["score"]
        )
        return {"best": known[:count], "worst": known[::-1][:count], "false alarms": alarms[:count]}


def evaluate(
    model,
    data: AnomalyDataset,
    *,
    stage: str = "image",
    baselines: bool = False,
    train: AnomalyDataset | None = None,
    domain: str = "industrial",
    rounds: int = 100,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Run over the data once and report.

    model: an AdaptedCLIP, a FrozenCLIP, or an AnomalyDetector (with its own scores and domain).
    stage: what of an AdaptedCLIP is judged: "image" (all of it), "text" (stage 1: trained words on
    frozen dense patches) or "frozen" (CLIP's own words on them). baselines: also judge frozen CLIP,
    trivial rules and, given `train`, a linear probe.
    """
    if not len(data) or rounds < 1:
        raise ValueError(
            f"there are {len(data)} pictures to judge, and rounds = {rounds}: both must be at "
            "least 1"
        )
    model, stage = (
        (AdaptedCLIP(model), "frozen") if isinstance(model, FrozenCLIP) else (model, stage)
    )
    inner = getattr(model, "model", model)  # a detector holds its model
    detects, device = inner is not model, inner.clip.text_projection.device
    kind = model.score_kind if detects else inner.recipe.image_score
    heats = [
        heat_of(model, stage, domain),
        *([frozen_heat(inner, domain, train), trivial_heat] if baselines else []),
    ]
    rank, world = _processes()
    place, results = {record: i for i, record in enumerate(data.records)}, {}
    with tqdm(
        total=len(data), desc="evaluating", unit="picture", disable=not progress or rank > 0
    ) as bar:
        for name in data.classes[rank::world]:
            part, kept = data.filter(name), {}
            for batch in part.batches(batch_size, device=device):
                defects = [part.records[i].defect for i in batch["index"]]
                for heat in heats:
                    with torch.no_grad():
                        found = heat(batch)
                    for label, (maps, scores) in found.items():
                        figures = kept.setdefault(
                            label, _Figures(0 if label else rounds, name, seed)
                        )
                        figures.update(maps, scores, batch, defects)
                bar.update(len(defects))
            results[name] = {
                k: f.result("" if k or detects else kind, domain) for k, f in kept.items()
            }
            for row, record in zip(results[name][""]["pictures"], part.records, strict=True):
                row |= {
                    "index": place[record],
                    "path": record.image,
                    "class_name": name,
                    "defect": record.defect,
                }
    shares = [results] * world
    if world > 1:
        distributed.all_gather_object(shares, results)
    results = {name: found for share in shares for name, found in share.items()}
    about = {
        "data": repr(data),
        "recipe": inner.recipe.name,
        "judged": "detector" if detects else "model",
    }
    whole = ", brought to one scale over the whole class" if kind in _JOINED and not detects else ""
    about |= {
        "stage": stage,
        "image_score": kind + whole,
        "domain": model.domain if detects else domain,
    }
    return _report({name: results[name] for name in data.classes}, about | {"rounds": rounds})


# ---- what gives maps and scores ------------------------------------------------------------------


def heat_of(model, stage: str = "image", domain: str = "industrial") -> Heat:
    """What evaluate judges, under the name "": a detector's maps; an adapted model's; its stage
    1's, whose detection feature is the class token; or those of CLIP's own words on dense patches.
    """
    if stage not in STAGES:
        raise ValueError(f"stage = {stage!r} is not one of {', '.join(STAGES)}")
    if hasattr(model, "heat"):
        return lambda batch: {"": model.heat(batch["image"], batch["class_name"])}
    model, stage = (
        (AdaptedCLIP(model), "frozen") if isinstance(model, FrozenCLIP) else (model, stage)
    )
    known: dict[str, Tensor] = {}

    def heat(batch: dict) -> Found:
        anchors = _anchors(model, batch["class_name"], known, False if stage == "frozen" else None)
        x = model.preprocess(batch["image"])
        if stage == "image":
            levels, detection = model(x)
        else:
            levels, detection = (
                model.dense_features(x),
                F.normalize(model.clip.encode_image(x), dim=-1),
            )
        maps = scoring.anomaly_map(
            levels, anchors, batch["image"].shape[-2:], domain, **model.recipe.finish
        )
        if model.recipe.image_score == "map_late":
            return {"": (maps, scoring.late_peaks(levels, anchors, domain, blur=model.recipe.blur))}
        return {"": (maps, scoring.image_scores(detection, anchors))}

    return heat


def frozen_heat(model: AdaptedCLIP, domain: str, train: AnomalyDataset | None = None) -> Heat:
    """What the backbone does by itself: CLIP's own words on ordinary and on value-value patches, of
    the last level and of all; and a linear probe, which has labels but no words. Picture score of
    `frozen` is the class token between the two anchors, of the others the hottest part of the map.
    """
    clip, depths, known = model.clip, model.depths, {}
    probe = None if train is None else _fit_probe(model, train)

    def heat(batch: dict) -> Found:
        anchors, x = (
            _anchors(model, batch["class_name"], known, False),
            model.preprocess(batch["image"]),
        )
        size, maps = batch["image"].shape[-2:], {}
        plain = clip.image_tokens(x, depths.levels)
        dense, last = clip.dense_tokens(x, depths.levels, depths.dense_blocks, "patch")
        token = F.normalize(clip.visual_head(last[:, :1]), dim=-1)
        for label, tokens in (("frozen", plain), ("value_value", dense)):
            levels = [F.normalize(clip.visual_head(t[:, 1:]), dim=-1) + token for t in tokens]
            maps[label] = scoring.anomaly_map(
                levels[-1:], anchors, size, domain, **model.recipe.finish
            )
            maps[f"{label}_all_levels"] = scoring.anomaly_map(
                levels, anchors, size, domain, **model.recipe.finish
            )
        if probe is not None:
            grid = (_columns(plain) @ probe).unflatten(1, (1, clip.grid, clip.grid))
            maps["linear_probe"] = scoring.finish(grid, size, domain, **model.recipe.finish)
        between = (token[:, 0] * (anchors[..., 1] - anchors[..., 0])).sum(-1)
        return {k: (m, scoring.top_fraction(m)) for k, m in maps.items()} | {
            "frozen": (maps["frozen"], between)
        }

    return heat


def trivial_heat(batch: dict) -> Found:
    """Rules that know no defect, only what stands out: a data set that these solve proves nothing."""
    image, window = batch["image"], max(3, batch["image"].shape[-1] // 18 // 2 * 2 + 1)
    grey = image.mean(1, keepdim=True)

    def around(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (window // 2,) * 4, mode="replicate"), window, 1)

    sideways, down = (
        F.pad(grey, p, mode="replicate").diff(dim=d)
        for p, d in (((1, 0, 0, 0), 3), ((0, 0, 1, 0), 2))
    )
    median = image.flatten(2).median(-1).values[..., None, None]
    maps = {
        "brightness": grey,
        "darkness": -grey,
        "median_colour": (image - median).abs().sum(1, keepdim=True),
        "local_contrast": (around(grey**2) - around(grey) ** 2).clamp(min=0).sqrt(),
        "edge_density": around(torch.hypot(sideways, down)),
    } | ({"foreground": batch["inside"]} if "inside" in batch else {})
    return {label: (heat[:, 0], scoring.top_fraction(heat[:, 0])) for label, heat in maps.items()}


def _columns(tokens: list[Tensor]) -> Tensor:
    """Levels' tokens (B, 1 + N, D) -> (B, N, levels * D + 1), each level normalised, the last
    column constant.
    """
    return F.pad(
        torch.cat([F.layer_norm(t[:, 1:], t.shape[-1:]) for t in tokens], dim=-1), (0, 1), value=1.0
    )


@torch.no_grad()
def _fit_probe(model: AdaptedCLIP, train: AnomalyDataset) -> Tensor:
    """Weights (levels * D + 1,) that part normal from defective patches: ridge regression in which
    both kinds weigh the same, solved in closed form from sums over the training pictures.
    """
    chosen = np.linspace(0, len(train) - 1, min(PROBE_PICTURES, len(train))).round().astype(int)
    square, total, count = [0.0, 0.0], [0.0, 0.0], [0, 0]  # of normal patches, of defective ones
    for batch in train.view(train.records[i] for i in chosen).batches(
        32, device=model.clip.text_projection.device
    ):
        columns = _columns(
            model.clip.image_tokens(model.preprocess(batch["image"]), model.depths.levels)
        )
        defective = F.adaptive_avg_pool2d(batch["mask"], model.clip.grid).flatten(1) > DEFECTIVE
        for label, rows in enumerate((columns[~defective], columns[defective])):
            square[label] = square[label] + (rows.T @ rows).double()
            total[label], count[label] = (
                total[label] + rows.double().sum(0),
                count[label] + len(rows),
            )
    if not min(count):
        raise ValueError(
            f"a linear probe needs normal and defective patches; {train!r} has {count[0]} and "
            f"{count[1]}"
        )
    both = square[0] / count[0] + square[1] / count[1]
    ridge = (
        1e-3 * both.diagonal().mean() * torch.eye(len(both), dtype=both.dtype, device=both.device)
    )
    return torch.linalg.solve(both + ridge, total[1] / count[1] - total[0] / count[0]).float()


def _anchors(
    model: AdaptedCLIP, names: list[str], known: dict[str, Tensor], adapted: bool | None
) -> Tensor:
    known |= model.text_anchors(sorted(set(names) - known.keys()), adapted)
    return stack_anchors(known, names)


# ---- running figures of one class ----------------------------------------------------------------

# picture scores that need constants or the whole test set
_JOINED = (
    "released",
    "map_top_detection",
)


class _Resampled(metrics.PixelHistogram):
    """A coarse histogram and `rounds` more below it, in which a picture counts as often as its
    weights say.
    """

    def __init__(self, rounds: int, bins: int = 512):
        super().__init__(bins)
        self.counts = np.zeros((5 * (1 + rounds), bins))

    def add(
        self, heat: np.ndarray, mask: np.ndarray, inside: np.ndarray | None, weights: np.ndarray
    ) -> None:
        """One picture (1, H, W)."""
        self._cover(float(heat.min()), float(heat.max()))
        before = self.counts[:5].copy()
        self.update(heat, mask, inside)  # fills the first five rows
        change = self.counts[:5] - before
        used = np.flatnonzero(change.any(0))
        self.counts.reshape(-1, 5, self.counts.shape[1])[1:, :, used] += (
            weights[:, None, None] * change[:, used]
        )

    def figures(self) -> np.ndarray:
        """(1 + rounds, 5): AUROC, AP, F1-max, PRO, AUROC inside; in the first row every picture
        counts once.
        """
        table = []
        for positive, negative, shares, *within in self.counts.reshape(-1, 5, self.counts.shape[1]):
            inside = metrics.binned_curve(*within).figures()[0] if self.with_inside else np.nan
            # a region's sum to 1
            curve = metrics.binned_curve(positive, negative, shares / max(shares.sum(), 1))
            table.append([*curve.figures(), inside])
        return np.array(table, float)


class _Figures:
    """All of one class from one source of maps; with rounds = 0 no intervals, no kinds, no rows of
    pictures.
    """

    def __init__(self, rounds: int, name: str, seed: int):
        self.pixels, self.resampled, self.kinds, self.rounds = (
            metrics.PixelHistogram(),
            _Resampled(rounds),
            {},
            rounds,
        )
        # the same in however many processes
        self.generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self.parts, self.labels, self.defects, self.weights, self.rows = [], [], [], [], []

    def update(self, maps: Tensor, scores: Tensor, batch: dict, defects: list[str]) -> None:
        parts = (
            maps.flatten(1).amin(1),
            maps.flatten(1).amax(1),
            scoring.top_fraction(maps),
            scores,
        )
        self.parts += torch.stack(parts, dim=1).double().tolist()
        self.labels, self.defects = self.labels + batch["label"].tolist(), self.defects + defects
        maps = maps.float().cpu().numpy()
        mask, inside = (
            batch[n][:, 0].cpu().numpy() > 0 if n in batch else None for n in ("mask", "inside")
        )
        if mask is not None:
            self.pixels.update(maps, mask, inside)
        for i in range(len(maps) if self.rounds else 0):
            self.rows.append({"pixel_ap": None, "peak_hit": None})
            self.weights.append(self.generator.poisson(1.0, self.rounds))
            if mask is not None:
                one = (
                    maps[i : i + 1],
                    mask[i : i + 1],
                    None if inside is None else inside[i : i + 1],
                )
                self.resampled.add(*one, self.weights[-1])
                if mask[i].any():
                    own = metrics.pixel_metrics(*one)
                    self.rows[-1] = {key: own[key] for key in self.rows[-1]}
                    self.kinds.setdefault(defects[i], metrics.PixelHistogram(1 << 12)).update(*one)

    def result(self, kind: str, domain: str) -> dict:
        scores, labels = self._scores(kind, domain), np.array(self.labels)
        undefined = dict.fromkeys(metrics.PIXEL_NAMES, metrics.Undefined("no masks were given"))
        pixels = self.pixels.result() if self.pixels.width else undefined
        found = {"figures": pixels | metrics.image_metrics(scores, labels)}
        if self.rounds:
            found |= {
                "kinds": {},
                "replicas": self._replicas(scores, labels),
                "pictures": self.rows,
            }
            for each in sorted(set(self.defects) - {""}):
                chosen, pixels = (
                    (labels == 0) | (np.array(self.defects) == each),
                    self.kinds.get(each),
                )
                images = metrics.image_metrics(scores[chosen], labels[chosen])
                found["kinds"][each] = (pixels.result() if pixels else undefined) | images
            for row, label, score in zip(self.rows, self.labels, scores.tolist(), strict=True):
                row |= {"label": label, "score": score}
        return found

    def _scores(self, kind: str, domain: str) -> np.ndarray:
        """The pictures' scores; where two are joined, both are first brought to one scale over the
        class.
        """
        low, high, top, given = torch.tensor(self.parts, dtype=torch.float64).T
        if kind == "released":  # `fuse` looks only at the ends of the maps
            return scoring.fuse(torch.stack([low, high], 1)[:, None], given, domain).numpy()
        if kind == "map_top_detection":
            return (
                sum(scoring.z_scores(v, scoring.fit_constants(v)) for v in (top, given)).numpy() / 2
            )
        return {"map_max": high, "map_top": top, "map_late": given, "detection": given, "": given}[
            kind
        ].numpy()

    def _replicas(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(1 + rounds, 9): every figure with each picture once, then with its weights."""
        # (1 + rounds, pictures)
        weights = np.stack([np.ones_like(labels), *np.stack(self.weights, axis=1)])
        hits = np.array([row["peak_hit"] for row in self.rows], float)  # NaN where there is no mask
        counted = weights * ~np.isnan(hits)
        share = counted @ np.nan_to_num(hits) / np.maximum(counted.sum(1), 1)
        images = [
            list(metrics.image_metrics(scores.repeat(w), labels.repeat(w)).values())
            for w in weights
        ]
        return np.column_stack([self.resampled.figures(), share, np.array(images, float)])


# ---- putting classes together --------------------------------------------------------------------


def _processes() -> tuple[int, int]:
    """(this one's number, how many)"""
    up = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if up else (0, 1)


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(rows)
    values = {name: [row[name] for row in rows if not np.isnan(row[name])] for name in NAMES}
    return {
        name: float(np.mean(known)) if known else rows[0][name] for name, known in values.items()
    }


def _interval(replicas: np.ndarray, figures: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Where 95 % of the replicas lie; the offset that coarse bins give all of them is taken out."""
    found = {}
    for name, (coarse, *drawn) in zip(NAMES, replicas.T, strict=True):
        if not np.isnan(figures[name]) and not np.isnan(drawn).all():
            ends = np.nanquantile(drawn, (0.025, 0.975)) - coarse + figures[name]
            found[name] = tuple(ends.clip(0, 1).tolist())
    return found


def _report(results: dict[str, dict], about: dict) -> Report:
    """{class: {source ("" for what is judged): its results}} -> Report"""
    main = {name: found[""] for name, found in results.items()}
    classes, replicas = (
        {name: found[key] for name, found in main.items()} for key in ("figures", "replicas")
    )
    labels = [label for label in next(iter(results.values())) if label]
    baselines = {
        label: {name: found[label]["figures"] for name, found in results.items()}
        for label in labels
    }
    groups = {
        word: [classes[n] for n in classes if n in PRODUCTS and PRODUCTS[n].texture == texture]
        for word, texture in (("objects", False), ("textures", True))
    }
    kinds = sorted({kind for found in main.values() for kind in found["kinds"]})
    defects = {
        kind: [found["kinds"][kind] for found in main.values() if kind in found["kinds"]]
        for kind in kinds
    }
    mean = _mean(classes.values())
    together = np.ma.masked_invalid(np.stack(list(replicas.values()))).mean(0).filled(np.nan)
    return Report(
        mean=mean,
        classes=classes,
        groups={word: _mean(rows) for word, rows in groups.items() if rows},
        defects={kind: _mean(rows) for kind, rows in defects.items()},
        intervals={"mean": _interval(together, mean)}
        | {n: _interval(replicas[n], classes[n]) for n in classes},
        baselines={label: _mean(rows.values()) for label, rows in baselines.items()},
        baseline_classes=baselines,
        pictures=[row for found in main.values() for row in found["pictures"]],
        about=about,
    )
