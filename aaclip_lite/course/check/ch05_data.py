"""Checks of the exercises of chapter 05_data."""

import numpy as np
import torch

from .judge import Hint, either, exercise, kind_of, refused, same


@exercise()
def manifest_line(learner):
    """(path in MVTec AD's folders) -> its line of the manifest, as a dict"""
    for name, part, kind, number in (
        ("bottle", "test", "scratch", "003"),
        ("metal_nut", "test", "good", "000"),
        ("pipe_fryum", "train", "good", "117"),
        ("screw", "test", "scratch_head", "021"),
        ("good_box", "test", "not_good", "5"),
    ):
        path, bad = f"{name}/{part}/{kind}/{number}.png", int(kind != "good")
        line = learner(path)
        if not isinstance(line, dict):
            raise Hint(f"a line is a dict, yours is {kind_of(line)}")
        if missing := sorted({"image_path", "label", "class_name", "mask_path"} - line.keys()):
            raise Hint(f"the line of {path} lacks {', '.join(missing)}")
        mask, entry = f"{name}/ground_truth/{kind}/{number}_mask.png", line["mask_path"]
        same(line["image_path"], path, f"image_path of {path}")
        hints = {"class_name is the kind of defect": kind}
        same(line["class_name"], name, f"class_name of {path}", hints=hints)
        if isinstance(line["label"], str):
            raise Hint(f"label of {path} is the text {line['label']!r}; it is a number, 0 or 1")
        if not isinstance(line["label"], (int, float)) or line["label"] != bad:
            raise Hint(f"label of {path} is {line['label']!r}: 0 stands for normal, 1 for abnormal")
        folder, short = f"{name}/ground_truth", f"{int(number)}"
        wrong = {
            f"mask_path of {path}: its own ending before .png is missing": mask.replace(
                "_mask", ""
            ),
            "ground_truth lies beside test, not inside it": mask.replace(name, f"{name}/{part}", 1),
            "inside ground_truth each kind has its folder": f"{folder}/{number}_mask.png",
            "the mask's path begins with the class's folder": mask.split("/", 1)[1],
            "the number keeps its zeros: 003, not 3": mask.replace(number, short),
        }
        if not isinstance(entry, str):
            raise Hint(f"mask_path of {path} is {kind_of(entry)}: a text, empty where no mask is")
        if not bad and entry != "":
            raise Hint(f"mask_path of {path}, a normal picture, is {entry!r}: it has no mask")
        same(entry, mask if bad else "", f"mask_path of {path}", hints=wrong)


