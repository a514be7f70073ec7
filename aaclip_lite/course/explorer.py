"""The explorer: what every choice of the method does to a map, at once.

Special: what the sliders of widgets.py show are two plain functions, Setting -> View:
`Explorer.one` (a picture) and `Explorer.many` (all of a product). A page without a kernel shows the
very same pictures. A change redoes only what hangs on it: words the text tower, the adapters' mix
one pass of one picture; level weights, blur and threshold need nothing but sums. Maps count
deviations above what good parts of the product give under the SAME setting: one threshold means the
same in all.

    explorer = Explorer(detector, aa.open_dataset("factory/test", size=128), ["bottle", "wood"])
    start = explorer.start("bottle", picture=7)
    explorer.one(replace(start, blur=2.0))  # a View; the last line of a cell shows it
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import metrics, scoring
from ..datasets import AnomalyDataset, Sample
from ..detector import AnomalyDetector
from ..prompts import TEMPLATES
from .style import ENDS, UNIT
from .views import GAP, LINE, SIDE, THUMB, Tile, View, laid_over, rings, sheet, stack

__all__ = ["DEFECTIVE", "GOOD", "REFERENCE", "Explorer", "Setting", "precision_recall", "stack"]

# a product's pictures: two kinds that are shown, and good ones that set the scale
GOOD = 5
DEFECTIVE = 7
REFERENCE = 3
COLUMNS = 8  # pictures in a line of `many`
MIXES = (0.0, 0.15, 0.3, 0.6, 1.0)  # adapter mixes whose scale is prepared


@dataclass(frozen=True)
class Setting:
    """Every choice that the explorer offers. `Explorer.start` fills in the detector's own."""

    product: str
    picture: int = 0  # which one, good parts first
    good_words: str = ""  # said of a good part; "" for the recipe's own sentences
    defect_words: str = ""  # said of a defective one
    level_weights: tuple[float, ...] = ()  # () gives every level the same
    blur: float = 0.0  # sigma in patches
    # share of the adapted token behind each block; at 0 the blocks are CLIP's
    adapter_mix: float = 0.0
    threshold: float = 4.0  # deviations above normal


def _said(setting: Setting) -> tuple[str, str, str]:
    return setting.product, setting.good_words.strip(), setting.defect_words.strip()


