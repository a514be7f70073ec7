"""The concepts variant against plain loops, numbers worked out by hand, and its edges."""

import math

import pytest
import torch
from torch import tensor

import aaclip_lite as aa
from aaclip_lite.variants import concepts

F64 = torch.float64
VERSIONS = ("old", "fixed", "bce", "hinge")


def rows(*values):
    return tensor(values, dtype=F64)


def wave(*shape, speed=0.7):
    count = math.prod(shape)
    return torch.sin(speed * torch.arange(1, count + 1, dtype=F64)).reshape(shape) * 1.7


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


COSTS = {  # (inside, outside) of one cell
    "old": (lambda c: max(-c, 0), lambda c: max(c, 0)),
    "fixed": (lambda c: (sigmoid(c) - 1) ** 2, lambda c: sigmoid(c) ** 2),
    "bce": (lambda c: -math.log(sigmoid(c)), lambda c: -math.log(1 - sigmoid(c))),
    "hinge": (lambda c: max(1 - c, 0), lambda c: max(1 + c, 0)),
}


def plain_box_loss(cam, cells, version):
    """One cell at a time; `cells` is the set of (row, column) inside."""
    inside, outside = COSTS[version]
    places = [(r, c) for r in range(len(cam)) for c in range(len(cam[0]))]
    near = [inside(float(cam[r][c])) for r, c in places if (r, c) in cells]
    far = [outside(float(cam[r][c])) for r, c in places if (r, c) not in cells]
    return sum(near) / (len(near) + 1e-6) + sum(far) / (len(far) + 1e-6)


# ---- boxes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box, far, cells",
    [
        ((0.25, 0.5, 0.75, 1.0), "floor", {(2, 1), (2, 2), (3, 1), (3, 2)}),
        ((0.3, 0.3, 0.6, 0.6), "floor", {(1, 1)}),  # 1.2 to 2.4: the far edge is cut
        ((0.3, 0.3, 0.6, 0.6), "ceil", {(1, 1), (1, 2), (2, 1), (2, 2)}),
        ((0.3, 0.3, 0.45, 0.45), "floor", set()),  # within one cell: it vanishes
        ((0.3, 0.3, 0.45, 0.45), "ceil", {(1, 1)}),
        ((0.3, 0.0, 0.45, 1.0), "floor", set()),  # thin: one direction is enough
        ((-0.5, -0.2, 0.3, 0.3), "floor", {(0, 0)}),
        ((0.8, 0.8, 1.7, 1.2), "ceil", {(3, 3)}),
        ((1.0, 1.0, 1.0, 1.0), "floor", {(3, 3)}),  # the near edge is held on the grid
        ((0.75, 0.0, 0.25, 1.0), "ceil", set()),  # turned round
        ((0.0, 0.0, 1.0, 1.0), "floor", {(r, c) for r in range(4) for c in range(4)}),
    ],
)
def test_box_covers_these_cells(box, far, cells):
    mask = concepts.box_mask(box, 4, far)
    assert {tuple(place) for place in mask.nonzero().tolist()} == cells
    assert mask.shape == (4, 4) and set(mask.unique().tolist()) <= {0.0, 1.0}


def test_box_on_an_oblong_grid_takes_height_first():
    mask = concepts.box_mask((0.5, 0.0, 1.0, 0.5), (2, 6))
    assert mask.tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cells", [{(1, 1), (1, 2), (3, 0)}, set(), {(0, 0)}], ids=len)
def test_box_loss_is_two_means(version, cells):
    cam = wave(5, 5)
    mask = torch.zeros(5, 5)
    for place in cells:
        mask[place] = 1
    found = concepts.box_loss(cam, mask, version)
    assert float(found) == pytest.approx(plain_box_loss(cam.tolist(), cells, version), rel=1e-9)


@pytest.mark.parametrize("version", VERSIONS)
def test_box_loss_with_nothing_outside(version):
    cam = wave(3, 3)
    every = {(r, c) for r in range(3) for c in range(3)}
    found = concepts.box_loss(cam, torch.ones(3, 3), version)
    assert float(found) == pytest.approx(plain_box_loss(cam.tolist(), every, version), rel=1e-9)


@pytest.mark.parametrize("version", VERSIONS)
def test_box_loss_gradient(version):
    cam = wave(4, 4).requires_grad_()
    mask = concepts.box_mask((0.2, 0.2, 0.8, 0.8), 4)
    assert torch.autograd.gradcheck(lambda c: concepts.box_loss(c, mask, version), cam)


