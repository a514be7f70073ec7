"""The contrastive system: weights, losses, retrieval metrics, the loop, and made-up tables."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP

from aaclip_lite.variants import contrastive as c
from tests.variants import tables


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- weights ----------------------------------------------------------------------------------------


def test_affinity_mixes_the_cosines_of_captions_and_pictures():
    image = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    text = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    A = c.affinity(image, text, 0.25)
    torch.testing.assert_close(A, torch.tensor([[1, 0.25 / 2**0.5], [0.25 / 2**0.5, 1]]))


def test_affinity_passes_no_gradient():
    image = random(3, 4).requires_grad_()
    assert not c.affinity(image, image, 0.5).requires_grad


def test_weights_are_one_half_at_their_thresholds():
    A = torch.tensor([[0.6, 0.6], [0.6, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(c.debias_weights(A), torch.full_like(A, 0.5))
    edge = c.bandpass_weights(torch.full((2, 2), 0.3))
    torch.testing.assert_close(edge, torch.full((2, 2), 0.5), atol=1e-4, rtol=0)
    assert float(c.debias_weights(A + 0.1, lam=10)[0, 0]) == pytest.approx(1 / (1 + math.e))
    narrow = c.bandpass_weights(torch.tensor([[0.2, 0.5], [0.9, 0.5]]), gamma=0.01)
    torch.testing.assert_close(narrow, torch.tensor([[0.0, 1], [0, 1]]), atol=1e-4, rtol=0)


def test_rows_are_scaled_to_the_number_of_negatives():
    W = c.normalise_rows(torch.tensor([[9.0, 1, 3], [1, 9, 1], [0, 0, 9]]))
    torch.testing.assert_close(W, torch.tensor([[0.0, 0.5, 1.5], [1, 0, 1], [0, 0, 0]]))


def test_first_version_counts_the_positive_twice_or_a_little_more_than_once():
    A = torch.full((3, 3), 0.9, dtype=torch.float64)
    before = A.clone()
    debias, bandpass = c.v1_weights(A, "debias"), c.v1_weights(A, "bandpass")
    assert debias.diagonal().tolist() == [2, 2, 2]
    assert bandpass.diagonal().tolist() == pytest.approx([1 + 1 / (1 + math.exp(6))] * 3, rel=1e-6)
    assert float(debias[0, 1]) == pytest.approx(math.exp(-4 * 0.3))
    assert float(c.v1_weights(A, "debias", delta=0.5, lam=2)[0, 1]) == pytest.approx(math.exp(-0.8))
    far = c.v1_weights(torch.full((3, 3), -0.5), "bandpass")
    assert float(far[0, 1]) == pytest.approx(1e-3)  # never below the floor
    torch.testing.assert_close(A, before)


def test_statistics_are_shares_of_all_entries_and_the_mean_of_negatives():
    W = torch.tensor([[0.5, 0.9995, 0.05], [0.15, 0.5, 0.5], [1.0, 0.5, 0.5]])
    debias, bandpass = c.weight_stats(W, "debias"), c.weight_stats(W, "bandpass")
    assert bandpass["w_mean"] == pytest.approx((0.9995 + 0.05 + 0.15 + 0.5 + 1 + 0.5) / 6)
    assert debias["w_mean"] == pytest.approx(1 - bandpass["w_mean"])
    assert debias["band_coverage_pct"] == bandpass["band_coverage_pct"] == pytest.approx(500 / 9)
    assert debias["w_low_pct"] == pytest.approx(
        500 / 9
    )  # 0.0005 and 0, and the three on the diagonal
    assert debias["w_high_pct"] == pytest.approx(200 / 9)  # 0.95 and 0.85
    assert bandpass["w_high_pct"] == pytest.approx(200 / 9)


def test_entropy_is_that_of_each_row_and_has_a_gradient_at_zero():
    W = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0)
    torch.testing.assert_close(c.row_entropy(7 * W), torch.full((4,), math.log(3)).double())
    one = torch.eye(3, dtype=torch.float64).roll(1, 0).requires_grad_()
    entropy = c.row_entropy(one)
    entropy.sum().backward()
    assert entropy.detach().tolist() == [0, 0, 0] and torch.isfinite(one.grad).all()
    assert torch.autograd.gradcheck(c.row_entropy, random(3, 3).abs().add(0.1).requires_grad_())


def test_adaptive_band_holds_the_share_it_was_asked_for():
    A = random(40, 40)
    A = (A + A.T) / 2
    A.fill_diagonal_(100.0)  # pairs with themselves must not count
    m1, m2 = c.adaptive_band(A, 0.3)
    others = A[~torch.eye(40, dtype=torch.bool)].numpy()
    assert float(m1) == pytest.approx(np.quantile(others, 0.65))
    assert float(m2) == pytest.approx(np.quantile(others, 0.95))
    W = c.bandpass_weights(A, m1, m2, gamma=1e-4)
    assert c.weight_stats(W, "bandpass")["w_mean"] == pytest.approx(0.3, abs=0.01)


def test_warmup_starts_at_zero_and_arrives():
    assert [c.warmup(0.4, epoch, 4) for epoch in (1, 2, 3, 5, 9)] == [0, 0.1, 0.2, 0.4, 0.4]
    assert c.warmup(0.4, 1, 0) == 0.4


# -- losses -----------------------------------------------------------------------------------------


def plain_loss(S, W, version, beta):
    """The formulas with loops and math, one row at a time."""
    total, size = 0.0, len(S)
    for turned in (False, True):
        for i in range(size):
            s = [float(S[j][i] if turned else S[i][j]) for j in range(size)]
            flip = turned and version != "v3"
            w = [float(W[j][i] if flip else W[i][j]) for j in range(size)]
            whole = sum(math.exp(x) for x in s)
            rest = [j for j in range(size) if j != i]
            if version == "baseline":
                total += math.log(whole) - s[i]
            elif version == "v1":
                total += math.log(sum((w[j] + 1e-12) * math.exp(s[j]) for j in range(size))) - s[i]
            elif version == "v2":
                share = sum(w[j] * math.exp(s[j]) / whole for j in rest)
                total += math.log(max(share, 1e-12)) - math.log(math.exp(s[i]) / whole)
            else:
                mass = sum((1 + beta * w[j]) * math.exp(s[j]) for j in rest)
                total += math.log(math.exp(s[i]) + mass) - s[i]
    return total / size / 2


@pytest.mark.parametrize("version", ["baseline", "v1", "v2", "v3"])
@pytest.mark.parametrize("scale", [0.1, 1, 14])
def test_every_version_equals_its_formula(version, scale):
    S, W = scale * random(5, 5), random(5, 5, seed=1).abs()
    found = c.contrastive_loss(S, W, version, beta=0.7)
    assert float(found) == pytest.approx(plain_loss(S, W, version, 0.7), rel=1e-10)


def test_losses_of_a_model_that_knows_nothing():
    S, W = torch.zeros(8, 8, dtype=torch.float64), torch.ones(8, 8, dtype=torch.float64)
    expected = {"v1": math.log(8), "v2": math.log(7), "v3": math.log(1 + 7 * 1.2)}
    for version, value in expected.items():
        assert float(c.contrastive_loss(S, W, version)) == pytest.approx(value)
    assert float(c.contrastive_loss(S)) == pytest.approx(math.log(8))


@pytest.mark.parametrize("version", ["baseline", "v1", "v2", "v3"])
def test_gradients_are_true(version):
    S, W = random(4, 4).requires_grad_(), random(4, 4, seed=1).abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda S, W: c.contrastive_loss(S, W, version), (S, W))


@pytest.mark.parametrize("version", ["baseline", "v1", "v2", "v3"])
@pytest.mark.parametrize("scale", [1e-3, 1e2, 1e5])
def test_finite_at_any_scale_in_single_precision(version, scale):
    S = (scale * random(6, 6)).float().requires_grad_()
    loss = c.contrastive_loss(S, torch.rand(6, 6), version)
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(S.grad).all()


def test_third_version_without_beta_is_cross_entropy():
    S, W = random(5, 5), random(5, 5, seed=1).abs()
    torch.testing.assert_close(c.contrastive_loss(S, W, "v3", beta=0), c.contrastive_loss(S))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_weights_of_the_positives_do_not_matter(version):
    S, W = random(5, 5), random(5, 5, seed=1).abs()
    other = W.clone().fill_diagonal_(50)
    torch.testing.assert_close(
        c.contrastive_loss(S, W, version), c.contrastive_loss(S, other, version)
    )


def test_bad_input_is_refused():
    S = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r"\(1, 1\).*at least 2"):
        c.contrastive_loss(torch.zeros(1, 1))
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        c.contrastive_loss(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"'v1', 'v2', 'v3'.*not v4"):
        c.contrastive_loss(S, S, "v4")
    with pytest.raises(ValueError, match=r"W \(3, 3\)"):
        c.contrastive_loss(S, None, "v3")
    with pytest.raises(ValueError, match="at least 2"):
        c.weight_stats(torch.zeros(1, 1), "debias")
    with pytest.raises(ValueError, match="at least 2"):
        c.adaptive_band(torch.zeros(1, 1), 0.3)


# -- retrieval --------------------------------------------------------------------------------------

OWNER = torch.arange(4).repeat_interleave(5)


def test_any_caption_of_a_picture_counts():
    S = torch.zeros(2, 4, dtype=torch.float64)  # two pictures, two captions each
    owner = torch.tensor([0, 0, 1, 1])
    S[0] = torch.tensor([0.1, 0.9, 0.5, 0.2])  # right at once, with the second of its captions
    S[1] = torch.tensor([0.9, 0.8, 0.1, 0.7])  # right at place 3, then 4
    assert [c.recall_at_k(S, owner, k) for k in (1, 2, 3)] == [0.5, 0.5, 1]
    first, second = (1 / 1 + 2 / 4) / 2, (1 / 3 + 2 / 4) / 2
    assert c.mean_average_precision(S, owner, 4) == pytest.approx((first + second) / 2)
    assert c.mean_average_precision(S, owner, 1) == pytest.approx(0.5)
    assert c.mean_average_precision(S, owner, 3) == pytest.approx((1 / 2 + (1 / 3) / 2) / 2)


def test_captions_ask_too():
    S = torch.tensor(
        [[0.9, 0.2], [0.8, 0.3], [0.7, 0.1], [0.1, 0.6]]
    )  # four captions, two pictures
    assert c.recall_at_k(S, torch.tensor([0, 0, 1, 1]), 1) == 0.75
    assert c.recall_at_k(S, [0, 0, 1, 1], 2) == 1


def test_a_perfect_model_is_perfect_and_the_diagonal_calls_it_poor():
    S = (torch.arange(4)[:, None] == OWNER).double()
    assert c.recall_at_k(S, OWNER, 1) == c.mean_average_precision(S, OWNER, 10) == 1
    assert c.recall_at_k(S.T, OWNER, 1) == 1
    diagonal = torch.eye(4, 20, dtype=torch.bool)  # caption i is held to be picture i's only one
    assert c.recall_at_k(S, diagonal, 1) <= 0.25


def test_more_answers_than_columns_and_what_is_right_as_a_matrix():
    S = random(4, 20)
    assert c.recall_at_k(S, OWNER, 1000) == 1
    right = torch.arange(4)[:, None] == OWNER
    assert c.recall_at_k(S, right, 3) == c.recall_at_k(S, OWNER, 3)
    none = torch.zeros(4, 20, dtype=torch.bool)
    assert c.recall_at_k(S, none, 3) == c.mean_average_precision(S, none, 3) == 0


def test_a_collapsed_model_gains_nothing_from_equal_similarities():
    S = torch.ones(4, 20)
    assert c.recall_at_k(S, OWNER, 10) == 0 and c.recall_at_k(S, OWNER, 16) == 1
    with pytest.raises(ValueError, match="NaN"):
        c.recall_at_k(S * math.nan, OWNER, 1)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        c.recall_at_k(S, torch.arange(3), 1)


@pytest.mark.parametrize("turned", [False, True])
def test_a_second_opinion_agrees(turned):
    S = random(30, 150, seed=3)
    owner = torch.arange(30).repeat_interleave(5)
    right = owner == torch.arange(30)[:, None]
    S, right = (S.T.contiguous(), right.T) if turned else (S, right)
    asks = torch.arange(len(S))[:, None].expand_as(S)
    for k in (1, 5, 10):
        theirs = RetrievalHitRate(top_k=k)(S.flatten(), right.flatten(), asks.flatten())
        assert c.recall_at_k(S, owner, k) == pytest.approx(float(theirs), abs=1e-6)
    likely = S.sigmoid()  # it takes no right answer for one whose score is not above 0
    theirs = RetrievalMAP()(likely.flatten(), right.flatten(), asks.flatten())
    mine = c.mean_average_precision(S, owner, S.shape[1])
    assert mine == pytest.approx(float(theirs), abs=1e-5)


# -- the loop ---------------------------------------------------------------------------------------


class Pair(nn.Module):
    """Two linear towers; answers as an open_clip model does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(6, 4), nn.Linear(6, 4)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, image, text):
        image, text = self.image(image), self.text(text)
        return F.normalize(image, dim=-1), F.normalize(text, dim=-1), self.logit_scale.exp()


