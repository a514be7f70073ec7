"""Distillation: filters, student, pooling, losses and readings against plain loops and hand sums."""

import math

import numpy as np
import pytest
import torch

from aaclip_lite.variants import distillation as d


def wave(*shape, phase=0.3):
    """Values that a formula gives, so that anyone can make them again."""
    count = math.prod(shape)
    steps = torch.arange(count, dtype=torch.float64)
    return torch.sin(1.7 * steps + phase).reshape(shape) + 0.1 * torch.cos(0.31 * steps).reshape(
        shape
    )


# ---- filters -------------------------------------------------------------------------------------


def test_diagonal_filter_is_a_cross_correlation_with_zeros_around():
    x = wave(2, 3, 5, 4)
    kernel = [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]
    expected = torch.zeros_like(x)
    for b, c, i, j in np.ndindex(*x.shape):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                if 0 <= i + di < 5 and 0 <= j + dj < 4:
                    expected[b, c, i, j] += kernel[di + 1][dj + 1] * x[b, c, i + di, j + dj]
    torch.testing.assert_close(d.diagonal_filter(x), expected)


def test_a_flat_picture_has_no_slope_inside():
    assert not d.diagonal_filter(torch.ones(1, 3, 6, 6))[..., 1:-1, 1:-1].any()


def test_npr_subtracts_the_upper_left_pixel_of_each_block():
    x = torch.tensor([[1.0, 2, 5, 7], [3, 4, 6, 9]])[None, None]
    expected = torch.tensor([[0.0, 1, 0, 2], [2, 3, 1, 4]])[None, None]
    torch.testing.assert_close(d.npr(x), expected)


@pytest.mark.parametrize("shape", [(5, 4), (4, 7)])
def test_npr_names_an_odd_side(shape):
    with pytest.raises(ValueError, match="even sides"):
        d.npr(torch.zeros(1, 3, *shape))


# ---- the student ---------------------------------------------------------------------------------

NAMES = {
    "conv1.weight": (8, 3, 1, 1),
    "conv2.weight": (8, 8, 3, 3),
    "layer1.0.conv1.weight": (8, 8, 1, 1),
    "layer1.0.conv2.weight": (8, 8, 3, 3),
    "fc.weight": (1, 8),
    "fc.bias": (1,),
}
for norm in ("bn1", "layer1.0.bn1", "layer1.0.bn2"):
    for part in ("weight", "bias", "running_mean", "running_var"):
        NAMES[f"{norm}.{part}"] = (8,)
    NAMES[f"{norm}.num_batches_tracked"] = ()


def test_student_has_the_public_names_and_counts():
    student = d.TinyStudent()
    assert {name: tuple(value.shape) for name, value in student.state_dict().items()} == NAMES
    counts = [d.count_parameters(student, stage) for stage in (None, 1, 2)]
    assert counts == [1297, 9, 681]
    inner = student.layer1[0]
    assert (student.bn1.momentum, inner.bn1.momentum, inner.bn2.momentum) == (0.001, 0.1, 0.1)


def test_counts_do_not_depend_on_what_is_frozen():
    student = d.TinyStudent()
    assert sum(w.numel() for w in d.freeze(student, 1)) == 9
    assert d.count_parameters(student) == 1297 and d.count_parameters(student, 2) == 681
    assert sum(w.numel() for w in d.freeze(student, None)) == 1297


def test_freeze_leaves_only_the_stage():
    student = d.TinyStudent()
    d.freeze(student, 2)
    free = {name.split(".")[0] for name, w in student.named_parameters() if w.requires_grad}
    assert free == {"layer1", "fc"}
    with pytest.raises(ValueError, match="stage = 3"):
        d.count_parameters(student, 3)


