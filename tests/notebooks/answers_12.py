"""Chapter 12: solutions, and what learners get wrong."""


def scores(q, k):
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


def solved_attend(q, k, v):
    return scores(q, k).softmax(-1) @ v


def unscaled(q, k, v):
    return (q @ k.transpose(1, 2)).softmax(-1) @ v


def scaled_without_root(q, k, v):
    return (q @ k.transpose(1, 2) / q.shape[-1]).softmax(-1) @ v


def scaled_up(q, k, v):
    return (q @ k.transpose(1, 2) * q.shape[-1] ** 0.5).softmax(-1) @ v


def scaled_by_the_number_of_keys(q, k, v):
    return (q @ k.transpose(1, 2) / k.shape[1] ** 0.5).softmax(-1) @ v


def without_softmax(q, k, v):
    return scores(q, k) @ v


def softmax_over_queries(q, k, v):
    return scores(q, k).softmax(1) @ v


def softmax_over_pictures(q, k, v):
    return scores(q, k).softmax(0) @ v


def keys_for_values(q, k, v):
    return solved_attend(q, k, k)


def weights_only(q, k, v):
    return scores(q, k).softmax(-1)


def length(t):
    return t.norm(dim=-1, keepdim=True)


def solved_add(x, c):
    return x + 0.1 * c * length(x) / length(c)


def add_in_full(x, c):
    return x + c


def add_a_tenth_of_c(x, c):
    return x + 0.1 * c


def add_without_tenth(x, c):
    return x + c * length(x) / length(c)


def add_as_a_mix(x, c):
    return 0.9 * x + 0.1 * c * length(x) / length(c)


def add_nothing_to(x, c):
    return 0.1 * c * length(x) / length(c)


def add_a_unit(x, c):
    return x + 0.1 * c / length(c)


def add_upside_down(x, c):
    return x + 0.1 * c * length(c) / length(x)


def add_with_one_length(x, c):
    return x + 0.1 * c * x.norm() / c.norm()


def add_undivided(x, c):
    return x + 0.1 * c * length(x)


def solved_count(query, context):
    inner = min(query, context)
    return 2 * query * inner + 2 * context * inner + 3 * inner + query


def count_without_biases(query, context):
    inner = min(query, context)
    return 2 * query * inner + 2 * context * inner


def count_with_inner_biases(query, context):
    return count_without_biases(query, context) + 4 * min(query, context)


def count_with_wide_biases(query, context):
    return count_without_biases(query, context) + 4 * query


def count_by_head(query, context):
    return 8 * solved_count(query, context)


def count_without_the_way_back(query, context):
    return solved_count(query, context) - query * min(query, context) - query


def count_of_squares(query, context):
    return 4 * query * query + 4 * query


def count_with_one_context(query, context):
    inner = min(query, context)
    return solved_count(query, context) - inner * context - inner


ANSWERS = {
    "attend": (
        solved_attend,
        [
            (unscaled, "made without a division"),
            (scaled_without_root, "by the root of d, not by d"),
            (scaled_up, "a quotient were a product"),
            (scaled_by_the_number_of_keys, "not the number of keys"),
            (without_softmax, "without softmax"),
            (softmax_over_queries, "each QUERY"),
            (softmax_over_pictures, "made with a softmax along axis 0"),
            (keys_for_values, "`k` stood in the place of `v`"),
            (weights_only, "these are the weights"),
        ],
    ),
    "add_a_tenth": (
        solved_add,
        [
            (add_in_full, "that is v1"),
            (add_a_tenth_of_c, "that is v2"),
            (add_without_tenth, "made without a factor"),
            (add_as_a_mix, "adapter's mix"),
            (add_nothing_to, "made without the other summand"),
            (add_a_unit, "made without a length"),
            (add_upside_down, "upside down"),
            (add_with_one_length, "made with one length of everything together"),
            (add_undivided, "made without a division"),
        ],
    ),
    "count_block": (
        solved_count,
        [
            (count_without_biases, "has a bias"),
            (count_with_inner_biases, "the query's width"),
            (count_with_wide_biases, "three biases"),
            (count_by_head, "is 8 times too large"),
            (count_without_the_way_back, "the way back"),
            (count_of_squares, "`query` stood in the place of `context`"),
            (count_with_one_context, "a projection each"),
        ],
    ),
}
