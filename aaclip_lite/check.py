"""Checks of the course's exercises: each takes the learner's function and answers in one sentence.

Special: an answer is true only when the exercise is solved, so `aa.check.mix(my_mix)` prints "not done yet", "correct"
or a hint, and `assert aa.check.mix(my_mix)` stops a run. A hint names the shape, value or idea that is off, never the
answer. An empty exercise is no error: a notebook with all of them left blank still runs to its end.
Use: `aa.check.NAME(your_function)`; `aa.check.EXERCISES` lists them by chapter.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from . import adapters, losses
from .recipe import Recipe

EXERCISES: dict[str, tuple[str, Callable]] = {}  # name -> (chapter, check), in the order of the course


class Hint(Exception):
    """What is off, said by a check."""


@dataclass(frozen=True, repr=False)
class Answer:
    exercise: str
    state: str  # "correct", "not done yet" or "look again"
    hint: str = ""

    def __bool__(self) -> bool:
        return self.state == "correct"

    def __repr__(self) -> str:
        return f"{self.exercise}: {self.state}" + (f". {self.hint}" if self.hint else "")


def exercise(chapter: str) -> Callable:
    """Make a check of a function that calls the learner's and raises a Hint where it is off."""

    def decorate(check: Callable) -> Callable:
        @functools.wraps(check)
        def judged(learner: Callable) -> Answer:
            name = check.__name__
            if not callable(learner):
                return Answer(name, "look again", f"give the function itself, not what it returns ({_kind(learner)})")
            try:
                check(learner)
            except NotImplementedError:
                return Answer(name, "not done yet", "Replace the line that raises NotImplementedError")
            except Hint as hint:
                return Answer(name, "look again", str(hint))
            except Exception as error:  # whatever the learner's code does is the learner's to see
                return Answer(name, "look again", f"your function stopped with {type(error).__name__}: {error}")
            return Answer(name, "correct")

        EXERCISES[check.__name__] = (chapter, judged)
        return judged

    return decorate


def same(found, expected, what: str = "the result", tolerance: float = 1e-4, hints: Sequence[tuple] = ()) -> None:
    """Raise a Hint that says in what `found` differs from `expected`: kind, shape or values.

    hints: (wrong value, sentence) pairs: what a known mistake would have given, and the idea to look at again.
    """
    if found is None:
        raise Hint(f"{what} is None: does your function return it?")
    if isinstance(expected, (bool, str)) or not isinstance(expected, (torch.Tensor, np.ndarray, float, int)):
        if found != expected:
            raise Hint(next((say for wrong, say in hints if found == wrong), f"{what} is {found!r}, which is not it"))
        return
    if not isinstance(found, (torch.Tensor, np.ndarray, np.generic, float, int)):
        raise Hint(f"{what} is {_kind(found)}, expected {_kind(expected)}")
    mine, true = _array(found), _array(expected)
    if mine.shape != true.shape:
        raise Hint(f"{what} has shape {mine.shape}, expected {true.shape}")
    if np.isnan(mine).any():
        raise Hint(f"{what} holds values that are not a number")
    if _close(mine, true, tolerance):
        return
    for wrong, sentence in hints:
        if _array(wrong).shape == mine.shape and _close(mine, _array(wrong), tolerance):
            raise Hint(sentence)
    several = true.size > 1  # a single number has no pattern
    ratio = np.median(mine[true != 0] / true[true != 0]) if (true != 0).any() else np.nan
    if several and np.isfinite(ratio) and ratio not in (0, 1) and _close(mine, ratio * true, tolerance):
        raise Hint(f"{what} has the right pattern, but every value is {ratio:.3g} times too large")
    if several and _close(mine - mine.mean(), true - true.mean(), tolerance):
        raise Hint(f"{what} has the right pattern, but all values are off by {float((mine - true).mean()):.3g}")
    worst = np.unravel_index(np.abs(mine - true).argmax(), true.shape)
    place = f" at {tuple(map(int, worst))}" if true.shape else ""
    side = "large" if mine[worst] > true[worst] else "small"
    raise Hint(f"{what}{place} is {float(mine[worst]):.4g}, which is too {side}")


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return np.allclose(a, b, rtol=tolerance, atol=tolerance * max(1e-6, float(np.abs(b).max(initial=0))))


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=np.float64)


def _kind(value) -> str:
    return "a tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


# ---- 01_loading_clip -------------------------------------------------------------------------------------------------


@exercise("01_loading_clip")
def end_of_text(learner):
    """(states (B, L, D), ids (B, L), projection (D, d)) -> the sentences' features (B, d)"""
    draw = torch.Generator().manual_seed(11)
    for batch, length, width, out in ((3, 9, 6, 4), (2, 12, 8, 5), (1, 6, 4, 7)):
        states, projection = (torch.randn(size, generator=draw) for size in ((batch, length, width), (width, out)))
        ends, rows = torch.randint(2, length - 2, (batch,), generator=draw), torch.arange(batch)
        ids = torch.randint(300, 49_000, (batch, length), generator=draw) * (torch.arange(length) < ends[:, None])
        ids[:, 0], ids[rows, ends] = 49_406, 49_407
        found = learner(states.clone(), ids.clone(), projection.clone())
        wrong = [
            (states[:, -1] @ projection, "that is the last place, which is padding: where does each sentence end?"),
            (states.mean(1) @ projection, "that is the mean over all places; CLIP reads a single one"),
            (states[:, 0] @ projection, "that is the start token, which has seen nothing of the sentence"),
            (states[rows, ends - 1] @ projection, "that is the last word; the end-of-text token stands one place on"),
            (states[rows[:1], ends[:1]] @ projection, "each sentence ends at a place of its own"),
            (states[:, ends[0]] @ projection, "each sentence ends at a place of its own"),
        ]
        same(found, states[rows, ends] @ projection, "the feature", hints=wrong)


