"""Chapter 11: solutions, and what learners get wrong."""

import math
from collections import Counter
from itertools import pairwise


def solved_mean(shape):
    if len(shape) < 2:
        return 0.0
    return math.sqrt(6 / (shape[0] + shape[1])) / 2


def mean_as_bound(shape):
    return 2 * solved_mean(shape)


def mean_as_root_mean_square(shape):
    return 2 * solved_mean(shape) / math.sqrt(3)


def mean_as_variance(shape):
    return (2 * solved_mean(shape)) ** 2 / 3


def mean_of_w(shape):
    return 0.0


def mean_of_a_normal_start(shape):
    return math.sqrt(2 / sum(shape)) * math.sqrt(2 / math.pi) if len(shape) > 1 else 0.0


def mean_by_fan_in(shape):
    return math.sqrt(3 / shape[-1]) / 2 if len(shape) > 1 else 0.0


def mean_by_product(shape):
    return math.sqrt(6 / math.prod(shape)) / 2 if len(shape) > 1 else 0.0


def mean_without_root(shape):
    return 3 / sum(shape) if len(shape) > 1 else 0.0


def mean_with_a_bias_like_a_matrix(shape):
    return math.sqrt(6 / (shape[0] + shape[-1])) / 2


def bound(w):
    return math.sqrt(6 / sum(w.shape)) if w.ndim > 1 else 0.0


def solved_outside(w):
    return int((w.abs() > bound(w)).sum())


def outside_as_tensor(w):
    return (w.abs() > bound(w)).sum()


def outside_at_the_bound(w):
    return int((w.abs() >= bound(w)).sum())


def outside_above(w):
    return int((w > bound(w)).sum())


def outside_twice_the_bound(w):
    return solved_outside(w / 2)


def outside_the_mean(w):
    return int((w.abs() > bound(w) / 2).sum())


def inside(w):
    return int((w.abs() <= bound(w)).sum())


def outside_as_share(w):
    return float((w.abs() > bound(w)).double().mean())


def outside_as_excess(w):
    return float((w.abs() - bound(w)).clamp(min=0).sum())


def outside_s0(w):
    return int((w.abs() > 0.1).sum())


def outside_without_root(w):
    return int((w.abs() > 6 / sum(w.shape)).sum())


def outside_of_matrices(w):
    return solved_outside(w) if w.ndim > 1 else 0


def solved_epochs(epochs, planned):
    missing = [n for n in range(planned) if n not in epochs]
    doubled = sorted(n for n, times in Counter(epochs).items() if times > 1)
    return missing, doubled


def epochs_as_sets(epochs, planned):
    missing, doubled = solved_epochs(epochs, planned)
    return set(missing), set(doubled)


def epochs_from_one(epochs, planned):
    return [n for n in range(1, planned + 1) if n not in epochs], solved_epochs(epochs, planned)[1]


def epochs_with_one_too_many(epochs, planned):
    return [n for n in range(planned + 1) if n not in epochs], solved_epochs(epochs, planned)[1]


def epochs_to_the_last(epochs, planned):
    end = max(epochs, default=-1) + 1
    return [n for n in range(end) if n not in epochs], solved_epochs(epochs, planned)[1]


def epochs_from_the_first(epochs, planned):
    begin = min(epochs, default=0)
    return [n for n in range(begin, planned) if n not in epochs], solved_epochs(epochs, planned)[1]


def epochs_doubled_beside_each_other(epochs, planned):
    pairs = pairwise(epochs)
    return solved_epochs(epochs, planned)[0], sorted({a for a, b in pairs if a == b})


def epochs_named_again(epochs, planned):
    again = [n for i, n in enumerate(epochs) if n in epochs[:i]]
    return solved_epochs(epochs, planned)[0], sorted(again)


def epochs_twice_only(epochs, planned):
    twice = sorted(n for n, times in Counter(epochs).items() if times == 2)
    return solved_epochs(epochs, planned)[0], twice


def epochs_counted(epochs, planned):
    missing, doubled = solved_epochs(epochs, planned)
    return len(missing), len(doubled)


def epochs_turned_round(epochs, planned):
    missing, doubled = solved_epochs(epochs, planned)
    return doubled, missing


def epochs_missing_only(epochs, planned):
    return [n for n in range(planned) if n not in epochs]


ANSWERS = {
    "untrained_mean": (
        solved_mean,
        [
            (mean_as_bound, "this is the bound"),
            (mean_as_root_mean_square, "root mean square"),
            (mean_as_variance, "the variance"),
            (mean_of_w, "|w| has not"),
            (mean_of_a_normal_start, "normal start"),
            (mean_by_fan_in, "both sides"),
            (mean_by_product, "added, not multiplied"),
            (mean_without_root, "a root is missing"),
            (mean_with_a_bias_like_a_matrix, "which starts at zero"),
        ],
    ),
    "weights_outside": (
        solved_outside,
        [
            (outside_at_the_bound, "AT the bound"),
            (outside_above, "negative weights"),
            (outside_the_mean, "half the bound"),
            (outside_twice_the_bound, "twice the bound"),
            (inside, "weights inside"),
            (outside_as_share, "not a share"),
            (outside_as_excess, "do not add up"),
            (outside_s0, "S0's threshold"),
            (outside_without_root, "a root is missing"),
            (outside_of_matrices, "a bias starts at zero"),
        ],
    ),
    "epoch_problems": (
        solved_epochs,
        [
            (epochs_from_one, "count from 0"),
            (epochs_with_one_too_many, "planned - 1"),
            (epochs_to_the_last, "lacks its last epochs"),
            (epochs_from_the_first, "lacks its first epochs"),
            (epochs_doubled_beside_each_other, "not at neighbours"),
            (epochs_named_again, "once"),
            (epochs_twice_only, "three times"),
            (epochs_counted, "not their number"),
            (epochs_turned_round, "missing comes first"),
            (epochs_missing_only, "two values"),
        ],
    ),
}