class Explorer:
    def __init__(
        self,
        detector: AnomalyDetector,
        data: AnomalyDataset,
        products: Sequence[str] | None = None,
        mixes: Sequence[float] = MIXES,
    ) -> None:
        """data: pictures of one size. What the sliders will need passes through the model now,
        once.
        """
        self.detector, self.own_mix = detector, detector.model.recipe.image_mix
        self.mixes, self.parts = sorted({*mixes, self.own_mix}), {}
        self._anchors: dict[tuple[str, ...], Tensor] = {}
        self._passed: dict[tuple[str, int, float], Tensor] = {}
        self._compared: dict[tuple, dict[int, Tensor]] = {}  # small: patch grids
        for name in data.classes if products is None else products:
            subset, rng = data.filter(name), np.random.default_rng(0)
            good, bad = (
                rng.permutation([i for i, r in enumerate(subset.records) if r.label == x])
                for x in (0, 1)
            )
            if len(good) < (least := GOOD + REFERENCE) or not len(bad):
                have = f"{len(good)} good and {len(bad)} defective pictures"
                raise ValueError(f"{name}: {have}; at least {least} and 1 are needed")
            bad = sorted(bad[:DEFECTIVE], key=lambda i, subset=subset: subset.records[i].defect)
            self.parts[name] = [
                subset[int(i)] for i in (*good[:GOOD], *bad, *good[GOOD : GOOD + REFERENCE])
            ]
            count = len(self.parts[name])
            for mix in self.mixes:
                needed = range(0 if mix == self.own_mix else count - REFERENCE, count)
                keys = [(name, number, mix) for number in needed]
                self._passed |= zip(keys, self._features(name, needed, mix), strict=True)

    def start(self, product: str, **changes) -> Setting:
        """The detector's own setting."""
        model = self.detector.model
        blur = model.recipe.blur
        if blur is None:
            blur = scoring.BLUR[self.detector.domain][1]
        levels = (1.0,) * len(model.depths.levels)
        choices = {"level_weights": levels, "blur": blur, "adapter_mix": self.own_mix}
        return Setting(product, **(choices | changes))

    def shown(self, product: str) -> list[Sample]:
        if product not in self.parts:
            raise ValueError(f"product {product!r}: this explorer holds {', '.join(self.parts)}")
        return self.parts[product][:-REFERENCE]

    def _features(self, product: str, pictures: Sequence[int], mix: float) -> Tensor:
        """(B, levels, N, d); only what is not prepared passes through the model."""
        keys, fresh = [(product, number, mix) for number in pictures], {}
        if missing := [key for key in keys if key not in self._passed]:
            # the same weights; only the copy's recipe changes
            model = copy.copy(self.detector.model)
            model.recipe = model.recipe.replace(image_mix=mix)
            images = np.stack([self.parts[product][number].image for _, number, _ in missing])
            images = torch.from_numpy(images).movedim(-1, 1).to(next(model.parameters()).device)
            with torch.no_grad():
                levels = model(model.preprocess(images)).levels
            fresh = dict(zip(missing, torch.stack(levels, 1).cpu(), strict=True))
        return torch.stack([fresh[key] if key in fresh else self._passed[key] for key in keys])

    def anchors(self, setting: Setting) -> Tensor:
        """(d, 2), good and defective; words that are given stand in the recipe's templates."""
        if (key := _said(setting)) not in self._anchors:
            model, anchors = self.detector.model, self.detector.anchor(setting.product).clone()
            encode = model.encode_text if model.recipe.trains_text else model.clip.encode_text
            for side, words in enumerate(key[1:]):
                if words:
                    templates = TEMPLATES[model.recipe.templates]
                    with torch.no_grad():
                        said = encode([template.format(words) for template in templates])
                        anchors[:, side] = F.normalize(F.normalize(said, dim=-1).mean(0), dim=-1)
            if any(key[1:]) and float(anchors[:, 0] @ anchors[:, 1]) > 1 - 1e-5:
                raise ValueError(
                    "good and defective words say the same to this CLIP; does it know any of them?"
                )
            self._anchors[key] = anchors.cpu()
        return self._anchors[key]

    def unknown(self, words: str) -> str:
        """Those of the words that this CLIP never read: they all share one vector."""
        clip = self.detector.model.clip
        table = clip.token_embedding.weight[:, 0]
        values, counts = table.unique(return_counts=True)
        if counts.max() < len(table) // 10:
            return ""  # an ordinary CLIP: a vector for each word
        shared = values[counts.argmax()]
        pieces = {word: clip.tokenize([word])[0] for word in words.split()}
        inner = {word: ids[1 : int(ids.argmax())] for word, ids in pieces.items()}  # no begin, end
        return ", ".join(word for word, ids in inner.items() if (table[ids] == shared).any())

    def _scored(self, setting: Setting, pictures: Sequence[int]) -> Tensor:
        """(B, levels, n, n): each level's own map on the patch grid."""
        known = self._compared.setdefault((*_said(setting), setting.adapter_mix), {})
        if missing := [number for number in pictures if number not in known]:
            levels = self._features(setting.product, missing, setting.adapter_mix).unbind(1)
            logits = torch.stack(
                [scoring.similarity_logits(level, self.anchors(setting)) for level in levels], dim=1
            )
            known |= zip(missing, (logits[:, :, 1] + 1 - logits[:, :, 0]) / 2, strict=True)
        return torch.stack([known[number] for number in pictures])

    def maps(self, setting: Setting, pictures: Sequence[int] | None = None) -> np.ndarray:
        """(B, H, W) in deviations above normal, of these pictures or of all that are shown."""
        parts, recipe = self.shown(setting.product), self.detector.model.recipe
        depth = len(self.detector.model.depths.levels)
        chosen = range(len(parts)) if pictures is None else pictures
        weights = torch.tensor(setting.level_weights or (1.0,) * depth)
        if len(weights) != depth or weights.min() < 0 or not weights.any():
            said = " ".join(f"{each:g}" for each in setting.level_weights)
            raise ValueError(
                f"level weights {said}: give {depth}, none below 0, at least one above"
            )
        if wrong := [number for number in chosen if not 0 <= number < len(parts)]:
            raise ValueError(f"picture {wrong[0]}: {setting.product} has 0 to {len(parts) - 1}")
        reference = range(len(parts), len(parts) + REFERENCE)
        scored = self._scored(setting, [*chosen, *reference])
        grid = torch.einsum("blhw,l->bhw", scored, weights)[:, None]
        size, finish = parts[0].image.shape[:2], (recipe.align_corners, setting.blur)
        maps = scoring.finish(grid, size, self.detector.domain, *finish)
        return scoring.z_scores(maps, scoring.fit_constants(maps[-REFERENCE:]))[:-REFERENCE].numpy()

    # ---- the two views ---------------------------------------------------------------------------

    def one(self, setting: Setting) -> View:
        """A picture, its map under the detector's own setting and under this one, and what exceeds
        the threshold.
        """
        part, own = self.shown(setting.product)[setting.picture], self._own(setting)
        anomaly_map, usual_map = (self.maps(each, [setting.picture])[0] for each in (setting, own))
        grey = np.array(Image.fromarray(part.image).convert("L"))
        marked = anomaly_map > setting.threshold
        precision, recall = precision_recall(marked, part.mask > 0)
        text = f"threshold {setting.threshold:.1f}: {marked.mean():.1%} of the pixels marked, "
        on_good = "all of them wrongly" if marked.any() else "as it should be on a good part"
        right = f"precision {precision:.0%}, recall {recall:.0%}"
        text += right if part.label else on_good
        grey[marked], grey[~marked] = 255, grey[~marked] // 2
        defect = rings(part.mask)
        panels = [
            ("picture", part.image),
            ("map, own setting", laid_over(part.image, usual_map), defect),
            ("map, this setting", laid_over(part.image, anomaly_map), defect),
            ("white: above the threshold", grey, defect),
        ]
        tiles = [
            Tile((GAP + i * (SIDE + GAP), 2 * LINE), SIDE, *each) for i, each in enumerate(panels)
        ]
        title = f"{setting.product}: {part.defect or 'good'}; {self.difference(setting)}"
        foot = f"{text}; maps: {ENDS[0]:.0f} (dark) to {ENDS[1]:.0f} (bright) {UNIT}"
        figures = {"precision": precision, "recall": recall}
        return View(sheet(title, tiles, 2 * LINE + SIDE + 4, foot), figures, f"{title}; {text}")

    def many(self, setting: Setting) -> View:
        """All pictures of a product; those whose hottest hundredth exceeds the threshold are
        rejected.
        """
        parts, scores = self.shown(setting.product), self.scores(setting)
        rejected = scores > setting.threshold
        bad = np.array([part.label == 1 for part in parts])
        tiles = []
        precision, recall = precision_recall(rejected, bad)
        heads, top = [], LINE
        for word, chosen in (("passed", ~rejected), ("rejected", rejected)):
            heads.append((f"{sum(chosen)} {word}", (GAP, top + 2)))
            for place, i in enumerate(sorted(np.flatnonzero(chosen), key=scores.__getitem__)):
                row, column = divmod(place, COLUMNS)
                at = GAP + column * (THUMB + GAP), top + 2 * LINE + 4 + row * (THUMB + LINE)
                label = parts[i].defect or "good"
                tiles.append(Tile(at, THUMB, label, parts[i].image, wrong=rejected[i] != bad[i]))
            top += LINE + 8 + max(1, -(-sum(chosen) // COLUMNS)) * (THUMB + LINE)
        # as high as both halves ever are, so that the page does not jump when the threshold moves
        top = LINE + 2 * (LINE + 8) + (1 + -(-len(parts) // COLUMNS)) * (THUMB + LINE)
        title = f"{setting.product}, {self.difference(setting)}: "
        title += f"{sum(~rejected)} passed, {sum(rejected)} rejected"
        text = f"threshold {setting.threshold:.1f}: {sum(rejected & bad)} of {sum(bad)} defective caught, "
        text += f"{sum(rejected & ~bad)} false alarms, "
        text += f"precision {precision:.0%}, recall {recall:.0%}"
        figures = {"precision": precision, "recall": recall}
        foot = f"{text} (thick frame: wrong)"
        return View(sheet(title, tiles, top + 4, foot, heads), figures, f"{title}; {text}")

    def scores(self, setting: Setting) -> np.ndarray:
        """(B,) of all that are shown: the mean of each map's hottest hundredth."""
        return scoring.top_fraction(torch.from_numpy(self.maps(setting))).numpy()

    def _own(self, setting: Setting) -> Setting:
        return self.start(setting.product, picture=setting.picture, threshold=setting.threshold)

    def difference(self, setting: Setting) -> str:
        """The choices that are not the detector's own, in words."""
        own, said = self._own(setting), []
        for name in (field.name for field in fields(Setting)):
            if (value := getattr(setting, name)) != getattr(own, name):
                if isinstance(value, tuple):
                    value = " ".join(f"{each:g}" for each in value)
                said.append(f"{name} {value}")
        for words in _said(setting)[1:]:
            if strange := self.unknown(words):
                said.append(f"unknown to this CLIP: {strange}")
        return ", ".join(said) or "own setting"


def precision_recall(marked: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(share of what is marked that is true, share of what is true that is marked), of pixels or of
    pictures.
    """
    both = int((marked & truth).sum())
    precision = both / int(marked.sum()) if marked.any() else metrics.Undefined("nothing is marked")
    recall = both / int(truth.sum()) if truth.any() else metrics.Undefined("nothing is defective")
    return precision, recall