def test_old_version_pulls_up_inside_and_down_outside():
    cam = rows([-2.0, 2.0], [2.0, 2.0]).requires_grad_()
    concepts.box_loss(cam, rows([1, 0], [0, 0]), "old").backward()
    assert cam.grad[0, 0] == pytest.approx(-1, abs=1e-5)  # descent raises it: not backwards
    assert (cam.grad.flatten()[1:] > 0.33).all()


def test_old_version_is_content_with_zeros_and_hinge_is_not():
    mask = concepts.box_mask((0, 0, 0.5, 0.5), 4)
    cam = torch.zeros(4, 4, dtype=F64, requires_grad=True)
    concepts.box_loss(cam, mask, "old").backward()
    assert not cam.grad.any()  # relu'(0) = 0
    cam.grad = None
    concepts.box_loss(cam, mask, "hinge").backward()
    assert (cam.grad[mask > 0] < 0).all() and (cam.grad[mask == 0] > 0).all()


def test_hinge_rests_exactly_at_its_margin():
    cam = tensor([[2.0, -2.0]], dtype=F64, requires_grad=True)
    loss = concepts.box_loss(cam, rows([1.0, 0.0]), "hinge", margin=2)
    loss.backward()
    assert loss == 0 and not cam.grad.any()


def test_vanished_box_teaches_low_everywhere():
    cam = torch.ones(4, 4, dtype=F64, requires_grad=True)
    concepts.box_loss(cam, concepts.box_mask((0.3, 0.3, 0.45, 0.45), 4), "bce").backward()
    assert (cam.grad > 0).all()


def test_unknown_version_is_refused_by_name():
    with pytest.raises(ValueError, match="squared"):
        concepts.box_loss(wave(2, 2), torch.ones(2, 2), "squared")


# ---- losses --------------------------------------------------------------------------------------


def plain_concept_loss(cams, labels, boxes, version, alpha, beta, weights):
    b, k, n, _ = cams.shape
    there = 0
    for i in range(b):
        for j in range(k):
            p = sigmoid(float(cams[i, j].max()))
            y = float(labels[i, j])
            there -= weights[j] * y * math.log(p) + (1 - y) * math.log(1 - p)
    boxed = []
    for i, own in enumerate(boxes):
        for j, x0, y0, x1, y1 in own:
            columns = range(int(x0 * n), int(x1 * n))
            cells = {(r, c) for r in range(int(y0 * n), int(y1 * n)) for c in columns}
            boxed.append(plain_box_loss(cams[i, j].tolist(), cells, version))
    return alpha * there / (b * k) + beta * sum(boxed) / len(boxed)


@pytest.mark.parametrize("version", VERSIONS)
def test_concept_loss_by_plain_loops(version):
    cams, labels = wave(3, 2, 4, 4), rows([1, 0], [1, 1], [0, 0])
    boxes = [[(0, 0.0, 0.25, 0.6, 0.75)], [(0, 0.5, 0.5, 1, 1), (1, 0.1, 0.1, 0.2, 0.2)], []]
    given = (cams, labels, boxes, version, 0.7, 0.3)
    found = concepts.concept_loss(*given, pos_weight=tensor([3.0, 0.5]))
    assert float(found) == pytest.approx(plain_concept_loss(*given, (3.0, 0.5)), rel=1e-9)
    check = cams.requires_grad_()
    assert torch.autograd.gradcheck(lambda c: concepts.concept_loss(c, *given[1:]), check)


@pytest.mark.parametrize("boxes", [None, [], [[], None]], ids=str)
def test_concept_loss_without_boxes_is_the_label_part(boxes):
    cams, labels = wave(2, 3, 4, 4), rows([1, 0, 1], [0, 0, 1])
    peaks = cams.flatten(2).amax(-1)
    expected = -(labels * peaks.sigmoid().log() + (1 - labels) * (1 - peaks.sigmoid()).log()).mean()
    found = concepts.concept_loss(cams, labels, boxes, "hinge", alpha=2)
    torch.testing.assert_close(found, 2 * expected)


def test_far_edges_reach_the_concept_loss():
    cams, labels, boxes = wave(1, 1, 4, 4), rows([1]), [[(0, 0.3, 0.3, 0.45, 0.45)]]
    cut, whole = (
        concepts.concept_loss(cams, labels, boxes, "bce", far=far) for far in ("floor", "ceil")
    )
    inside = torch.nn.functional.softplus(-cams[0, 0, 1, 1])
    difference = plain_box_loss(cams[0, 0].tolist(), {(1, 1)}, "bce") - plain_box_loss(
        cams[0, 0].tolist(), set(), "bce"
    )
    assert float(whole - cut) == pytest.approx(0.5 * difference, rel=1e-6)
    assert inside > 0