@exercise("01_loading_clip")
def zero_shot(learner):
    """(image features (B, d), text features (C, d), scale) -> probabilities (B, C)"""
    draw = torch.Generator().manual_seed(12)
    for batch, classes, width, scale in ((3, 5, 8, 10.0), (4, 4, 6, 25.0), (1, 2, 16, 100.0)):
        pictures, words = (torch.randn(n, width, generator=draw) for n in (batch, classes))
        pictures, words = 3 * pictures, words * torch.linspace(0.5, 4, classes)[:, None]
        found = learner(pictures.clone(), words.clone(), scale)
        cosines = (pictures / pictures.norm(dim=1, keepdim=True)) @ (words / words.norm(dim=1, keepdim=True)).T
        wrong = [
            (cosines, "those are the cosines: right, but no probabilities yet"),
            (scale * cosines, "those are the scaled cosines: right, but no probabilities yet"),
            ((scale * cosines).softmax(0), "each class's column adds up to 1; each picture's row should"),
            (cosines.softmax(1), "the scale has no effect: before what must it act?"),
            (scale * cosines.softmax(1), "the scale acts too late: rows no longer add up to 1"),
            ((scale * pictures @ words.T).softmax(1), "lengths still count, CLIP compares directions only"),
            ((pictures @ words.T).softmax(1), "lengths still count, CLIP compares directions only"),
        ]
        same(found, (scale * cosines).softmax(1), "the probabilities", hints=wrong)


@exercise("01_loading_clip")
def oblong_positions(learner):
    """(positions (1 + n * n, D), rows, columns) -> (1 + rows * columns, D)"""
    draw = torch.Generator().manual_seed(13)
    for side, rows, columns, width in ((4, 6, 9, 3), (6, 5, 10, 4), (5, 3, 4, 2), (3, 3, 3, 5)):
        positions = torch.randn(1 + side * side, width, generator=draw)
        found = learner(positions.clone(), rows, columns)
        square = positions[1:].T.reshape(1, width, side, side)

        def stretch(rows=rows, columns=columns, square=square, head=positions[:1], **options):
            options = {"mode": "bicubic", "antialias": True, "align_corners": False} | options
            return torch.cat([head, F.interpolate(square, (rows, columns), **options)[0].flatten(1).T])

        expected, kept = stretch(), "the class token's row must stay as it was"
        if isinstance(found, torch.Tensor) and found.shape == expected[1:].shape:
            raise Hint("the class token's row is missing: the result has one row more than there are patches")
        wrong = [
            (torch.cat([expected[1:], expected[:1]]), "the class token's row stands first, not last"),
            (torch.cat([0 * expected[:1], expected[1:]]), kept),
            (torch.cat([expected[1:].mean(0, keepdim=True), expected[1:]]), kept),
            (stretch(columns, rows), "rows and columns are swapped: patches are numbered row by row"),
            (stretch(square=square.mT), "the square grid was read column by column: patches are numbered row by row"),
            (stretch(antialias=False), "the grid is bicubic, but without antialias"),
            (stretch(align_corners=True, antialias=False), "corners must not be aligned"),
            (stretch(align_corners=True), "corners must not be aligned"),
            (stretch(mode="bilinear"), "the grid is bilinear; CLIP's is made bicubic"),
            (stretch(mode="bilinear", antialias=False), "the grid is bilinear; CLIP's is made bicubic"),
        ]
        same(found, expected, f"the grid of {rows} x {columns}", hints=wrong)


# ---- 02_the_blind_spot -----------------------------------------------------------------------------------------------


@exercise("02_the_blind_spot")
def mean_anchor(learner):
    """sentence features (n, d) -> their anchor (d,)"""
    draw = torch.Generator().manual_seed(21)
    for count, width in ((6, 8), (12, 5), (1, 4)):
        features = torch.randn(count, width, generator=draw) + 1
        features = features * torch.linspace(0.2, 9, count)[:, None]
        unit = F.normalize(features, dim=1)
        wrong = [
            (F.normalize(features.mean(0), dim=0), "long features outvote short ones: each sentence has one vote"),
            (features.mean(0), "long features outvote short ones: each sentence has one vote"),
            (unit.mean(0), "its direction is right, its length is not: with what length can cosines be read off?"),
            (unit.sum(0), "its direction is right, its length is not: with what length can cosines be read off?"),
            (unit[0], "that is the first sentence alone"),
        ]
        same(learner(features.clone()), F.normalize(unit.mean(0), dim=0), "the anchor", hints=wrong)


@exercise("02_the_blind_spot")
def attention_reach(learner):
    """(attention weights (B, heads, 1 + n * n, 1 + n * n), n) -> how many patches away patches look, on average"""
    draw = torch.Generator().manual_seed(22)
    for batch, heads, side, sharp in ((2, 3, 4, 1.0), (1, 2, 5, 3.0), (3, 1, 3, 0.5)):
        weights = (sharp * torch.randn(batch, heads, 1 + side**2, 1 + side**2, generator=draw)).softmax(-1)
        weights[..., 1, :] = F.one_hot(torch.tensor(2), 1 + side**2)  # the first patch looks only at its neighbour
        found = learner(weights.clone(), side)
        row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        places = torch.stack([row.flatten(), column.flatten()], 1).float()
        far, patches = torch.cdist(places, places), weights[..., 1:, 1:]
        share = patches / patches.sum(-1, keepdim=True)
        city = (places[:, None] - places[None]).abs().sum(-1)
        steps = (torch.arange(side**2)[:, None] - torch.arange(side**2)[None]).abs()
        wrong = [
            ((patches * far).sum(-1).mean(), "patches' weights must add up to 1 again without the class token"),
            ((share * far).mean(), "that is a mean over pairs; a patch's distances are weighted and added up"),
            ((share * far**2).sum(-1).mean(), "those are squared distances"),
            ((share * city).sum(-1).mean(), "those are steps along rows and columns; distances are as the crow flies"),
            ((share * steps).sum(-1).mean(), "those are distances in the list of patches, not on the grid"),
        ]
        same(found, float((share * far).sum(-1).mean()), "the reach", hints=wrong)


