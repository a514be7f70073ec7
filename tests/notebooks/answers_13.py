"""Chapter 13: solutions, and what learners get wrong."""

import numpy as np
from scipy.stats import t


def solved_pool(patches, score):
    return (score.softmax(1) * patches).sum(1)


def pool_plain(patches, score):
    return patches.mean(1)


def pool_by_scores(patches, score):
    return (score * patches).sum(1)


def pool_over_pictures(patches, score):
    return (score.softmax(0) * patches).sum(1)


def pool_over_nothing(patches, score):
    return (score.softmax(-1) * patches).sum(1)


def pool_averaged(patches, score):
    return (score.softmax(1) * patches).mean(1)


def pool_best(patches, score):
    best = score.argmax(1, keepdim=True).expand(-1, -1, patches.shape[-1])
    return patches.gather(1, best)[:, 0]


def pool_sigmoid(patches, score):
    return (score.sigmoid() * patches).sum(1)


def half_of(change, degrees=None, quantile=0.975):
    degrees = len(change) - 1 if degrees is None else degrees
    return t.ppf(quantile, degrees) * change.std(ddof=1) / len(change) ** 0.5


def solved_change(mine, rival):
    change = mine - rival
    return change.mean(), half_of(change)


def change_turned(mine, rival):
    return (rival - mine).mean(), half_of(mine - rival)


def change_unpaired(mine, rival):
    error = ((mine.var(ddof=1) + rival.var(ddof=1)) / len(mine)) ** 0.5
    return (mine - rival).mean(), t.ppf(0.975, len(mine) - 1) * error


def change_of_a_seed(mine, rival):
    change = mine - rival
    return change.mean(), half_of(change) * len(change) ** 0.5


def change_of_all(mine, rival):
    change = mine - rival
    return change.mean(), t.ppf(0.975, len(change) - 1) * change.std() / len(change) ** 0.5


def change_normal(mine, rival):
    change = mine - rival
    return change.mean(), 1.96 * change.std(ddof=1) / len(change) ** 0.5


def change_one_sided(mine, rival):
    return (mine - rival).mean(), half_of(mine - rival, quantile=0.95)


def change_degrees(mine, rival):
    return (mine - rival).mean(), half_of(mine - rival, degrees=len(mine))


def change_whole(mine, rival):
    return (mine - rival).mean(), 2 * half_of(mine - rival)


def change_middle(mine, rival):
    return (mine - rival).mean()


def solved_least(rises):
    return sorted(rises, key=rises.get)[: len(rises) // 2]


def least_as_most(rises):
    return sorted(rises, key=rises.get)[len(rises) // 2 :]


def least_by_size(rises):
    return sorted(rises, key=lambda place: -abs(rises[place]))[: len(rises) // 2]


def least_first(rises):
    return list(rises)[: len(rises) // 2]


def least_too_many(rises):
    return sorted(rises, key=rises.get)[: len(rises) // 2 + 1]


def least_values(rises):
    return sorted(rises.values())[: len(rises) // 2]


def least_one(rises):
    return [min(rises, key=rises.get)]


def least_sorted_places(rises):
    return np.argsort(list(rises.values()))[::-1][: len(rises) // 2]


ANSWERS = {
    "attention_pool": (
        solved_pool,
        [
            (pool_plain, "`patches` were its mean along axis 1, everywhere"),
            (pool_by_scores, "no weights yet"),
            (pool_over_pictures, "made with a softmax along axis 0"),
            (pool_over_nothing, "made with a softmax along axis -1"),
            (pool_averaged, "is 1 / the length of `patches`'s axis 1 of what it should be"),
            (pool_best, "made with the best alone, not a softmax"),
            (pool_sigmoid, "made with a sigmoid instead of softmax"),
        ],
    ),
    "paired_change": (
        solved_change,
        [
            (change_turned, "the first has the sign turned"),
            (change_unpaired, "differences first"),
            (change_of_a_seed, "the MEAN"),
            (change_of_all, "ddof=1"),
            (change_normal, "Student"),
            (change_one_sided, "0.975"),
            (change_degrees, "n - 1 degrees"),
            (change_whole, "half the width"),
            (change_middle, "two values"),
        ],
    ),
    "least_important": (
        solved_least,
        [
            (least_as_most, "matter most"),
            (least_by_size, "up or down"),
            (least_first, "the first"),
            (least_too_many, "one too many"),
            (least_values, "places"),
            (least_one, "half of them"),
            (least_sorted_places, "which is not it"),
        ],
    ),
}