def plain_student(state, x):
    """The student by hand: cross-correlations as sums over shifted pictures."""

    def convolve(x, weight, stride=1):
        k = weight.shape[-1]
        high, wide = (x.shape[-2] - k) // stride + 1, (x.shape[-1] - k) // stride + 1
        total = 0
        for i in range(k):
            for j in range(k):
                part = x[..., i : i + stride * high : stride, j : j + stride * wide : stride]
                total = total + torch.einsum("oc,bchw->bohw", weight[:, :, i, j], part)
        return total

    def norm(x, name):
        mean, var, w, b = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * w + b

    x = convolve(convolve(d.diagonal_filter(x), state["conv1.weight"]), state["conv2.weight"])
    x = norm(x, "bn1").clamp(min=0)
    x = norm(convolve(x, state["layer1.0.conv1.weight"]), "layer1.0.bn1").clamp(min=0)
    x = norm(convolve(x, state["layer1.0.conv2.weight"], 2), "layer1.0.bn2").clamp(min=0)
    return torch.einsum("oc,bchw->bohw", state["fc.weight"], x) + state["fc.bias"][:, None, None]


@pytest.mark.parametrize("size", [(12, 12), (13, 10), (5, 5)])
def test_student_equals_the_sum_by_hand(size):
    student = d.TinyStudent().double().eval()
    state = {}
    for number, (name, value) in enumerate(student.state_dict().items()):
        if value.is_floating_point():
            state[name] = wave(*value.shape, phase=number)
            if name.endswith("var"):
                state[name] = state[name].abs() + 0.5
    student.load_state_dict(state, strict=False)
    x = wave(2, 3, *size)
    found = student(x)
    assert found.shape == (2, 1, (size[0] - 5) // 2 + 1, (size[1] - 5) // 2 + 1)
    torch.testing.assert_close(found, plain_student(state, x))


# ---- pooling -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells, expected", [(1, 1), (4, 4), (5, 5), (50, 5), (51, 6), (961, 97), (15876, 1588)]
)
def test_top_k(cells, expected):
    assert d.top_k(cells) == expected


def test_pooling_is_the_mean_of_the_highest():
    maps = torch.arange(60.0).reshape(1, 1, 6, 10).flip(-1)
    assert d.top_k_pool(maps).tolist() == [sum(range(54, 60)) / 6]
    assert d.top_k_pool(torch.tensor([[1.0, 5.0, 3.0]])).tolist() == [3.0]  # fewer than 5 cells


def test_align_averages_what_lies_under_a_cell():
    maps = wave(2, 1, 4, 6)
    expected = maps.reshape(2, 1, 2, 2, 3, 2).mean((3, 5))
    torch.testing.assert_close(d.align(maps, 2, 3), expected)


# ---- losses --------------------------------------------------------------------------------------


def scene(scale=1.0):
    student, teacher = wave(3, 1, 6, 6), scale * wave(3, 1, 3, 3, phase=1.0)
    logit, labels = wave(3, phase=2.0), torch.tensor([0, 1, 1])
    return student, teacher, logit, labels


def cross_entropy(logit, labels):
    """Mean of -log of the probability of the right answer, one picture at a time."""
    sides = [z if y else -z for z, y in zip(logit.tolist(), labels.tolist(), strict=True)]
    return sum(math.log1p(math.exp(-z)) for z in sides) / len(sides)


def sample_sd(x):
    return float(((x - x.mean()) ** 2).sum() / (x.numel() - 1)) ** 0.5


@pytest.mark.parametrize("version", ["plain", "guard"])
def test_plain_is_half_the_squared_distance_and_half_the_cross_entropy(version):
    student, teacher, logit, labels = scene()
    total, term, task = d.distill(student, teacher, logit, labels, version)
    near = student.reshape(3, 1, 3, 2, 3, 2).mean((3, 5))
    expected = float(((near - teacher) ** 2).sum()) / 27
    assert float(term) == pytest.approx(expected)
    assert float(task) == pytest.approx(cross_entropy(logit, labels))
    assert float(total) == pytest.approx((float(term) + float(task)) / 2)


