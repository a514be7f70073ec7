"""Chapter 03: solutions, and what learners get wrong."""

import torch

from aaclip_lite.adapters import mix


def solved_mix(x, adapted, weight):
    adapted = adapted * x.norm(dim=-1, keepdim=True) / adapted.norm(dim=-1, keepdim=True)
    return weight * adapted + (1 - weight) * x


def plain_mix(x, adapted, weight):
    return weight * adapted + (1 - weight) * x


def turned_mix(x, adapted, weight):
    return solved_mix(x, adapted, weight) - (2 * weight - 1) * (solved_mix(x, adapted, 1.0) - x)


def mix_of_all_lengths(x, adapted, weight):
    return weight * adapted * x.norm() / adapted.norm() + (1 - weight) * x


def mix_of_unit_length(x, adapted, weight):
    return weight * adapted / adapted.norm(dim=-1, keepdim=True) + (1 - weight) * x


def mix_over_tokens(x, adapted, weight):
    return weight * adapted * x.norm(dim=0) / adapted.norm(dim=0) + (1 - weight) * x


def mix_in_place(x, adapted, weight):
    mixed = solved_mix(x, adapted, weight)
    return x.copy_(mixed)


def solved_count(width, joint, blocks, levels, bottleneck, bias):
    inner = width // 2
    adapter = (
        2 * width * inner + bias * (inner + width) if bottleneck else width * width + bias * width
    )
    return blocks * adapter + (levels + 1) * (width * joint + bias * joint)


def count_without_detection(width, joint, blocks, levels, bottleneck, bias):
    return solved_count(width, joint, blocks, levels - 1, bottleneck, bias)


def count_without_biases(width, joint, blocks, levels, bottleneck, bias):
    return solved_count(width, joint, blocks, levels, bottleneck, False)


def count_without_way_up(width, joint, blocks, levels, bottleneck, bias):
    full = solved_count(width, joint, blocks, levels, bottleneck, bias)
    return full - bottleneck * blocks * width * (width // 2)


def count_of_released(width, joint, blocks, levels, bottleneck, bias):
    return 10_223_616


def solved_walk(x, blocks, adapters, levels, weight):
    found = []
    for number, block in enumerate(blocks, start=1):
        x = block(x)
        if number in adapters:
            x = mix(x, adapters[number](x), weight)
        if number in levels:
            found.append(x)
    return found


def walk_read_too_early(x, blocks, adapters, levels, weight):
    found = []
    for number, block in enumerate(blocks, start=1):
        x = block(x)
        if number in levels:
            found.append(x)
        if number in adapters:
            x = mix(x, adapters[number](x), weight)
    return found


def walk_from_zero(x, blocks, adapters, levels, weight):
    later = {number + 1: adapter for number, adapter in adapters.items()}
    return solved_walk(x, blocks, later, [level + 1 for level in levels], weight)


def walk_without_adapters(x, blocks, adapters, levels, weight):
    return solved_walk(x, blocks, {}, levels, weight)


def walk_stacked(x, blocks, adapters, levels, weight):
    return torch.stack(solved_walk(x, blocks, adapters, levels, weight))


def unit(tokens):
    return tokens / tokens.norm(dim=-1, keepdim=True)


def mix_and_rescale(x, adapted, weight):
    return unit(plain_mix(x, adapted, weight)) * x.norm(dim=-1, keepdim=True)


def walk_with(fault):
    """A walk with one plausible fault."""

    def walk(x, blocks, adapters, levels, weight):
        found = []
        for number, block in enumerate(blocks, start=1):
            if fault == "before" and number in adapters:
                x = mix(x, adapters[number](x), weight)
            plain = x = block(x)
            if fault != "before" and number in adapters:
                a = adapters[number](x)
                x = {"plain": plain_mix(x, a, weight), "added": x + weight * a}.get(
                    fault, mix(x, a, weight)
                )
            if number in levels or fault == "every":
                found.append(x)
            x = plain if fault == "aside" else x
        return found

    return walk


ANSWERS = {
    "norm_preserving_mix": (
        solved_mix,
        [
            (plain_mix, "made without a length"),
            (turned_mix, "`weight` were 1 less itself"),
            (mix_of_unit_length, "made without a length"),
            (mix_of_all_lengths, "made with one length of everything together"),
            (mix_over_tokens, "made with lengths along axis 0"),
            (mix_in_place, "changed x in place"),
            (mix_and_rescale, "the result is brought to the length of x"),
            (lambda x, a, weight: x + weight * a, "x is added whole"),
            (
                lambda x, a, weight: plain_mix(unit(x), unit(a), weight),
                "`x` were brought to unit length along axis 1",
            ),
            (lambda x, a, weight: weight * a * x.norm(dim=-1) + x, "keepdim=True"),
            (lambda x, a, weight: solved_mix(x, a, 0.5), "is not used"),
            (lambda x, a, weight: solved_mix(a, x, 1 - weight), "x is given the length"),
        ],
    ),
    "adapter_weight_count": (
        solved_count,
        [
            (count_without_detection, "one more for detection"),
            (count_without_biases, "the biases are missing"),
            (count_without_way_up, "two matrices"),
            (count_of_released, "is always 10223616: is what comes in used?"),
            (lambda w, j, b, n, bn, bias: solved_count(w, j, n, b, bn, bias), "are swapped"),
            (
                lambda w, j, b, n, bn, bias: solved_count(w, j, b, n, False, bias),
                "two biases",
            ),
            (lambda w, j, b, n, bn, bias: solved_count(w, j, b, n + 1, bn, bias), "too many"),
            (lambda w, j, b, n, bn, bias: solved_count(w, w, b, n, bn, bias), "joint space"),
            (lambda w, j, b, n, bn, bias: solved_count(w, j, 1, n, bn, bias), "only one block's"),
            (
                lambda w, j, b, n, bn, bias: solved_count(w, j, 0, n, bn, bias),
                "adapters are missing",
            ),
            (lambda *sizes: solved_count(*sizes) / 1e6, "is 1000000 times too small"),
        ],
    ),
    "adapted_walk": (
        solved_walk,
        [
            (walk_read_too_early, "before its adapter has spoken"),
            (walk_from_zero, "counted from 1"),
            (lambda *case: solved_walk(*case)[-1:], "Those of [4] are right"),
            (walk_without_adapters, "have no effect"),
            (walk_stacked, "a list of tokens"),
            (walk_with("before"), "before its block"),
            (walk_with("plain"), "without keeping their length"),
            (walk_with("added"), "are added"),
            (walk_with("every"), "not behind every block"),
            (walk_with("aside"), "the next block goes on"),
            (lambda *case: solved_walk(*case[:4], 1 - case[4]), "the weight belongs"),
        ],
    ),
}