@exercise("02_the_blind_spot")
def leaks(learner):
    """(encode, images (B, ...)) -> True if a picture's features depend on its batch mates"""

    def plain(x):
        return x.flatten(2).sin()

    def noisy(x):  # rounding depends on the batch's size in every real library
        return plain(x) * (1 + 1e-6 * len(x))

    def across(x):  # attention over batch mates
        v = plain(x).transpose(0, 1)
        return ((v @ v.mT).softmax(-1) @ v).transpose(0, 1)

    def centred(x):
        return plain(x - x.mean(0, keepdim=True))

    def forward_only(x):  # the first picture sees nobody
        return plain(x.cumsum(0))

    def slight(x):
        return plain(x) + 0.05 * plain(x).mean(0, keepdim=True)

    def one_patch(x):
        found = plain(x)
        found[:, -1] += 0.3 * found[:, -1].mean(0)
        return found

    cases = [
        (plain, False, "an encoder that takes each picture for itself is called leaky"),
        (noisy, False, "rounding in the sixth digit is called a leak: compare with a tolerance"),
        (across, True, "attention across the batch goes unnoticed: are the mates different pictures?"),
        (centred, True, "an encoder that subtracts the batch's mean goes unnoticed: compare with other mates"),
        (forward_only, True, "a leak into later pictures goes unnoticed: look at every place of the batch"),
        (slight, True, "a leak of a few per cent goes unnoticed"),
        (one_patch, True, "a leak in a single patch goes unnoticed: look at every patch"),
    ]
    draw = torch.Generator().manual_seed(23)
    for batch in (2, 5):
        images = torch.randn(batch, 3, 4, 4, generator=draw)
        for encode, leaky, sentence in cases:
            found = learner(encode, images.clone())
            if isinstance(found, (torch.Tensor, np.ndarray, np.generic)) and _array(found).size == 1:
                found = bool(found)
            if not isinstance(found, bool):
                raise Hint(f"the answer is {_kind(found)}, expected True or False")
            if found != leaky:
                raise Hint(sentence)


# ---- 03_adapters -----------------------------------------------------------------------------------------------------


