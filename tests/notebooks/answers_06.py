"""Learners of chapter 06: for each exercise its solution, and mistakes with a word that the hint
must hold.
"""

import torch
import torch.nn.functional as F

from tests.notebooks.loops import loop_of


def stage1_feature(patches, picture):
    return F.normalize(patches, dim=-1) + F.normalize(picture, dim=-1).unsqueeze(1)


def blind_dice(mask):
    defect, pixels = mask.flatten(1).sum(1), mask[0].numel()
    sound = pixels - defect
    return 2 - ((2 * sound + 1) / (pixels + sound + 1)).mean() - (1 / (defect + 1)).mean()


def without_smoothing(mask):
    sound = 1 - mask.flatten(1)
    normal = 1 - (2 * sound.sum(1) / (sound.shape[1] + sound.sum(1))).mean()
    return normal + torch.ones(())


def over_the_batch(mask):
    sound, ones = 1 - mask, torch.ones_like(mask)
    normal = 1 - (2 * sound.sum() + 1) / (ones.sum() + sound.sum() + 1)
    return normal + 1 - 1 / (mask.sum() + 1)


def only_abnormal(mask):
    return 1 - (1 / (mask.flatten(1).sum(1) + 1)).mean()


def choose_step(steps, validation, test):
    best = max(range(len(steps)), key=lambda i: (validation[i], -steps[i]))
    return steps[best], test[best]


def by_test(steps, validation, test):
    best = max(range(len(steps)), key=lambda i: test[i])
    return steps[best], test[best]


def near_the_best(steps, validation, test):
    near = (n for n, figure in enumerate(validation) if figure >= 0.9 * max(validation))
    first = min(near, key=lambda n: steps[n])
    return steps[first], test[first]


def latest(steps, validation, test):
    best = max(range(len(steps)), key=lambda i: (validation[i], steps[i]))
    return steps[best], test[best]


def best_test_figure(steps, validation, test):
    return choose_step(steps, validation, test)[0], max(test)


ANSWERS = {
    "stage1_feature": (
        stage1_feature,
        [
            (
                lambda patches, picture: F.normalize(patches, dim=-1) + picture.unsqueeze(1),
                "made without unit length",
            ),
            (
                lambda *both: F.normalize(stage1_feature(*both), dim=-1),
                "is right, then brought to length 1 along axis 2",
            ),
            (lambda *both: stage1_feature(*both) / 2, "is half of what it should be"),
            (
                lambda patches, picture: stage1_feature(patches, picture[:1]),
                "`picture` were its first entry along axis 0, everywhere",
            ),
            (
                lambda patches, picture: F.normalize(patches, dim=-1),
                "`picture` were 0 everywhere: is it left out?",
            ),
            (
                lambda patches, picture: (
                    F.normalize(patches, dim=-1) + F.normalize(picture, dim=-1)
                ),
                "stopped with",
            ),
        ],
    ),
    "blind_dice": (
        blind_dice,
        [
            (without_smoothing, "above and below"),
            (over_the_batch, "the batch is one sum"),
            (only_abnormal, "only the abnormal"),
            (lambda mask: blind_dice(1 - mask), "inverted"),
            (lambda mask: blind_dice(mask) / 2, "is half of what it should be"),
            (lambda mask: blind_dice(mask) * len(mask), "take the mean"),
        ],
    ),
    "choose_step": (
        choose_step,
        [
            (by_test, "no say"),
            (latest, "earliest"),
            (near_the_best, "is near the best"),
            (best_test_figure, "another step"),
            (
                lambda steps, validation, test: (
                    choose_step(steps, validation, test)[0],
                    max(validation),
                ),
                "chosen by",
            ),
            (
                lambda steps, validation, test: (validation.index(max(validation)), 0.0),
                "place in the list",
            ),
            (
                lambda steps, validation, test: (choose_step(steps, validation, test)[0], 0.0),
                "its figure is not",
            ),
            (
                lambda steps, validation, test: choose_step(steps, validation, test)[::-1],
                "is a figure",
            ),
            (
                lambda steps, validation, test: (
                    steps.sort(),
                    choose_step(steps, validation, test),
                )[1],
                "changed steps in place",
            ),
        ],
    ),
    "text_loop": (
        loop_of("text"),
        [
            (loop_of("text", "no zero_grad"), "add up"),
            (loop_of("text", "default lr"), "learning rate"),
            (loop_of("text", "default betas"), "betas"),
            (loop_of("text", "first part"), "one part"),
            (loop_of("text", "all move"), "has moved"),
            (loop_of("text", "no backward"), "no weight has moved"),
            (loop_of("text", "all batches"), "stop after"),
            (loop_of("text", "returns nothing"), "return a list"),
            (lambda *given: [str(loss) for loss in loop_of("text")(*given)], "are text"),
        ],
    ),
}