BATCHES = [(random(8, 6, seed=i).float(), random(8, 6, seed=i).float()) for i in range(4)]


def trained(scaler=None, **options):
    model = Pair()
    rows = c.finetune(model, BATCHES, c.Options(**({"lr": 0.02} | options)), scaler)
    return model, rows


@pytest.mark.parametrize(
    "kind, version", [("baseline", "v3"), ("debias", "v1"), ("bandpass", "v2")]
)
def test_the_loop_learns_and_logs_a_common_yardstick(kind, version):
    _, rows = trained(kind=kind, version=version)
    assert [(row["epoch"], row["step"]) for row in rows[:5]] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
    ]
    assert np.mean([row["cross_entropy"] for row in rows[-4:]]) < 0.8 * rows[0]["cross_entropy"]
    if kind == "baseline":
        assert all(row["loss"] == pytest.approx(row["cross_entropy"]) for row in rows)
    else:
        assert {"w_mean", "band_coverage_pct", "w_low_pct", "w_high_pct"} <= rows[0].keys()


def test_gradients_are_clipped_at_their_true_length():
    model, rows = trained(clip=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaled, scaled_rows = trained(scaler, clip=0.05)
    assert max(row["grad_norm"] for row in rows) > 0.05  # the limit is at work
    for mine, theirs in zip(scaled_rows, rows, strict=True):
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
    free = trained()[0]
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(scaled.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(free.state_dict()[n], w) for n, w in model.state_dict().items())


def test_cosine_schedule_ends_near_zero():
    rates = [row["lr"] for row in trained(cosine=True)[1]]
    assert rates[0] == 0.02 and rates == sorted(rates, reverse=True) and rates[-1] < 2e-4
    assert {row["lr"] for row in trained()[1]} == {0.02}


def loss_of(features, epoch=1, **options):
    image, text = (F.normalize(x, dim=-1) for x in features)
    return c.train.step_loss(image, text, torch.tensor(3.0), c.Options(**options), epoch)


def test_diversity_has_a_gradient_that_spreads_the_weights():
    features = [random(8, 4, seed=i).requires_grad_() for i in (1, 2)]
    plain, _ = loss_of(features, kind="bandpass")
    gradients = torch.autograd.grad(plain, features)
    with_term, _ = loss_of(features, kind="bandpass", diversity=0.5)
    moved = torch.autograd.grad(with_term, features)
    assert not torch.allclose(gradients[1], moved[1])

    def entropy(text):
        W = c.bandpass_weights(c.affinity(features[0], text))
        return float(c.row_entropy(c.normalise_rows(W)).mean())

    pull = moved[1] - gradients[1]  # what the term alone adds
    assert entropy(features[1] - 0.01 * pull / pull.norm()) > entropy(features[1])


def test_coverage_widens_with_the_epochs():
    features = [random(16, 4, seed=i) for i in (1, 2)]
    options = {"kind": "bandpass", "coverage": (0.1, 0.5), "settings": {"gamma": 1e-3}}
    means = [loss_of(features, epoch, **options)[1]["w_mean"] for epoch in (1, 3, 6)]
    expected = [0.1 + 0.4 * epoch / 6 for epoch in (1, 3, 6)]
    assert means == pytest.approx(expected, abs=0.02)


def test_warm_up_begins_as_plain_cross_entropy():
    features = [random(8, 4, seed=i) for i in (1, 2)]
    loss, row = loss_of(features, kind="debias", version="v3", warmup=2)
    assert float(loss) == pytest.approx(row["cross_entropy"])
    later, row = loss_of(features, epoch=3, kind="debias", version="v3", warmup=2)
    assert float(later) > row["cross_entropy"] + 0.05


# -- made-up tables ---------------------------------------------------------------------------------


def test_the_simulation_gives_the_published_percentages():
    """Losses: means of the last epoch in the public logs; percentages: as published with S2."""
    losses = {"baseline": 0.011208869, "debias": 0.012083022, "bandpass": 0.015006117}
    factors = {"baseline": 1.0, "debias": 1.05, "bandpass": 0.98}
    made = {name: c.simulated_table(losses[name], factors[name]) for name in losses}
    both = {
        name: [np.mean([way[metric] for way in table.values()]) for metric in tables.NAMES]
        for name, table in made.items()
    }
    assert np.round(both["baseline"], 2).tolist() == [44.91, 75.34, 84.92, 51.94]
    assert np.round(both["bandpass"], 2).tolist() == [42.33, 71.03, 80.06, 48.97]
    assert both["debias"][0] / both["baseline"][0] - 1 == pytest.approx(0.0408, abs=5e-5)


S2 = {
    "baseline": {"R@1": 44.91, "R@5": 75.34, "R@10": 84.92, "mAP@10": 51.94},
    "bandpass": {"R@1": 42.33, "R@5": 71.03, "R@10": 80.06, "mAP@10": 48.97},
}


def test_the_table_behind_s2_is_caught_in_every_form():
    assert c.tells(S2) == ["rows 0 and 1 stand apart by one factor, 1.0607"]
    assert c.looks_simulated(list(S2.values()))
    assert c.looks_simulated(np.array([list(row.values()) for row in S2.values()]))
    assert c.looks_simulated(c.simulated_table(0.0121, 1.05))  # alone: its base is known
    pair = {"a": c.simulated_table(0.011, 1.02), "b": c.simulated_table(0.013, 1.0)}
    assert c.looks_simulated(pair)


def test_runs_without_noise_are_caught():
    row = {"R@1": 0.41, "R@5": 0.7, "mAP@10": 0.5}
    runs = [row | {"seed": seed, "loss": 0.01 + 0.002 * seed} for seed in range(3)]
    assert c.tells(runs) == ["runs with different losses have the same scores"]
    frozen = [row | {"seed": seed, "loss": 0.01} for seed in range(3)]
    assert not c.tells(frozen)  # one model judged three times


def test_a_change_that_rounding_could_have_made_is_no_proof():
    close = copy.deepcopy(S2)
    close["bandpass"] = {
        name: round(value * 1.0005, 1) for name, value in close["baseline"].items()
    }
    close["baseline"] = {name: round(value, 1) for name, value in close["baseline"].items()}
    assert not c.looks_simulated(close)
    assert not c.looks_simulated({"a": {"R@1": 40.0, "R@5": 80.0}, "b": {"R@1": 44.0, "R@5": 88.0}})


def test_made_up_tables_are_caught_and_real_ones_are_not():
    accused = [seed for seed in range(200) if c.looks_simulated(tables.realistic(seed))]
    missed = [seed for seed in range(200) if not c.looks_simulated(tables.made_up(seed))]
    assert len(accused) <= 2 and len(missed) <= 4, (accused, missed)