@exercise("03_adapters")
def norm_preserving_mix(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, weight in (((7,), 0.3), ((5, 8), 0.1), ((2, 5, 8), 0.3), ((3, 4, 6), 0.0), ((3, 4, 6), 1.0)):
        x, adapted = (factor * torch.randn(shape, generator=generator) for factor in (2.0, 0.3))
        lengths = x.norm(dim=-1, keepdim=True)
        unit = adapted / adapted.norm(dim=-1, keepdim=True)
        hints = [
            (weight * adapted + (1 - weight) * x, "the adapted token is mixed in with a length of its own"),
            (weight * x + (1 - weight) * unit * lengths, "the weight belongs to the adapted token, the rest to x"),
            (weight * unit + (1 - weight) * x, "the adapted token has length 1, not the length of x"),
            (x + weight * unit * lengths, "x is added whole: what becomes of its share when the weight is 1?"),
            (
                weight * adapted * x.norm() / adapted.norm() + (1 - weight) * x,
                "one length is taken of all tokens together: each token has its own",
            ),
        ]
        given = x.clone(), adapted.clone()
        what, true = f"the mix of tokens {shape}, weight {weight},", adapters.mix(x, adapted, weight)
        same(learner(*given, weight), true, what, 1e-4, hints)
        same(given[0], x, "x after the call (your function changed it in place)")


@exercise("03_adapters")
def adapter_weight_count(learner: Callable) -> None:
    cases = [(64, 48, 3, 2, False, False), (64, 48, 3, 2, True, True), (192, 192, 8, 4, True, True)]
    cases += [(64, 48, 0, 1, True, True), (1024, 768, 6, 4, False, False), (1024, 768, 6, 4, False, True)]
    for width, joint, blocks, levels, bottleneck, bias in cases:
        recipe = Recipe.course().replace(adapter="bottleneck" if bottleneck else "linear", adapter_bias=bias)
        with torch.device("meta"):
            modules = adapters.image_adapters(recipe, width, joint, blocks, levels)
        true, projection = sum(p.numel() for p in modules.parameters()), width * joint + bias * joint
        bias_less = true - bias * (blocks * (width + bottleneck * (width // 2)) + (levels + 1) * joint)
        hints = [
            (true - projection, "the projection for detection is missing"),
            (true - (levels + 1) * projection, "the projections are missing"),
            (bias_less, "the biases are missing"),
            (true + bias * (levels + 1) * (width - joint), "a projection's bias is as long as what it puts out"),
            (true - bottleneck * blocks * width * (width // 2), "a bottleneck goes down and up again: two matrices"),
            (true - bias * bottleneck * blocks * (width // 2), "the bottleneck's first matrix has a bias too"),
        ]
        what = f"the count for {'bottleneck' if bottleneck else 'square'} adapters, bias {bias},"
        hints = [hint for hint in hints if hint[0] != true]
        same(learner(width, joint, blocks, levels, bottleneck, bias), true, what, 1e-9, hints)


@exercise("03_adapters")
def adapted_walk(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(6, 6, generator=generator) / 2 for _ in range(9)]
    for depth, behind, levels, weight in ((4, (1, 2), (2, 4), 0.1), (5, (1, 3, 5), (1, 3, 5), 0.3), (3, (), (3,), 0.5)):
        x = torch.randn(2, 3, 6, generator=generator)
        blocks = [lambda t, m=m: t + torch.tanh(t @ m) for m in matrices[:depth]]
        modules = {number: (lambda t, m=matrices[-number]: torch.tanh(t @ m)) for number in behind}

        case = x, blocks, modules, levels, weight
        expected, found = _walk(*case), learner(x.clone(), *case[1:])
        if not isinstance(found, (list, tuple)):
            raise Hint(f"expected a list of tokens, one a level, not {_kind(found)}")
        if len(found) != len(levels):
            counted = " Are blocks counted from 1?" if len(found) == len(levels) - 1 else ""
            raise Hint(f"{len(found)} levels came back of the {len(levels)} asked for: {levels}.{counted}")
        wrong = {
            "a level is read before its adapter has spoken": _walk(*case, early=True),
            "blocks seem to be counted from 0: level 1 is what the first block puts out": _walk(*case, shift=1),
            "every adapter stands one block too late": _walk(*case, adapter_shift=1),
            "the adapters have no effect": _walk(x, blocks, {}, levels, weight),
        }
        for place, level in enumerate(levels):
            hints = [(each[place], say) for say, each in wrong.items() if len(each) == len(levels)]
            same(found[place], expected[place], f"level {level} of {depth} blocks", 1e-4, hints)


def _walk(x, blocks, behind, levels, weight, shift=0, adapter_shift=0, early=False):
    """The walk of the exercise, or one of its mistakes."""
    found = []
    for number, block in enumerate(blocks, start=1 - shift):
        plain = x = block(x)
        if number - adapter_shift in behind:
            x = adapters.mix(x, behind[number - adapter_shift](x), weight)
        if number in levels:
            found.append(plain if early else x)
    return found


# ---- 04_losses -------------------------------------------------------------------------------------------------------


@exercise("04_losses")
def focal_loss(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, gamma in ((1, 4, 2.0), (3, 6, 2.0), (2, 5, 0.0), (2, 5, 1.0)):
        p = (0.7 * torch.randn(batch, 2, size, size, generator=generator)).softmax(1)  # where smoothing is not felt
        mask = (torch.rand(batch, 1, size, size, generator=generator) > 0.7).float()
        true = p.gather(1, mask.long())
        hints = [
            (((1 - true) ** gamma * true.log()).mean(), "the sign is turned: a loss is never negative"),
            (-((1 - true) ** gamma * true.log()).sum(), "it grows with the number of pixels: take the mean"),
            (-(true**gamma * true.log()).mean(), "easy pixels count much and hard ones little: turn the factor round"),
            (-true.log().mean(), "this is the plain cross-entropy: gamma does nothing"),
            (losses.focal(p.flip(1), mask, gamma), "channel 0 is normal, channel 1 abnormal"),
            (-((1 - p[:, 1]) ** gamma * p[:, 1].log()).mean(), "sound pixels are judged by the abnormal channel"),
        ]
        what = f"the focal loss of {batch} maps of {size} x {size}, gamma {gamma:g},"
        same(learner(p, mask, gamma), losses.focal(p, mask, gamma), what, 1e-3, hints)


@exercise("04_losses")
def dice_loss(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, area in ((1, 4, 0.5), (3, 6, 0.3), (2, 8, 0.0), (4, 5, 0.1)):
        p = torch.rand(batch, size, size, generator=generator)
        mask = (torch.rand(batch, size, size, generator=generator) < area).float()
        if batch == 4:
            mask[0] = 0
        both, sums = (p * mask).flatten(1).sum(1), p.flatten(1).sum(1) + mask.flatten(1).sum(1)
        hints = [
            (((2 * both + 1) / (sums + 1)).mean(), "this is the overlap itself: a loss falls when overlap grows"),
            (1 - (2 * both.sum() + 1) / (sums.sum() + 1), "the batch is one sum: large defects drown small ones"),
            (1 - (2 * both / sums).mean(), "a sound picture has an empty mask: what does the 1 do there?"),
            (1 - ((2 * both + 1) / sums).mean(), "the 1 stands above and below the line"),
            (1 - (2 * both / (sums + 1)).mean(), "the 1 stands above and below the line"),
            (1 - ((both + 1) / (sums + 1)).mean(), "the overlap is in both areas, so it counts twice"),
            ((1 - (2 * both + 1) / (sums + 1)).sum(), "it grows with the number of pictures: take the mean"),
        ]
        what = f"the dice loss of {batch} maps, {int(mask.sum())} defect pixels,"
        same(learner(p, mask), losses.dice(p, mask), what, 1e-4, hints)


@exercise("04_losses")
def all_normal_cost(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, defective in ((2, 8, 1), (4, 16, 4), (3, 12, 0), (5, 10, 3)):
        mask = torch.zeros(batch, 1, size, size)
        mask[:defective] = (torch.rand(defective, 1, size, size, generator=generator) > 0.9).float()
        sure, even = torch.zeros(batch, 2, size, size), torch.full((batch, 2, size, size), 0.5)
        sure[:, 0] = 1
        true = losses.segmentation(sure, mask)
        hints = [
            (losses.segmentation(even, mask), "this is what an undecided map costs: all normal means p = 1 and 0"),
            (losses.segmentation(sure.flip(1), mask), "channel 0 is normal: this map calls everything abnormal"),
            (losses.dice(sure[:, 1], mask), "only the abnormal dice is counted; there are three parts"),
            (true - losses.focal(sure, mask), "the focal part is missing"),
            (true - losses.dice(sure[:, 0], 1 - mask), "the dice of the normal channel is missing"),
            (true - losses.dice(sure[:, 1], mask), "the dice of the abnormal channel is missing"),
            (batch * true, "it grows with the number of pictures: each part is a mean"),
        ]
        hints = [hint for hint in hints if not _close(_array(hint[0]), _array(true), 1e-4)]
        same(learner(mask), true, f"the cost for {batch} pictures, {defective} of them defective,", 1e-4, hints)


# ---- 05_data ---------------------------------------------------------------------------------------------------------


@exercise("05_data")
def manifest_line(learner):
    """(path in MVTec AD's folders) -> its line of the manifest, as a dict"""
    for name, part, kind, number in (
        ("bottle", "test", "scratch", "003"), ("metal_nut", "test", "good", "000"),
        ("pipe_fryum", "train", "good", "117"), ("screw", "test", "scratch_head", "021"),
        ("good_box", "test", "not_good", "5"),
    ):  # fmt: skip
        path, bad = f"{name}/{part}/{kind}/{number}.png", int(kind != "good")
        line = learner(path)
        if not isinstance(line, dict):
            raise Hint(f"a line is a dict, yours is {_kind(line)}")
        if missing := sorted({"image_path", "label", "class_name", "mask_path"} - line.keys()):
            raise Hint(f"the line of {path} lacks {', '.join(missing)}")
        mask, given = f"{name}/ground_truth/{kind}/{number}_mask.png", line["mask_path"]
        same(line["image_path"], path, f"image_path of {path}")
        same(line["class_name"], name, f"class_name of {path}", hints=[(kind, "class_name is the kind of defect")])
        if not isinstance(line["label"], (int, float)) or line["label"] != bad:
            raise Hint(f"label of {path} is {line['label']!r}: 0 stands for normal, 1 for abnormal")
        wrong = [
            (mask.replace("_mask", ""), f"mask_path of {path}: the mask's own ending before .png is missing"),
            (f"{name}/{part}/ground_truth/{kind}/{number}_mask.png", "ground_truth lies beside test, not inside it"),
            (f"{name}/ground_truth/{number}_mask.png", "inside ground_truth each kind has its folder"),
        ]
        if not bad and given != "":
            raise Hint(f"mask_path of {path}, a normal picture, is {given!r}: it has no mask")
        same(given, mask if bad else "", f"mask_path of {path}", hints=wrong)


@exercise("05_data")
def draw_shots(learner):
    """(labels, k, seed) -> sorted indices of k/2 normal and k/2 abnormal pictures, by chance, repeatably"""
    generator = np.random.default_rng(51)
    for count, k in ((20, 4), (60, 16), (9, 2)):
        labels = [0, 1] * (k // 2) + generator.integers(0, 2, count).tolist()
        drawn = []
        for seed in range(30):
            found = learner(list(labels), k, seed)
            if found is None:
                raise Hint("the result is None: does your function return it?")
            found = [int(index) for index in found]
            drawn.append(found)
            if len(found) != k:
                raise Hint(f"{len(found)} indices for k = {k}: is that k of each kind, or k in all?")
            if len(set(found)) < k:
                raise Hint(f"an index comes twice: {found}")
            if not all(0 <= index < len(labels) for index in found):
                raise Hint(f"{found} points outside the {len(labels)} pictures")
            if (bad := sum(labels[index] for index in found)) != k // 2:
                raise Hint(f"{bad} of {k} are abnormal: how many are to be?")
            if found != sorted(found):
                raise Hint(f"{found} is not sorted")
            if found != [int(index) for index in learner(list(labels), k, seed)]:
                raise Hint(f"called twice with the seed {seed}, it gives two answers")
        if all(found == drawn[0] for found in drawn):
            raise Hint("all seeds give the same pictures: are they drawn by chance?")
        if min(len({labels[i] for i in found}) for found in drawn) < 2:
            raise Hint("one kind is missing")
        for label in (0, 1):
            have = [i for i, each in enumerate(labels) if each == label]
            if k <= len(have) and len({i for found in drawn for i in found if labels[i] == label}) < len(have) // 2 + 1:
                raise Hint(f"of the pictures with label {label} the same few come with every seed")
    for labels, k, why in (([0, 1] * 9, 3, "an odd k"), ([0] * 9 + [1], 4, "too few abnormal pictures")):
        try:
            learner(labels, k, 0)
        except ValueError:
            continue
        raise Hint(f"{why} should raise a ValueError")


@exercise("05_data")
def move_pair(learner):
    """(image, mask, right, down, fill) -> (moved image, moved mask, share of the mask that left)"""
    draw, fill = torch.Generator().manual_seed(52), torch.tensor([0.2, 0.5, 0.7])
    tone = fill.view(3, 1, 1)
    cases = ((8, 8, 2, 0), (7, 9, -3, 2), (10, 6, 0, -4), (8, 5, 0, 0), (6, 6, 7, 1), (9, 9, -2, -3))
    for height, width, right, down in cases:
        image = torch.rand(3, height, width, generator=draw)
        mask = (torch.rand(1, height, width, generator=draw) > 0.6).float()
        before = image.clone(), mask.clone()
        found = learner(image, mask, right, down, fill.clone())
        if not isinstance(found, (tuple, list)) or len(found) != 3:
            raise Hint("the result is not three things: moved image, moved mask, lost share")
        if not (torch.equal(image, before[0]) and torch.equal(mask, before[1])):
            raise Hint("the picture that was given changed: work on a copy")

        def moved(x, right=right, down=down, outside=tone):
            rows, columns = (torch.arange(n) - by for n, by in zip(x.shape[1:], (down, right), strict=True))
            held = ((rows >= 0) & (rows < len(rows)))[:, None] & (columns >= 0) & (columns < len(columns))
            read = x[:, rows.clamp(0, len(rows) - 1)][:, :, columns.clamp(0, len(columns) - 1)]
            return torch.where(held, read, outside[: len(x)])

        def rolled(x, right=right, down=down):
            return x.roll((down, right), (1, 2))

        zero, true = torch.zeros(3, 1, 1), moved(mask, outside=torch.zeros(1, 1, 1))
        swapped = {"right": down, "down": right}
        backwards = {"right": -right, "down": -down}
        for which, (x, mine, out) in enumerate(((image, found[0], tone), (mask, found[1], zero))):
            word = ("image", "mask")[which]
            wrong = [
                (x, f"the {word} has not moved"),
                (rolled(x), f"what leaves the {word} on one side comes in again on the other"),
                (moved(x, **swapped, outside=out), f"right and down are swapped in the {word}"),
                (moved(x, **backwards, outside=out), f"the {word} moves the other way"),
                (moved(x, outside=(zero, tone)[which]), f"the {word} is filled with what belongs outside "
                 f"the {('mask', 'image')[which]}"),
            ]  # fmt: skip
            same(mine, moved(x, outside=out), f"the moved {word}", hints=wrong)
        share = 1 - float(true.sum() / mask.sum())
        wrong = [
            (1 - share, "lost is the share that stayed; it should be the share that left"),
            (float(mask.sum() - true.sum()), "lost counts pixels; it should be a share of the mask"),
            (float((mask.sum() - true.sum()) / mask.numel()), "lost is a share of the picture, not of the mask"),
        ]
        same(found[2], share, "lost", hints=wrong)
    empty = learner(torch.rand(3, 4, 4), torch.zeros(1, 4, 4), 1, 1, fill)[2]
    if not empty == 0:
        raise Hint(f"of an empty mask nothing can be lost, but lost is {float(empty)}")


# ---- 06_stage1_text --------------------------------------------------------------------------------------------------


@exercise("06_stage1_text")
def stage1_feature(learner):
    """(patches (B, N, d), picture (B, d)) -> the sum of their unit vectors (B, N, d)"""
    for count, patches, width in ((2, 9, 5), (3, 4, 3), (1, 16, 8)):
        draw = torch.Generator().manual_seed(width)
        x = 3 * torch.randn(count, patches, width, generator=draw)
        picture = 2 * torch.randn(count, width, generator=draw)
        unit, whole = F.normalize(x, dim=-1), F.normalize(picture, dim=-1).unsqueeze(1)
        hints = [
            (unit, "the picture's feature is not in it"),
            (x + picture.unsqueeze(1), "both features should have unit length before they are added"),
            (unit + picture.unsqueeze(1), "the picture's feature should have unit length before it is added"),
            (x + whole, "the patches should have unit length before the sum"),
            (F.normalize(unit + whole, dim=-1), "the sum is not to be brought to unit length again"),
            (F.normalize(x, dim=1) + whole, "unit length is meant along the last axis, not along the patches"),
        ]
        same(learner(x, picture), unit + whole, "the feature", hints=hints)


@exercise("06_stage1_text")
def blind_dice(learner):
    """mask (B, 1, H, W) -> both dice losses of a model that says normal everywhere"""
    for count, side, share in ((4, 8, 0.3), (3, 16, 0.05), (2, 6, 0.0)):
        mask = (torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(side)) < share).float()
        mask[0] = 0  # every batch has a picture without a defect
        defect, pixels = mask.flatten(1).sum(1), side * side
        sound = pixels - defect
        normal, abnormal = 1 - ((2 * sound + 1) / (pixels + sound + 1)).mean(), 1 - (1 / (defect + 1)).mean()
        pooled = 2 - (2 * sound.sum() + 1) / (count * pixels + sound.sum() + 1) - 1 / (defect.sum() + 1)
        bare = 2 - (2 * sound / (pixels + sound)).mean()
        hints = [
            (normal, "only the normal channel is in it; the abnormal one misses its defects too"),
            (abnormal, "only the abnormal channel is in it; the normal one pays where it covers a defect"),
            (pooled, "the overlap is taken over all pictures at once; each picture counts for itself, then the mean"),
            (bare, "the 1 that is added above and below the line is missing: a picture without a defect loses nothing"),
            (2 - normal - abnormal, "this is the overlap; the loss is what is missing to a full one"),
        ]
        same(learner(mask), normal + abnormal, "the loss", hints=hints)


@exercise("06_stage1_text")
def choose_step(learner):
    """(steps, validation figures, test figures) -> (step to keep, test figure to report)"""
    cases = (
        ([10, 20, 30, 40], [0.6, 0.8, 0.7, 0.75], [0.5, 0.7, 0.9, 0.6]),
        ([10, 20, 30, 40], [0.5, 0.9, 0.9, 0.1], [0.3, 0.4, 0.6, 0.95]),
        ([5, 15], [0.2, 0.1], [0.1, 0.2]),
        ([70, 10, 40], [0.8, 0.8, 0.3], [0.6, 0.5, 0.9]),
    )
    for steps, validation, test in cases:
        best = min((i for i in range(len(steps)) if validation[i] == max(validation)), key=lambda i: steps[i])
        found = learner(list(steps), list(validation), list(test))
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Hint("return two things: the step, and the test figure that belongs to it")
        step, figure = found
        if step == steps[best] and figure == test[best]:
            continue
        if step == steps[test.index(max(test))] and step != steps[best]:
            raise Hint("the step was chosen by its test figure; the test set must have no say in it")
        if step != steps[best] and step in steps and validation[steps.index(step)] == max(validation):
            raise Hint("two steps are equally good on validation: the earliest of them is to be kept")
        if step == len(steps) - 1 or step in range(len(steps)):
            raise Hint("give the step itself, not its place in the list")
        if step == steps[best]:
            if figure == validation[best]:
                raise Hint("the figure to report is the test figure of that step, not the one it was chosen by")
            if figure == max(test):
                raise Hint("the figure to report belongs to the chosen step; the best test figure was another step's")
        raise Hint(f"for validation figures {validation} at steps {steps}, keeping step {step} is not the best choice")


# ---- 07_stage2_image -------------------------------------------------------------------------------------------------


@exercise("07_stage2_image")
def detection_feature(learner):
    """tokens (B, 1 + N, d), class token first -> mean of the unit patch vectors (B, d)"""
    for count, patches, width in ((2, 4, 5), (3, 9, 6), (1, 16, 3)):
        draw = torch.Generator().manual_seed(patches)
        tokens = torch.randn(count, 1 + patches, width, generator=draw) * torch.linspace(0.5, 3, 1 + patches)[:, None]
        unit = F.normalize(tokens, dim=-1)
        expected = unit[:, 1:].mean(1)
        hints = [
            (unit.mean(1), "the class token is in the mean; only patches belong there"),
            (unit[:, :-1].mean(1), "the class token stands first, not last"),
            (tokens[:, 1:].mean(1), "long patch vectors count more than short ones: unit length first"),
            (F.normalize(tokens[:, 1:].mean(1), dim=-1), "unit length comes before the mean, not after it"),
            (F.normalize(expected, dim=-1), "the mean is not to be brought to unit length: its length says something"),
            (unit[:, 0], "this is the class token; the mean is over the patches"),
        ]
        same(learner(tokens.clone()), expected, "the feature", hints=hints)


@exercise("07_stage2_image")
def patch_middles(learner):
    """(patches in a row, pixels of a patch) -> coordinates of their middles (grid,)"""
    for grid, patch in ((4, 8), (16, 8), (37, 14), (3, 5), (1, 4)):
        left, side = np.arange(grid) * float(patch), grid * patch
        hints = [
            (left, "those are the left edges of the patches"),
            (left + patch / 2, "off by half a pixel: pixel 0 has its middle at 0, so a patch begins at -0.5"),
            (left + patch - 1, "those are the last pixels of the patches"),
            (np.linspace(0, side - 1, grid), "the first and last lie on the picture's rim: that is the aligned way"),
            (np.linspace(0, side, grid), "the first and last lie on the picture's rim: that is the aligned way"),
            (left / side + 0.5 / grid, "those are shares of the side; pixels are asked for"),
        ]
        same(learner(grid, patch), left + (patch - 1) / 2, "the middles", hints=hints)


@exercise("07_stage2_image")
def patch_scores(learner):
    """(list of levels (B, N, d), anchors (B, d, 2), scale) -> the summed scores of the patches (B, N)"""
    for count, patches, width, number, scale in ((2, 4, 5, 3, 100.0), (3, 9, 4, 4, 15.0), (1, 4, 6, 1, 1.0)):
        draw = torch.Generator().manual_seed(number)
        levels = [F.normalize(torch.randn(count, patches, width, generator=draw), dim=-1) for _ in range(number)]
        anchors = F.normalize(torch.randn(count, width, 2, generator=draw), dim=1)
        cosines = torch.stack(levels).sum(0) @ anchors
        normal, abnormal = (scale * cosines).unbind(-1)
        expected = (abnormal + number - normal) / 2
        hints = [
            ((normal + number - abnormal) / 2, "hot where patches are normal: which column of the anchors is which?"),
            ((abnormal + 1 - normal) / 2, "the constant 1 belongs to every level, not to the sum once"),
            ((abnormal - normal) / 2, "the constant 1 of every level is missing"),
            (abnormal + number - normal, "the half is missing"),
            (expected / number, "this is the mean of the levels; their sum is asked for"),
            ((cosines[..., 1] + number - cosines[..., 0]) / 2, "the scale has no effect"),
            (scale * (cosines[..., 1] + number - cosines[..., 0]) / 2, "the scale acts on the cosines, not on the 1"),
        ]
        same(learner(list(levels), anchors, scale), expected, "the scores", hints=hints)


# ---- 08_evaluation ---------------------------------------------------------------------------------------------------


@exercise("08_evaluation")
def class_mean(learner):
    """{product: figure or NaN} -> the mean over the products that have the figure"""
    nan = float("nan")
    cases = (
        {"bottle": 0.5, "cable": 0.9, "pill": nan},
        {"wood": 0.8, "tile": 0.6, "grid": 0.1},
        {"screw": nan, "zipper": 0.7},
        {"bottle": nan, "cable": nan},
    )
    for figures in cases:
        known = [value for value in figures.values() if value == value]
        found = learner(dict(figures))
        if not isinstance(found, float | int | np.floating | torch.Tensor):
            raise Hint(f"the mean is {_kind(found)}: return a number")
        if not known:
            if float(found) == float(found):
                raise Hint("if no product has the figure, the mean has no value either")
            continue
        if float(found) != float(found):
            raise Hint("a product without a value makes the whole mean undefined: leave it out")
        hints = [
            (sum(known) / len(figures), "a figure without a value counts as 0 here; it should not count at all"),
            (max(known), "that is the best product, not the mean"),
        ]
        same(float(found), sum(known) / len(known), "the mean", hints=hints)


@exercise("08_evaluation")
def best_f1(learner):
    """(scores (N,), labels (N,) in {0, 1}) -> the largest F1 that a threshold reaches"""
    draw = np.random.default_rng(8)
    cases = [(np.array([0.4, 0.3, 0.1]), np.array([1, 1, 0])), (np.array([0.2, 0.2, 0.2]), np.array([1, 0, 1]))]
    for count in (12, 40, 41):
        labels = draw.integers(0, 2, count)
        cases.append((np.round(draw.normal(2, 3, count) + labels, 1), labels))
    for scores, labels in cases:

        def f1(said, labels=labels):
            return 2 * (said & (labels == 1)).sum() / max(1, said.sum() + (labels == 1).sum())

        tried = np.unique(scores)
        accuracy = max(tried, key=lambda t: ((scores >= t) == (labels == 1)).mean())
        hints = [
            (max(f1(scores > t) for t in tried), "a score equal to the threshold counts as found: at least, not above"),
            (f1(scores >= 0.5), "one fixed threshold of 0.5 is tried; every score is a candidate"),
            (np.mean([f1(scores >= t) for t in tried]), "that is the mean over thresholds; the largest is asked for"),
            (f1(scores >= accuracy), "that is the F1 at the threshold of best accuracy, which need not be the best F1"),
            (f1(scores >= np.median(scores)), "one threshold in the middle is tried; every score is a candidate"),
            (max(f1(scores <= t) for t in tried), "low scores are taken as defective"),
        ]
        found = learner(scores.copy(), labels.copy())
        same(found, max(f1(scores >= t) for t in tried), "the largest F1", hints=hints)


@exercise("08_evaluation")
def fused_scores(learner):
    """(maps (n, H, W), detection scores (n,)) of all pictures of a product -> the published scores (n,)"""
    for count, side in ((4, 5), (6, 3), (2, 8)):
        draw = torch.Generator().manual_seed(side)
        maps = 3 * torch.randn(count, side, side, generator=draw) * torch.linspace(1, 2, count)[:, None, None] - 1
        scores = torch.rand(count, generator=draw) * 0.2 + 0.4
        low, high = maps.min(), maps.max()
        unit, detection = (maps - low) / (high - low), (scores - scores.min()) / (scores.max() - scores.min())
        peaks, own = unit.flatten(1).amax(1), maps.flatten(1)
        each = torch.ones(count)  # where each map is brought to 0 ... 1 by itself
        again = (own.amax(1) - own.amax(1).min()) / (own.amax(1).max() - own.amax(1).min())
        hints = [
            (0.5 * each + 0.5 * detection, "every map has a peak of 1: take the range over all maps together"),
            (0.5 * again + 0.5 * detection, "the range is that of all the maps' values, not of their peaks"),
            (0.5 * peaks + 0.5 * scores, "the detection scores should be brought to the range 0 to 1 as well"),
            (0.5 * own.amax(1) + 0.5 * detection, "the maps' values should be brought to the range 0 to 1 first"),
            (0.5 * unit.flatten(1).mean(1) + 0.5 * detection, "that is each map's mean; its peak is asked for"),
            (peaks, "the detection score is not in it"),
            (peaks + detection, "half of each is meant, not their sum"),
        ]
        same(learner(maps.clone(), scores.clone()), 0.5 * peaks + 0.5 * detection, "the scores", hints=hints)


# ---- 09_explorer -----------------------------------------------------------------------------------------------------


@exercise("09_explorer")
def level_map(learner):
    """(levels (L, n * n, d), anchors (d, 2), weights (L,)) -> (n, n): weighted mean of cosine defective - good"""
    draw = torch.Generator().manual_seed(91)
    for count, side, width, zero in ((4, 3, 6, False), (2, 5, 4, False), (3, 4, 8, True), (1, 2, 5, False)):
        levels = F.normalize(torch.randn(count, side**2, width, generator=draw), dim=-1)
        anchors = F.normalize(torch.randn(width, 2, generator=draw), dim=0)
        weights = 0.2 + 2 * torch.rand(count, generator=draw)
        weights[0] = 0.0 if zero else weights[0]
        gap = levels @ (anchors[:, 1] - anchors[:, 0])  # (L, n * n)
        right = ((weights / weights.sum()) @ gap).unflatten(0, (side, side))
        hints = [
            (-right, "the sign is turned round: defective patches must come out high"),
            ((weights @ gap).unflatten(0, (side, side)), "that is a weighted sum; a mean is divided by the weights'"),
            ((weights @ gap / count).unflatten(0, (side, side)), "divided by the number of levels, not the weights'"),
            (gap.mean(0).unflatten(0, (side, side)), "every level counts the same: where are the weights?"),
            (right.T, "rows and columns are swapped: patches are listed row by row"),
            ((weights / weights.sum() @ (levels @ anchors[:, 1])).unflatten(0, (side, side)),
             "only the defective anchor is compared: what does the good one say?"),
        ]  # fmt: skip
        same(learner(levels.clone(), anchors.clone(), weights.clone()), right, "the map", hints=hints)


@exercise("09_explorer")
def cut_for_recall(learner):
    """(scores (B,), labels (B,), recall) -> the highest threshold that still rejects this share of the defective"""
    rng = np.random.default_rng(92)
    for good, bad, recall in ((6, 4, 0.75), (3, 8, 0.5), (10, 5, 0.7), (4, 3, 1.0), (5, 7, 0.1)):
        scores = rng.normal(size=good + bad).round(3)
        labels = rng.permutation([0] * good + [1] * bad)
        found = learner(scores.copy(), labels.copy(), recall)
        hits = np.sort(scores[labels == 1])[::-1]
        wanted = int(np.ceil(recall * bad - 1e-9))
        if not isinstance(found, (float, int, np.number, np.ndarray, torch.Tensor)) or np.size(found) != 1:
            raise Hint(f"the threshold is {_kind(found)}, expected one number")
        caught = int((hits >= float(found)).sum())
        if caught < wanted:
            raise Hint(f"with recall {recall} asked, {caught} of {bad} defective parts reach the threshold: too few")
        if caught > wanted:
            raise Hint(f"with recall {recall} asked, {caught} of {bad} defective parts reach it: it can be higher")
        low = "it lies below the last defective part that it must catch: the highest is that part's own score"
        same(float(found), float(hits[wanted - 1]), "the threshold", 1e-6, [(float(found), low)])


# ---- 10_your_own_data ------------------------------------------------------------------------------------------------


@exercise("10_your_own_data")
def pictures_needed(learner):
    """(false-alarm rate) -> the least number of normal pictures that can set a threshold for it"""
    for rate in (0.05, 0.01, 0.5, 0.3, 0.07, 0.001, 0.9, 0.2):
        need = next(n for n in range(1, 2000) if math.ceil((n + 1) * (1 - rate) - 1e-9) <= n)
        found, what = learner(rate), f"the number for a rate of {rate}"
        if found is not None and float(found) != int(found):
            raise Hint(f"{what} is {float(found):.4g}: pictures come whole")
        if found == need + 1:
            raise Hint(f"{what} is one more than needed: think of the new picture as one more draw from the same lot")
        if found is not None and found != need:
            off = "one" if found == need - 1 else f"{abs(int(found) - need)}"
            raise Hint(f"{what} is {off} too {'few' if found < need else 'many'}")
        same(found, need, what)


@exercise("10_your_own_data")
def threshold_for(learner):
    """(scores of normal pictures, false-alarm rate) -> threshold that a new normal one exceeds no more often"""
    generator = np.random.default_rng(101)
    for count, rate in ((19, 0.05), (40, 0.1), (99, 0.05), (30, 0.25), (7, 0.5)):
        scores = generator.gamma(2.0, 1.0, count)
        ordered, rank = np.sort(scores), math.ceil((count + 1) * (1 - rate) - 1e-9)
        found = learner(scores.copy(), rate)
        wrong = [
            (ordered[max(0, math.ceil(count * (1 - rate) - 1e-9) - 1)], "the rank is reckoned without the new picture, "
             "which is one more"),
            (ordered[min(count - 1, rank)], "the threshold is one place too high in the order"),
            (np.quantile(scores, 1 - rate), "a quantile between two scores; take a score that occurred, and count the "
             "new picture too"),
            (np.sort(scores)[count - rank], "the order runs the wrong way: alarms lie at the high end"),
            (scores[rank - 1], "the scores are not sorted"),
            (ordered[-1], "that is the highest score of all: the rate is not used"),
        ]  # fmt: skip
        shaped = "mean and deviation suppose a shape of the scores"
        wrong += [(scores.mean() + n * scores.std(), shaped) for n in (2, 3)]
        same(found, float(ordered[rank - 1]), f"the threshold of {count} scores at a rate of {rate}", hints=wrong)
    try:
        learner(generator.random(18), 0.05)
    except ValueError:
        return
    raise Hint("18 pictures can't promise a rate of 0.05: raise a ValueError")


@exercise("10_your_own_data")
def hot_boxes(learner):
    """(map (H, W), threshold, least) -> [(top, left, bottom, right), ...] of its hot regions"""
    generator = np.random.default_rng(102)
    for height, width, least in ((12, 17, 1), (20, 9, 3), (15, 15, 5), (6, 6, 1)):
        heat = ndimage.gaussian_filter(generator.normal(0, 1, (height, width)), 0.8).astype(np.float32)
        cut = float(np.quantile(heat, 0.75)) if height > 6 else float(heat.max() + 1)

        def boxes(heat=heat, cut=cut, least=least, corners=True, swap=False, end=0):
            regions, _ = ndimage.label(heat > cut, np.ones((3, 3)) if corners else None)
            found = []
            for number, (rows, columns) in enumerate(ndimage.find_objects(regions), 1):
                if (regions == number).sum() >= least:
                    box = rows.start, columns.start, rows.stop - end, columns.stop - end
                    found.append((box[1], box[0], box[3], box[2]) if swap else box)
            return sorted(found)

        found = learner(heat.copy(), cut, least)
        try:
            mine = sorted(tuple(int(edge) for edge in box) for box in found)
        except TypeError:
            mine = [()]
        if any(len(box) != 4 for box in mine):
            raise Hint("the result is no list of boxes, each of four numbers")
        for wrong, sentence in (
            (boxes(corners=False), "regions that touch at a corner are counted as two"),
            (boxes(least=0), "regions of fewer pixels than `least` are still there"),
            (boxes(least=least + 1), "a region of exactly `least` pixels is dropped"),
            (boxes(swap=True), "rows and columns are swapped: a box is (top, left, bottom, right)"),
            (boxes(end=1), "bottom and right are the last hot row and column; they should be the first behind it"),
            (boxes(heat=-heat, cut=-cut), "cold regions are boxed, not hot ones"),
        ):
            if mine != boxes() and mine == wrong:
                raise Hint(sentence)
        if len(mine) != len(boxes()):
            raise Hint(f"{len(mine)} boxes, expected {len(boxes())} (threshold {cut:.3g}, least {least})")
        if mine != boxes():
            off = next(box for box in mine if box not in boxes())
            raise Hint(f"no hot region has the box {off}")
        if [tuple(map(int, box)) for box in found] != boxes():
            raise Hint("the boxes are not in order: sort them from the top")