def test_focal_by_hand_and_as_cross_entropy():
    logits, targets = rows([0.0, 2.0], [-1.0, 3.0]), rows([1, 0], [0, 1])
    cells = [
        (0.25, sigmoid(0)),
        (0.75, 1 - sigmoid(2)),
        (0.75, 1 - sigmoid(-1)),
        (0.25, sigmoid(3)),
    ]
    expected = sum(-side * (1 - p) ** 2 * math.log(p) for side, p in cells) / 4
    assert float(concepts.focal_loss(logits, targets)) == pytest.approx(expected, rel=1e-9)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(concepts.focal_loss(logits, targets, 0.5, 0), plain / 2)
    assert torch.autograd.gradcheck(
        lambda x: concepts.focal_loss(x, targets), logits.requires_grad_()
    )
    assert math.isfinite(concepts.focal_loss(rows([-800.0]), rows([1.0])))


def plain_prototype_loss(vectors, prototypes, labels, m, tau):
    costs = []
    for i, own in enumerate(labels.tolist()):
        for k, there in enumerate(own):
            if there != 1:
                continue
            v = vectors[i, k]
            logits = [float(v @ p / v.norm() / p.norm()) / tau for p in prototypes]
            total = math.log(sum(math.exp(x) for x in logits))
            costs += [total - logits[k * m + j] for j in range(m)]
    return sum(costs) / len(costs)


def test_prototype_loss_by_plain_loops():
    vectors, prototypes = wave(4, 3, 5), wave(6, 5, speed=1.3)
    labels = tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]])
    found = concepts.prototype_loss(vectors, prototypes, labels, 2, 0.3)
    expected = plain_prototype_loss(vectors, prototypes, labels, 2, 0.3)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    as_filters = prototypes[..., None, None]
    assert concepts.prototype_loss(vectors, as_filters, labels, 2, 0.3) == found
    both = (vectors.requires_grad_(), prototypes.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda v, p: concepts.prototype_loss(v, p, labels, 2, 0.3), both
    )


@pytest.mark.parametrize("spread", [None, 0.0])
def test_no_concept_present_costs_nothing_and_backpropagates(spread):
    loss = concepts.prototype_loss if spread is None else concepts.assigned_loss
    vectors, prototypes = wave(2, 3, 5).requires_grad_(), wave(6, 5).requires_grad_()
    options = {} if spread is None else {"spread": spread}
    value = loss(vectors, prototypes, torch.zeros(2, 3), 2, 0.1, **options)
    value.backward()
    assert value == 0
    assert not vectors.grad.any() and not prototypes.grad.any()


def test_small_temperature_stays_finite():
    loss = concepts.prototype_loss(wave(2, 3, 5), wave(6, 5), torch.ones(2, 3), 2, 1e-4)
    assert math.isfinite(loss)


def simplex(concepts_count):
    corners = torch.eye(concepts_count, dtype=F64)
    return corners - corners.mean(0)