def test_guard_rescales_only_the_tensor_with_a_value_beyond_100():
    student, teacher, logit, labels = scene()
    teacher[0, 0, 0, 0] = -400.0
    z = (teacher - teacher.mean()) / (sample_sd(teacher) + 1e-8)
    guarded = (5 * z).clamp(-10, 10)
    assert guarded.min() == -10  # the clip acts
    near = student.reshape(3, 1, 3, 2, 3, 2).mean((3, 5))
    _, term, task = d.distill(student, teacher, logit, labels, "guard")
    assert float(term) == pytest.approx(float(((near - guarded) ** 2).mean()))
    assert float(task) == pytest.approx(cross_entropy(logit, labels))
    teacher[0, 0, 0, 0] = 100.0  # at 100, not beyond it
    _, term, _ = d.distill(student, teacher, logit, labels, "guard")
    assert float(term) == pytest.approx(float(((near - teacher) ** 2).mean()))


def test_improved_kl_over_one_channel_teaches_nothing():
    student, teacher, logit, labels = scene(50)
    student.requires_grad_()
    total, term, task = d.distill(student, teacher, logit, labels, "improved_kl")
    assert term.item() == 0
    assert total.item() == pytest.approx(0.7 * task.item())
    (pull,) = torch.autograd.grad(term, student)
    assert not pull.any()


@pytest.mark.parametrize("scale, factor", [(2.0, None), (1000.0, 10.0), (1e-4, 0.1)])
def test_improved_mse_stretches_the_student_within_limits(scale, factor):
    student, teacher, logit, labels = scene(scale)
    stretch = factor or (sample_sd(teacher) + 1e-8) / (sample_sd(student) + 1e-8)
    near = stretch * student.reshape(3, 1, 3, 2, 3, 2).mean((3, 5))
    total, term, task = d.distill(student, teacher, logit, labels, "improved_mse")
    assert float(term) == pytest.approx(float(((near - teacher) ** 2).mean()))
    assert float(total) == pytest.approx(0.3 * float(term) + 0.7 * task.item())


def test_normalised_sees_no_scale_and_no_offset():
    student, teacher, logit, labels = scene()
    near = student.reshape(3, 1, 3, 2, 3, 2).mean((3, 5))
    a, b = ((x - x.mean()) / (sample_sd(x) + 1e-8) for x in (near, teacher))
    for changed in (teacher, 300 * teacher - 700):
        _, term, _ = d.distill(student, changed, logit, labels, "normalised")
        assert float(term) == pytest.approx(float(((a - b) ** 2).mean()), rel=1e-6)


def test_kl_positions_by_hand():
    student = torch.tensor([[0.0, 4.0]]).double().reshape(1, 1, 1, 2)
    teacher = torch.tensor([[4.0 * math.log(3), 0.0]]).double().reshape(1, 1, 1, 2)
    _, term, _ = d.distill(student, teacher, torch.zeros(1), torch.ones(1), "kl_positions")
    p, q = (0.75, 0.25), (1 / (1 + math.e), math.e / (1 + math.e))
    by_hand = 16 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(term) == pytest.approx(by_hand)


@pytest.mark.parametrize("version", d.WEIGHTS)
def test_gradients_are_those_of_finite_differences(version):
    student, teacher, logit, labels = scene(3)
    student.requires_grad_()
    logit.requires_grad_()

    def parts(student, logit):
        return d.distill(student, teacher, logit, labels, version)

    assert torch.autograd.gradcheck(parts, (student, logit))


@pytest.mark.parametrize("version", d.WEIGHTS)
def test_a_logit_may_stand_in_a_column_and_labels_may_be_floats(version):
    student, teacher, logit, labels = scene()
    flat = d.distill(student, teacher, logit, labels, version)
    column = d.distill(student, teacher, logit[:, None], labels.double(), version)
    torch.testing.assert_close(flat, column)


def test_an_unknown_version_is_named():
    with pytest.raises(ValueError, match="version = 'kl'"):
        d.distill(*scene(), "kl")


# ---- readings ------------------------------------------------------------------------------------


def test_auc_counts_pairs_and_ties():
    area, error = d.auc(torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([0, 0, 1, 1]))
    assert area == (1 + 0.5 + 1 + 1) / 4
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    by_hand = area * (1 - area) + (q1 - area**2) + (q2 - area**2)
    assert error == pytest.approx(math.sqrt(by_hand / 4))
    with pytest.raises(ValueError, match="0 of 0 and 2 of 1"):
        d.auc(torch.ones(2), torch.ones(2))


