"""Chapter 17: solutions, and what learners get wrong."""

import math

import torch


def solved_error(normal, abnormal):
    return ((normal + abnormal + 1) / (12 * normal * abnormal)) ** 0.5


def error_as_variance(normal, abnormal):
    return solved_error(normal, abnormal) ** 2


def error_without_one(normal, abnormal):
    return math.sqrt((normal + abnormal) / (12 * normal * abnormal))


def error_without_twelve(normal, abnormal):
    return math.sqrt((normal + abnormal + 1) / (normal * abnormal))


def error_of_a_coin(normal, abnormal):
    return 0.5 / math.sqrt(normal + abnormal)


def error_of_single_pictures(normal, abnormal):
    return 1 / math.sqrt(normal + abnormal)


def error_with_all_squared(normal, abnormal):
    return math.sqrt((normal + abnormal + 1) / (12 * (normal + abnormal) ** 2))


def error_turned_round(normal, abnormal):
    return math.sqrt((normal * abnormal + 1) / (12 * normal * abnormal))


def error_doubled(normal, abnormal):
    return 2 * solved_error(normal, abnormal)


def gradient_of(loss, weights):
    return torch.autograd.grad(loss, weights, retain_graph=True)[0]


def solved_pull(first, second, weights):
    return float(gradient_of(first, weights).norm() / gradient_of(second, weights).norm())


def pull_of_losses(first, second, weights):
    return float((first / second).detach())


def pull_turned_round(first, second, weights):
    return 1 / solved_pull(first, second, weights)


def pull_squared(first, second, weights):
    return solved_pull(first, second, weights) ** 2


def pull_summed(first, second, weights):
    return float(gradient_of(first, weights).sum() / gradient_of(second, weights).sum())


def pull_entry_by_entry(first, second, weights):
    return float((gradient_of(first, weights) / gradient_of(second, weights)).mean())


def pull_accumulated(first, second, weights):
    weights.grad = None
    first.backward(retain_graph=True)
    one = weights.grad.norm().clone()
    second.backward(retain_graph=True)
    return float(one / weights.grad.norm())


def pull_not_reduced(first, second, weights):
    return gradient_of(first, weights) / gradient_of(second, weights)


def pull_of_the_largest(first, second, weights):
    return float(gradient_of(first, weights).abs().max() / gradient_of(second, weights).abs().max())


def solved_verdict(claimed, value, error, null):
    if value is None:
        return "unsupported"
    if null == claimed:
        return "invalid"
    near = abs(value - claimed) <= 2 * error
    if near and null is not None and abs(value - null) <= 2 * error:
        return "unsupported"
    return "true" if near else "false"


def verdict_as_bool(claimed, value, error, null):
    return solved_verdict(claimed, value, error, null) == "true"


def verdict_of_one_error(claimed, value, error, null):
    return solved_verdict(claimed, value, error / 2, null)


def verdict_without_null(claimed, value, error, null):
    return solved_verdict(claimed, value, error, None)


def verdict_never_invalid(claimed, value, error, null):
    near = value is not None and abs(value - claimed) <= 2 * error
    return "unsupported" if value is None else "true" if near else "false"


def verdict_without_near_null(claimed, value, error, null):
    if value is not None and null == claimed:
        return "invalid"
    return verdict_never_invalid(claimed, value, error, null)


def verdict_that_calls_the_unmeasured_false(claimed, value, error, null):
    return "false" if value is None else solved_verdict(claimed, value, error, null)


def verdict_one_sided(claimed, value, error, null):
    if value is not None and value > claimed:
        return "true"
    return solved_verdict(claimed, value, error, null)


def verdict_with_own_words(claimed, value, error, null):
    return solved_verdict(claimed, value, error, null).replace("true", "correct")


def verdict_unsupported_at_null(claimed, value, error, null):
    if value is not None and null not in (None, claimed) and abs(value - null) <= 2 * error:
        return "unsupported"
    return solved_verdict(claimed, value, error, null)


def verdict_without_return(claimed, value, error, null):
    solved_verdict(claimed, value, error, null)


ANSWERS = {
    "auc_error": (
        solved_error,
        [
            (error_as_variance, "is the square of the right value"),
            (error_without_one, "the + 1 is missing"),
            (error_without_twelve, "the 12 is missing"),
            (error_of_a_coin, "a coin's share"),
            (error_of_single_pictures, "counts pairs"),
            (error_with_all_squared, "normal times abnormal"),
            (error_turned_round, "changed places"),
            (error_doubled, "is twice too large"),
        ],
    ),
    "pull": (
        solved_pull,
        [
            (pull_of_losses, "ratio of the losses"),
            (pull_turned_round, "turned round"),
            (pull_squared, "squared"),
            (pull_summed, "cancel in a sum"),
            (pull_entry_by_entry, "entry by entry"),
            (pull_accumulated, "backward adds to .grad"),
            (pull_not_reduced, "one number"),
            (pull_of_the_largest, "largest slope"),
        ],
    ),
    "verdict": (
        solved_verdict,
        [
            (verdict_as_bool, "is no verdict"),
            (verdict_of_one_error, "two errors are allowed, not one"),
            (verdict_without_null, "knows nothing"),
            (verdict_never_invalid, "knows nothing"),
            (verdict_without_near_null, "within two errors as well"),
            (verdict_without_near_null, "claimed 0.55, value 0.52, error 0.04, null 0.5]"),
            (verdict_that_calls_the_unmeasured_false, "not measured"),
            (verdict_one_sided, "take the distance"),
            (verdict_with_own_words, "not one of true"),
            (verdict_unsupported_at_null, "does not hold"),
            (verdict_without_return, "None comes back"),
        ],
    ),
}