@pytest.mark.parametrize("count, m, tau", [(2, 1, 0.5), (4, 3, 0.1), (10, 5, 0.3), (1, 4, 0.1)])
def test_floor_is_what_a_simplex_costs_and_nothing_costs_less(count, m, tau):
    corners = simplex(count) if count > 1 else torch.ones(1, 3, dtype=F64)
    prototypes = corners.repeat_interleave(m, 0)
    floor = concepts.prototype_floor(count, m, tau)
    labels = torch.eye(count)
    vectors = corners.expand(count, count, -1)
    found = concepts.prototype_loss(vectors, prototypes, labels, m, tau)
    assert float(found) == pytest.approx(floor, rel=1e-9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = prototypes + 0.3 * torch.randn(prototypes.shape, generator=generator, dtype=F64)
        assert concepts.prototype_loss(vectors, other, labels, m, tau) > floor


def test_floor_by_hand():
    assert concepts.prototype_floor(2, 1, 1.0) == pytest.approx(math.log(1 + math.exp(-2)))
    assert concepts.prototype_floor(1, 5, 0.1) == pytest.approx(math.log(5))


def test_published_loss_wants_collapse_and_assigned_does_not():
    vectors = simplex(3).expand(3, 3, -1)
    together = simplex(3).repeat_interleave(2, 0)
    apart = together.clone()
    apart[1::2] += 0.8 * rows([0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0])
    cost = {
        loss: [float(loss(vectors, p, torch.eye(3), 2, 0.1)) for p in (together, apart)]
        for loss in (concepts.prototype_loss, concepts.assigned_loss)
    }
    collapsed, spread = cost[concepts.prototype_loss]
    assert spread > collapsed + 1
    collapsed, spread = cost[concepts.assigned_loss]
    assert spread < collapsed - 0.1


def test_assigned_loss_with_one_prototype_is_a_softmax_over_concepts():
    vectors, prototypes = wave(2, 3, 5), wave(3, 5, speed=1.3)
    found = concepts.assigned_loss(vectors, prototypes, torch.ones(2, 3), 1, 0.2)
    expected = plain_prototype_loss(vectors, prototypes, torch.ones(2, 3), 1, 0.2)
    assert float(found) == pytest.approx(expected, rel=1e-9)


# ---- vectors and maps ----------------------------------------------------------------------------


def test_local_vectors_by_plain_loops():
    features, cams = wave(2, 3, 2, 4), wave(2, 5, 2, 4, speed=1.1)
    found = concepts.local_vectors(features, cams)
    assert found.shape == (2, 5, 3)
    for b, k, c in ((0, 0, 0), (1, 4, 2), (0, 3, 1)):
        weights = [math.exp(x) for x in cams[b, k].flatten()]
        values = features[b, c].flatten().tolist()
        expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        assert float(found[b, k, c]) == pytest.approx(expected, rel=1e-9)
    both = (features.requires_grad_(), cams.requires_grad_())
    assert torch.autograd.gradcheck(concepts.local_vectors, both)


def test_a_sharp_map_picks_its_patch():
    features, cams = wave(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=F64)
    cams[0, 0, 2, 1] = 500
    torch.testing.assert_close(concepts.local_vectors(features, cams)[0, 0], features[0, :, 2, 1])


def plain_scores(features, prototypes, keep=None):
    found = torch.empty(len(features), len(prototypes), dtype=F64)
    for b, maps in enumerate(features):
        for j, p in enumerate(prototypes):
            values = []
            for y in range(maps.shape[1]):
                for x in range(maps.shape[2]):
                    cosine = float(maps[:, y, x] @ p / maps[:, y, x].norm() / p.norm())
                    values.append(cosine if keep is None else max(cosine * keep(b, y, x), 0))
            found[b, j] = max(values)
    return found


def test_scores_by_plain_loops():
    features, prototypes = wave(2, 3, 4, 4), wave(6, 3, speed=1.3)
    expected = plain_scores(features, prototypes)
    torch.testing.assert_close(concepts.similarity_scores(features, prototypes), expected)
    as_filters = prototypes[..., None, None]
    torch.testing.assert_close(concepts.similarity_scores(features, as_filters), expected)


@pytest.mark.parametrize("lead", [(2,), (2, 1)], ids=str)
def test_mask_of_another_size_is_resized_to_the_nearest(lead):
    features, prototypes = wave(2, 3, 4, 4), wave(6, 3, speed=1.3)
    mask = (wave(*lead, 8, 8, speed=2.1) > 0).double()
    plain = mask.reshape(2, 8, 8)
    expected = plain_scores(features, prototypes, lambda b, y, x: float(plain[b, 2 * y, 2 * x]))
    found = concepts.similarity_scores(features, prototypes, mask)
    torch.testing.assert_close(found, expected)


def test_masking_everything_gives_zero_and_masks_clip():
    features, prototypes = wave(1, 3, 4, 4), -wave(1, 3, 4, 4).flatten(2).mean(-1)
    nothing = concepts.similarity_scores(features, prototypes, torch.zeros(1, 4, 4))
    assert nothing.tolist() == [[0.0]]
    maps = concepts.similarity_maps(features, prototypes, torch.ones(1, 4, 4))
    assert (maps >= 0).all() and (concepts.similarity_maps(features, prototypes) < 0).any()


def test_stats_tell_collapse_within_a_concept_from_the_mean():
    prototypes = simplex(10).repeat_interleave(5, 0)  # five copies each, concepts far apart
    stats = concepts.similarity_stats(prototypes, 5)
    assert float(stats.within) == pytest.approx(1)
    assert float(stats.between) == pytest.approx(-1 / 9)
    assert float(stats.mean) == pytest.approx((4 - 45 / 9) / 49)  # "want < 0.5" sees nothing
    assert float(stats.max) == pytest.approx(1)


def test_stats_without_pairs_are_not_a_number():
    stats = concepts.similarity_stats(wave(3, 4), 1)
    assert math.isnan(stats.within) and float(stats.mean) == pytest.approx(float(stats.between))
    alone = concepts.similarity_stats(wave(1, 4), 1)
    assert math.isnan(alone.mean) and math.isnan(alone.max)


# ---- checks --------------------------------------------------------------------------------------


def test_columns_that_cannot_teach_are_named():
    rare = [1] + [0] * 199
    table = {"fine": [0, 1] * 100, "none": [0] * 200, "every": [1] * 200, "rare": rare}
    table |= {"often": [1 - x for x in rare], "odd": [2, *rare[1:]]}
    table["gap"] = [float("nan")] + [0, 1] * 99 + [0]
    found = concepts.check_columns(table)
    assert set(found) == set(table) - {"fine"}
    words = {"none": "all zero", "every": "all one", "rare": "0.50%", "often": "99.50%"}
    words |= {"odd": "not 0 or 1: 2", "gap": "NaN"}
    assert all(word in found[name] for name, word in words.items())


def test_columns_of_a_tensor_are_numbered():
    assert list(concepts.check_columns(tensor([[0, 1], [0, 0]]))) == ["0"]
    assert concepts.check_columns(tensor([[0, 1], [1, 0]])) == {}


def test_monitor_reads_gradients_by_module_after_unscaling():
    model = torch.nn.Module()
    model.a = torch.nn.Linear(2, 1)
    model.idle = torch.nn.Linear(2, 1)
    model.frozen = torch.nn.Linear(2, 1).requires_grad_(False)
    model.loose = torch.nn.Parameter(torch.ones(2))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    loss = model.a(tensor([3.0, 4.0])).sum() + (5 * model.loose).sum()
    scaler.scale(loss).backward()
    found = concepts.gradient_monitor(model, scaler)
    assert found == pytest.approx({"a": math.sqrt(26), "idle": 0.0, "loose": math.sqrt(50)})
    scaled = concepts.gradient_monitor(model)  # without the scaler, 1024 times too large
    assert scaled["a"] == pytest.approx(1024 * found["a"])
    scaler.unscale_(torch.optim.SGD(model.parameters(), 1.0))
    assert concepts.gradient_monitor(model) == pytest.approx(found)


# ---- the system ----------------------------------------------------------------------------------


def toy(n=48):
    """Tokens in which channel k is high in concept k's box; the third concept is "none of them"."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(n, 3, generator=generator) < 0.4).double()
    labels[:, 2] = 1 - labels[:, :2].amax(1)
    tokens = 0.2 * torch.randn(n, 6, 4, 4, generator=generator)
    boxes = []
    for row in range(n):
        own = []
        for k in labels[row, :2].nonzero().flatten().tolist():
            x, y = torch.randint(0, 3, (2,), generator=generator).tolist()
            tokens[row, k, y : y + 2, x : x + 2] += 2
            own.append((k, x / 4, y / 4, (x + 2) / 4, (y + 2) / 4))
        boxes.append(own)
    return concepts.Batch(tokens, labels, boxes, labels[:, 0].long())


def test_three_stages_learn_and_train_only_their_own():
    torch.manual_seed(0)
    data = toy()
    model = concepts.ConceptModel(6, 3, 2, per_concept=2, inner=8)
    stages = {
        "concepts": {"neck": 1e-2, "concept_head": 3e-2},
        "prototypes": {"projector": 1e-2, "prototypes": 1e-2},
        "task": {"task_head": 0.3},
    }
    for stage, rates in stages.items():
        before = {name: value.clone() for name, value in model.state_dict().items()}
        options = {"version": "bce"} if stage == "concepts" else {}
        seen = concepts.train(model, data, stage, 80, rates, lambda m: {"there": 1}, **options)
        assert stage == "task" or seen[-1]["loss"] < 0.7 * seen[0]["loss"], stage
        assert seen[-1]["there"] == 1 and set(seen[0]["gradient"]) == set(rates)
        moved = {
            name.split(".")[0]
            for name, value in model.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert moved == set(rates)
    cams = model.cams(data.tokens).detach()
    hits = [
        concepts.box_mask(box, 4).flatten()[cams[row, k].flatten().argmax()]
        for row, own in enumerate(data.boxes)
        for k, *box in own
    ]
    assert sum(hits) / len(hits) > 0.9
    right = model(data.tokens).argmax(1) == data.verdicts
    assert right.float().mean() > data.verdicts.bincount().max() / len(data.verdicts)


def test_variant_is_reached_by_its_public_name():
    assert aa.variants.concepts.box_loss is concepts.box_loss
