"""Chapter 05: a solution of every exercise, and mistakes that learners make, each with a word of
the hint it gets.
"""

from pathlib import Path

import numpy as np
import torch


def line(path):
    name, _, kind, file = path.split("/")
    mask = "" if kind == "good" else f"{name}/ground_truth/{kind}/{Path(file).stem}_mask.png"
    return {"image_path": path, "label": int(kind != "good"), "class_name": name, "mask_path": mask}


def masks_of_normal_pictures(path):
    name, _, kind, file = path.split("/")
    return line(path) | {"mask_path": f"{name}/ground_truth/{kind}/{Path(file).stem}_mask.png"}


def mask_named_like_its_picture(path):
    return line(path) | {"mask_path": line(path)["mask_path"].replace("_mask", "")}


def labels_swapped(path):
    return line(path) | {"label": 1 - line(path)["label"]}


def kind_as_class(path):
    return line(path) | {"class_name": path.split("/")[2]}


def masks_inside_test(path):
    return line(path) | {
        "mask_path": line(path)["mask_path"].replace("/ground_truth", "/test/ground_truth")
    }


def good_anywhere(path):
    return line(path) if "good" not in path else line(path) | {"label": 0}


def line_as_text(path):
    return str(line(path))


def shots(labels, k, seed, half=2, chance=True, checked=True):
    generator, chosen = np.random.default_rng(seed), []
    for label in (0, 1):
        have = np.flatnonzero(np.asarray(labels) == label)
        if checked and (k % 2 or len(have) < k // 2):
            raise ValueError("too few")
        chosen += (generator.permutation(have) if chance else have)[: k // half].tolist()
    return sorted(chosen)


def k_of_each(labels, k, seed):
    return shots(labels, k, seed, half=1)


def the_first(labels, k, seed):
    return shots(labels, k, seed, chance=False)


def any_k(labels, k, seed):
    return sorted(np.random.default_rng(seed).permutation(len(labels))[:k].tolist())


def global_chance(labels, k, seed):
    return shots(labels, k, None)


def unchecked(labels, k, seed):
    return shots(labels, k, seed, checked=False)


def with_repeats(labels, k, seed):
    shots(labels, k, seed)
    generator, labels = np.random.default_rng(seed), np.asarray(labels)
    return sorted(
        int(i)
        for label in (0, 1)
        for i in generator.choice(np.flatnonzero(labels == label), k // 2)
    )


def not_sorted(labels, k, seed):
    return shots(labels, k, seed)[::-1]


def move(image, mask, right, down, fill, mask_fill=0.0):
    def shift(x, outside):
        height, width = x.shape[1:]
        new = outside.view(-1, 1, 1).expand_as(x).clone()
        rows, columns = (torch.arange(n) - by for n, by in ((height, down), (width, right)))
        into = (
            ((rows >= 0) & (rows < height)).nonzero()[:, 0],
            ((columns >= 0) & (columns < width)).nonzero()[:, 0],
        )
        if len(into[0]) and len(into[1]):
            new[:, into[0][:, None], into[1]] = x[:, rows[into[0]][:, None], columns[into[1]]]
        return new

    moved, area = shift(mask, torch.zeros(1)), float(mask.sum())
    return (
        shift(image, fill),
        shift(mask, torch.tensor([mask_fill])),
        1 - float(moved.sum()) / area if area else 0.0,
    )


def mask_left_behind(image, mask, right, down, fill):
    moved = move(image, mask, right, down, fill)
    return moved[0], mask, moved[2]


def around_the_corner(image, mask, right, down, fill):
    return image.roll((down, right), (1, 2)), mask.roll((down, right), (1, 2)), 0.0


def axes_swapped(image, mask, right, down, fill):
    return move(image, mask, down, right, fill)


def black_outside(image, mask, right, down, fill):
    return move(image, mask, right, down, torch.zeros(3))


def mask_filled_too(image, mask, right, down, fill):
    return move(image, mask, right, down, fill, mask_fill=float(fill[0]))


def what_stayed(image, mask, right, down, fill):
    moved = move(image, mask, right, down, fill)
    return moved[0], moved[1], 1 - moved[2]


def no_empty_mask(image, mask, right, down, fill):
    moved = move(image, mask, right, down, fill)
    return moved[0], moved[1], 1 - float(moved[1].sum() / mask.sum())


def in_place(image, mask, right, down, fill):
    moved = move(image, mask, right, down, fill)
    image[:] = moved[0]
    return image, moved[1], moved[2]


ANSWERS = {
    "manifest_line": (
        line,
        [
            (masks_of_normal_pictures, "it has no mask"),
            (mask_named_like_its_picture, "ending before .png"),
            (labels_swapped, "0 stands for normal"),
            (kind_as_class, "kind of defect"),
            (masks_inside_test, "beside test"),
            (good_anywhere, "label of good_box"),
            (line_as_text, "a dict"),
        ],
    ),
    "draw_shots": (
        shots,
        [
            (k_of_each, "k in all"),
            (the_first, "by chance"),
            (any_k, "abnormal"),
            (global_chance, "two answers"),
            (unchecked, "ValueError"),
            (with_repeats, "twice"),
            (not_sorted, "not sorted"),
        ],
    ),
    "move_pair": (
        move,
        [
            (mask_left_behind, "mask has not moved"),
            (around_the_corner, "comes in again on the other"),
            (axes_swapped, "right and down are swapped"),
            (black_outside, "image is filled"),
            (mask_filled_too, "mask is filled"),
            (what_stayed, "the share that stayed"),
            (no_empty_mask, "empty mask"),
            (in_place, "work on a copy"),
        ],
    ),
}