@exercise()
def draw_shots(learner):
    """(labels, k, seed) -> sorted indices of k/2 normal and k/2 abnormal pictures, by chance,
    repeatably
    """
    generator = np.random.default_rng(51)
    for count, k in ((20, 4), (60, 16), (9, 2)):
        labels = [0, 1] * (k // 2) + generator.integers(0, 2, count).tolist()
        drawn = []
        for seed in range(30):
            indices = learner(labels, k, seed)
            if any(np.ndim(each) for each in indices):
                raise Hint("give one list of indices, both kinds together, not lists in a list")
            indices = [int(index) for index in indices]
            drawn.append(indices)
            if len(indices) != k:
                raise Hint(
                    f"{len(indices)} indices for k = {k}: is that k of each kind, or k in all?"
                )
            if len(set(indices)) < k:
                raise Hint(f"an index comes twice: {indices}")
            if not all(0 <= index < len(labels) for index in indices):
                raise Hint(f"{indices} points outside the {len(labels)} pictures")
            if (bad := sum(labels[index] for index in indices)) != k // 2:
                raise Hint(f"{bad} of {k} are abnormal: how many are to be?")
            if indices != sorted(indices):
                raise Hint(f"{indices} is not sorted")
            if indices != [int(index) for index in learner(labels, k, seed)]:
                raise Hint(f"called twice with the seed {seed}, it gives two answers")
        if all(indices == drawn[0] for indices in drawn):
            raise Hint("all seeds give the same pictures: are they drawn by chance?")
        for label in (0, 1):
            have, seen = labels.count(label), {i for indices in drawn for i in indices}
            if k <= have and sum(labels[i] == label for i in seen) < have // 2 + 1:
                raise Hint(f"of the pictures with label {label} the same few come with every seed")
    refused("an odd k should raise a ValueError", learner, [0, 1] * 9, 3, 0)
    few = "too few abnormal pictures should raise a ValueError"
    refused(few, learner, [0] * 9 + [1], 4, 0)


def _moved(x: torch.Tensor, right: int, down: int, outside: torch.Tensor) -> torch.Tensor:
    (height, width), rim = x.shape[1:], abs(right) + abs(down)
    outside = outside.expand(len(x), height + 2 * rim, width + 2 * rim)
    canvas = outside.clone()
    canvas[:, rim + down :, rim + right :][:, :height, :width] = x
    return canvas[:, rim:, rim:][:, :height, :width]


MOVES = ((8, 8, 2, 0), (7, 9, -3, 2), (10, 6, 0, -4), (8, 5, 0, 0), (6, 6, 7, 1), (9, 9, -2, -3))


@exercise()
def move_pair(learner):
    """(image, mask, right, down, fill) -> (moved image, moved mask, share of the mask that left)"""
    draw, fill = torch.Generator().manual_seed(52), torch.tensor([0.2, 0.5, 0.7])
    tone, zero = fill.view(3, 1, 1), torch.zeros(1, 1, 1)
    for height, width, right, down in MOVES:
        image = torch.rand(3, height, width, generator=draw)
        mask = (torch.rand(1, height, width, generator=draw) > 0.6).float()
        result = learner(image, mask, right, down, fill)
        if not isinstance(result, (tuple, list)) or len(result) != 3:
            raise Hint("the result is not three things: moved image, moved mask, lost share")
        if np.shape(result[0]) == mask.shape:
            raise Hint("the moved image comes first, then the mask, then the lost share")
        for word, x, mine, out, other, swapped in (
            ("image", image, result[0], tone, "mask", zero),
            ("mask", mask, result[1], zero, "image", tone[:1]),
        ):
            greys = (_moved(x, right, down, grey) for grey in (out.mean().view(1, 1, 1), out[:1]))
            hints = {
                f"the {word} has not moved": x,
                f"what leaves the {word} on one side comes in again on the other": (
                    x.roll((down, right), (1, 2))
                ),
                f"right and down are swapped in the {word}": _moved(x, down, right, out),
                f"the {word} moves the other way": _moved(x, -right, -down, out),
                f"the {word} moves up where it should move down": _moved(x, right, -down, out),
                f"the {word} moves left where it should move right": _moved(x, -right, down, out),
                f"the {word} is filled with one grey; fill has a value for each channel": (
                    either(*greys)
                ),
                f"the {word} is filled with 1": _moved(x, right, down, zero + 1),
                f"the {word} is filled with what belongs outside the {other}": (
                    _moved(x, right, down, swapped)
                ),
            }
            same(mine, _moved(x, right, down, out), f"the moved {word}", hints=hints)
        true = _moved(mask, right, down, zero)
        whole, stayed = float(mask.sum()), float(true.sum())
        left = whole - stayed
        hints = {
            "lost is the share that stayed; it should be the share that left": stayed / whole,
            "lost counts pixels; it should be a share of the mask": left,
            "lost is a share of the picture, not of the mask": left / mask.numel(),
            "lost is what lies no more where it was; it should be what left the picture": (
                float((mask * (1 - true)).sum() / whole)
            ),
            "lost is divided by what stayed; it should be a share of the whole mask": (
                left / max(1, stayed)
            ),
            "lost is in per cent; it should be a share, 0 to 1": 100 * left / whole,
        }
        same(result[2], left / whole, "lost", hints=hints)
    empty = learner(torch.rand(3, 4, 4), torch.zeros(1, 4, 4), 1, 1, fill)[2]
    if not empty == 0:
        raise Hint(f"of an empty mask nothing can be lost, but lost is {float(empty)}")