def test_error_of_an_auc_is_what_repeated_draws_show():
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.zeros(40), torch.ones(60)])
    found = [d.auc(torch.randn(100, generator=generator) + labels, labels) for _ in range(300)]
    areas, errors = np.array(found).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.15)


def test_maps_that_are_one_line_apart():
    teacher = wave(2, 1, 4, 4)
    found = d.diagnose_maps(3 * teacher + 1, teacher)
    assert found["range_ratio"] == pytest.approx(3) and found["core_ratio"] == pytest.approx(3)
    assert found["correlation"] == pytest.approx(1)
    gap = 2 * teacher + 1
    spread = (teacher - teacher.mean()).square().sum()
    assert found["r2"] == pytest.approx(1 - float(gap.square().sum() / spread))
    assert found["mse"] == pytest.approx(float(gap.square().mean()))
    assert found["teacher"]["sd"] == pytest.approx(sample_sd(teacher))
    assert found["teacher"]["quantiles"][0.5] == pytest.approx(np.median(teacher))
    assert "auc" not in found["teacher"]


def test_one_outlier_moves_the_range_and_not_the_core():
    teacher = wave(4, 1, 8, 8)
    struck = teacher.clone()
    struck[0, 0, 0, 0] = -1190
    found = d.diagnose_maps(teacher, struck)
    assert found["range_ratio"] < 0.01 and found["core_ratio"] == pytest.approx(1, rel=0.05)


def test_a_teacher_upside_down_shows_in_the_mirror():
    labels = torch.tensor([0, 0, 1, 1])
    teacher = labels.double()[:, None, None, None] * torch.ones(1, 1, 4, 4)
    found = d.diagnose_maps(teacher, -teacher, labels)
    assert (found["student"]["auc"], found["teacher"]["auc"]) == (1, 0)
    assert found["teacher"]["mirror"] == 1


def test_gradient_norms_at_a_map_and_at_weights():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    other = torch.ones(2, requires_grad=True)
    maps = 2 * weight
    terms = {"half": maps.square().sum() / 2, "sum": maps.sum(), "none": torch.zeros(())}
    found = d.gradient_norms(terms, {"map": maps, "weights": [weight, other], "other": other})
    assert found["map"] == pytest.approx({"half": 10, "sum": math.sqrt(2), "none": 0})
    assert found["weights"] == pytest.approx({"half": 20, "sum": math.sqrt(8), "none": 0})
    assert found["other"] == {"half": 0, "sum": 0, "none": 0}
    assert weight.grad is None


# ---- the loop ------------------------------------------------------------------------------------


def test_loop_trains_only_its_stage_and_repeats():
    torch.manual_seed(0)
    student = d.TinyStudent()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    images, maps = torch.rand(6, 3, 9, 9), torch.randn(6, 1, 3, 3)
    labels = torch.tensor([0.0, 1, 0, 1, 0, 1])
    rows = d.train(student, images, maps, labels, [(1, 2, 0.1)])
    changed = {n for n, w in student.named_parameters() if not torch.equal(w, before[n])}
    assert changed == {"fc.weight", "fc.bias"} and [row["stage"] for row in rows] == [1, 1]
    assert rows[0]["total"] == pytest.approx((rows[0]["distill"] + rows[0]["task"]) / 2)
    assert not torch.equal(student.bn1.running_mean, before["bn1.running_mean"])
    again = d.TinyStudent()
    again.load_state_dict(before)
    assert d.train(again, images, maps, labels, [(1, 2, 0.1)]) == rows


def test_student_learns_what_a_filter_can_see():
    torch.manual_seed(0)
    images = torch.full((16, 3, 12, 12), 0.5)
    labels = (torch.arange(16) % 2).float()
    images[labels == 1] += 0.3 * torch.randn(8, 3, 12, 12)
    maps = (4 * labels - 2)[:, None, None, None].expand(-1, 1, 4, 4)
    rows = d.train(d.TinyStudent(), images, maps, labels, [(None, 40, 0.03)])
    assert rows[-1]["distill"] < 0.1 * rows[0]["distill"] and rows[-1]["task"] < 0.2
