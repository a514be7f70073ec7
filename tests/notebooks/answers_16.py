"""Chapter 16: solutions, and what learners get wrong."""

import math

import torch
import torch.nn.functional as F


def solved_box(box, n):
    x_min, y_min, x_max, y_max = box
    mask = torch.zeros(n, n)
    rows = slice(int(y_min * n), math.ceil(y_max * n))
    mask[rows, int(x_min * n) : math.ceil(x_max * n)] = 1
    return mask


def box_cut(box, n):
    x_min, y_min, x_max, y_max = box
    mask = torch.zeros(n, n)
    mask[int(y_min * n) : int(y_max * n), int(x_min * n) : int(x_max * n)] = 1
    return mask


def box_transposed(box, n):
    return solved_box(box, n).T


def box_inverted(box, n):
    return 1 - solved_box(box, n)


def box_near_edges_up(box, n):
    x_min, y_min, x_max, y_max = (math.ceil(edge * n) for edge in box)
    mask = torch.zeros(n, n)
    mask[y_min:y_max, x_min:x_max] = 1
    return mask


def box_rounded(box, n):
    x_min, y_min, x_max, y_max = (round(edge * n) for edge in box)
    mask = torch.zeros(n, n)
    mask[y_min:y_max, x_min:x_max] = 1
    return mask


def box_plus_one(box, n):
    x_min, y_min, x_max, y_max = (int(edge * n) for edge in box)
    mask = torch.zeros(n, n)
    mask[y_min : y_max + 1, x_min : x_max + 1] = 1
    return mask


def box_as_width_and_height(box, n):
    x, y, width, height = box
    return solved_box((x, y, x + width, y + height), n)


def box_upside_down(box, n):
    return solved_box(box, n).flip(0)


def solved_hinge(cam, mask, margin):
    inside = (F.relu(margin - cam) * mask).sum() / (mask.sum() + 1e-6)
    outside = (F.relu(margin + cam) * (1 - mask)).sum() / ((1 - mask).sum() + 1e-6)
    return inside + outside


def hinge_without_margin(cam, mask, margin):
    return solved_hinge(cam, mask, 0)


def hinge_turned(cam, mask, margin):
    return solved_hinge(-cam, mask, margin)


def hinge_of_one_mean(cam, mask, margin):
    return torch.where(mask > 0, F.relu(margin - cam), F.relu(margin + cam)).mean()


def hinge_summed(cam, mask, margin):
    return torch.where(mask > 0, F.relu(margin - cam), F.relu(margin + cam)).sum()


def hinge_inside_only(cam, mask, margin):
    return (F.relu(margin - cam) * mask).sum() / mask.sum()


def hinge_squared(cam, mask, margin):
    inside = (F.relu(margin - cam) ** 2 * mask).sum() / mask.sum()
    return inside + (F.relu(margin + cam) ** 2 * (1 - mask)).sum() / (1 - mask).sum()


def hinge_with_fixed_margin(cam, mask, margin):
    return solved_hinge(cam, mask, 1.0)


def hinge_with_empty_box(cam, mask, margin):
    inside = F.relu(margin - cam)[mask > 0].mean()
    return inside + F.relu(margin + cam)[mask == 0].mean()


def solved_within(prototypes, m):
    unit = F.normalize(prototypes, dim=1).unflatten(0, (-1, m))
    cosines = unit @ unit.mT
    return (cosines.sum() - len(prototypes)) / (len(prototypes) * (m - 1))


def within_over_all_pairs(prototypes, m):
    unit = F.normalize(prototypes, dim=1)
    other = ~torch.eye(len(unit), dtype=torch.bool)
    return (unit @ unit.T)[other].mean()


def within_as_between(prototypes, m):
    unit = F.normalize(prototypes, dim=1)
    concept = torch.arange(len(unit)) // m
    return (unit @ unit.T)[concept[:, None] != concept].mean()


def within_largest(prototypes, m):
    unit = F.normalize(prototypes, dim=1)
    return (unit @ unit.T).fill_diagonal_(-1).max()


def within_with_diagonal(prototypes, m):
    unit = F.normalize(prototypes, dim=1).unflatten(0, (-1, m))
    return (unit @ unit.mT).mean()


def within_divided_by_all(prototypes, m):
    unit = F.normalize(prototypes, dim=1).unflatten(0, (-1, m))
    return ((unit @ unit.mT).sum() - len(prototypes)) / (len(prototypes) * m)


def within_not_normalised(prototypes, m):
    groups = prototypes.unflatten(0, (-1, m))
    upper = torch.triu(torch.ones(m, m, dtype=torch.bool), 1)
    return (groups @ groups.mT)[:, upper].mean()


def within_interleaved(prototypes, m):
    count = len(prototypes) // m
    return solved_within(prototypes.unflatten(0, (m, count)).transpose(0, 1).flatten(0, 1), m)


ANSWERS = {
    "whole_box": (
        solved_box,
        [
            (box_cut, "far edges are cut"),
            (box_transposed, "rows and columns are swapped"),
            (box_inverted, "is 1 minus the right value"),
            (box_near_edges_up, "near edges must be rounded down"),
            (box_rounded, "can still lose a box"),
            (box_plus_one, "+1 is not rounding up"),
            (box_as_width_and_height, "not width and height"),
            (box_upside_down, "stands in the reverse order along axis 0"),
        ],
    ),
    "hinge_box": (
        solved_hinge,
        [
            (hinge_without_margin, "`margin` were 0: is it left out?"),
            (hinge_turned, "`cam` were turned in sign"),
            (hinge_of_one_mean, "a small box drowns"),
            (hinge_summed, "made without a division"),
            (hinge_inside_only, "the outside is missing"),
            (hinge_squared, "made with the square of relu"),
            (hinge_with_fixed_margin, "margin that was given is not used"),
            (hinge_with_empty_box, "0 / 0"),
        ],
    ),
    "within_similarity": (
        solved_within,
        [
            (within_over_all_pairs, "hides what happens within"),
            (within_as_between, "pairs of two concepts"),
            (within_largest, "largest cosine"),
            (within_with_diagonal, "leave the diagonal out"),
            (within_divided_by_all, "not of the pairs"),
            (within_not_normalised, "made without unit length"),
            (within_interleaved, "next to each other"),
        ],
    ),
}
