"""Chapter 15: solutions, and what learners get wrong."""

import math

import torch


def solved_pool(maps):
    cells = maps.flatten(1)
    k = min(cells.shape[1], max(5, math.ceil(0.1 * cells.shape[1])))
    return cells.topk(k, dim=1).values.mean(1)


def pool_of_all(maps):
    return maps.mean((1, 2, 3))


def pool_of_one(maps):
    return maps.amax((1, 2, 3))


def pool_of_the_lowest(maps):
    return -solved_pool(-maps)


def pool_as_sum(maps):
    cells = maps.flatten(1)
    k = min(cells.shape[1], max(5, math.ceil(0.1 * cells.shape[1])))
    return cells.topk(k, dim=1).values.sum(1)


def pool_rounded_down(maps):
    cells = maps.flatten(1)
    k = min(cells.shape[1], max(5, int(0.1 * cells.shape[1])))
    return cells.topk(k, dim=1).values.mean(1)


def pool_without_five(maps):
    cells = maps.flatten(1)
    return cells.topk(math.ceil(0.1 * cells.shape[1]), dim=1).values.mean(1)


def pool_of_the_batch(maps):
    k = max(5, math.ceil(0.1 * maps[0].numel()))
    return maps.flatten().topk(min(k, maps.numel())).values.mean().expand(len(maps))


def pool_with_a_column(maps):
    return solved_pool(maps)[:, None]


def pool_as_chance(maps):
    return solved_pool(maps).sigmoid()


def pool_that_asks_for_too_many(maps):
    cells = maps.flatten(1)
    return cells.topk(max(5, math.ceil(0.1 * cells.shape[1])), dim=1).values.mean(1)


def solved_kl(student, teacher, temperature=4.0):
    log_s = (student.flatten(1) / temperature).log_softmax(1)
    log_t = (teacher.flatten(1) / temperature).log_softmax(1)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum() / len(student)


def kl_over_channels(student, teacher, temperature=4.0):
    log_s = (student / temperature).log_softmax(1)
    log_t = (teacher / temperature).log_softmax(1)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum() / len(student)


def kl_without_square(student, teacher, temperature=4.0):
    return solved_kl(student, teacher, temperature) / temperature**2


def kl_with_t(student, teacher, temperature=4.0):
    return solved_kl(student, teacher, temperature) / temperature


def kl_summed(student, teacher, temperature=4.0):
    return solved_kl(student, teacher, temperature) * len(student)


def kl_meaned(student, teacher, temperature=4.0):
    return solved_kl(student, teacher, temperature) / student[0].numel()


def kl_exchanged(student, teacher, temperature=4.0):
    return solved_kl(teacher, student, temperature)


def kl_as_cross_entropy(student, teacher, temperature=4.0):
    log_s = (student.flatten(1) / temperature).log_softmax(1)
    p = (teacher.flatten(1) / temperature).softmax(1)
    return -(temperature**2) * (p * log_s).sum() / len(student)


def kl_turned(student, teacher, temperature=4.0):
    return -solved_kl(student, teacher, temperature)


def kl_cold(student, teacher, temperature=4.0):
    return solved_kl(student, teacher, 1.0)


def kl_cold_with_square(student, teacher, temperature=4.0):
    return temperature**2 * solved_kl(student, teacher, 1.0)


def pulls(term, weights):
    return torch.autograd.grad(term, weights, retain_graph=True)


def solved_ratio(distill, task, weights):
    d, t = (torch.cat([p.flatten() for p in pulls(x, weights)]) for x in (distill, task))
    return d.norm() / t.norm()


def ratio_of_values(distill, task, weights):
    return (distill / task).detach()


def ratio_upside_down(distill, task, weights):
    return solved_ratio(task, distill, weights)


def ratio_of_squares(distill, task, weights):
    return solved_ratio(distill, task, weights) ** 2


def ratio_of_summed_lengths(distill, task, weights):
    return sum(p.norm() for p in pulls(distill, weights)) / sum(
        p.norm() for p in pulls(task, weights)
    )


def ratio_of_the_first(distill, task, weights):
    return solved_ratio(distill, task, weights[:1])


def ratio_with_grad_added_up(distill, task, weights):
    for weight in weights:
        weight.grad = None
    distill.backward(retain_graph=True)
    above = torch.cat([weight.grad.flatten() for weight in weights]).norm()
    task.backward(retain_graph=True)
    return above / torch.cat([weight.grad.flatten() for weight in weights]).norm()


def ratio_of_peaks(distill, task, weights):
    d, t = (max(p.abs().max() for p in pulls(x, weights)) for x in (distill, task))
    return d / t


def ratio_of_absolutes(distill, task, weights):
    d, t = (sum(p.abs().sum() for p in pulls(x, weights)) for x in (distill, task))
    return d / t


def ratio_without_retaining(distill, task, weights):
    d = torch.cat(torch.autograd.grad(distill, weights))
    return d.norm() / torch.cat(torch.autograd.grad(task, weights)).norm()


ANSWERS = {
    "pool_top": (
        solved_pool,
        [
            (pool_of_all, "drowns"),
            (pool_of_one, "it were the largest, not averaged"),
            (pool_of_the_lowest, "made with the least"),
            (pool_as_sum, "it were added up, not averaged"),
            (pool_rounded_down, "rounded up"),
            (pool_without_five, "at least 5"),
            (pool_of_the_batch, "one heap"),
            (pool_with_a_column, "has shape"),
            (pool_as_chance, "sigmoid"),
            (pool_that_asks_for_too_many, "stopped with"),
        ],
    ),
    "position_kl": (
        solved_kl,
        [
            (kl_over_channels, "over the channels"),
            (kl_without_square, "is 1 / `temperature` squared of what it should be"),
            (kl_with_t, "is 1 / `temperature` of what it should be"),
            (kl_summed, "is the length of `student`'s axis 0 times what it should be"),
            (kl_meaned, "is 1 / the length of `student`'s axis 2 squared of what it"),
            (kl_exchanged, "exchanged"),
            (kl_as_cross_entropy, "cross-entropy"),
            (kl_turned, "has the sign turned"),
            (kl_cold, "`temperature` were 1: has it no effect?"),
            (kl_cold_with_square, "before the softmax"),
        ],
    ),
    "pull_ratio": (
        solved_ratio,
        [
            (ratio_of_values, "their slopes pull"),
            (ratio_upside_down, "turned round"),
            (ratio_of_squares, "take the root"),
            (ratio_of_summed_lengths, "one vector"),
            (ratio_of_the_first, "first tensor"),
            (ratio_with_grad_added_up, "backward adds"),
            (ratio_of_peaks, "largest slope"),
            (ratio_of_absolutes, "root of the sum"),
            (ratio_without_retaining, "backward through the graph"),
        ],
    ),
}
