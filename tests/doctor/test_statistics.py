"""Statistics of untrained weights: by hand, against many draws, and where training begins to show."""

import math

import pytest
import torch
from torch import nn

from aaclip_lite.doctor import statistics

SHAPES = [(64, 32), (64,), (16, 8, 3, 3)]


def untrained(seed=0):
    torch.manual_seed(seed)
    tensors = [torch.empty(shape) for shape in SHAPES]
    for tensor in tensors:
        if tensor.ndim > 1:
            nn.init.xavier_uniform_(tensor)
        else:
            nn.init.zeros_(tensor)
    return tensors


def test_bound_by_hand():
    assert statistics.xavier_bound((768, 768)) == 0.0625
    assert statistics.xavier_bound((16, 8, 3, 3)) == math.sqrt(6 / (9 * 24))
    assert statistics.xavier_bound((512,)) == 0


def test_each_tensor_counts_once_and_biases_too():
    tensors = {"w": torch.tensor([[1.0, -3.0]]), "b": torch.zeros(100)}
    assert statistics.printed_statistic(tensors) == 1.0
    assert statistics.printed_statistic(iter(tensors.values())) == 1.0


def test_expected_statistic_is_what_many_draws_give():
    printed = torch.tensor([statistics.printed_statistic(untrained(seed)) for seed in range(300)])
    mean, error = statistics.expected_statistic(SHAPES)
    assert abs(float(printed.mean()) - mean) < 4 * error / math.sqrt(300)
    assert 0.85 * error < float(printed.std()) < 1.15 * error
    scores = [statistics.z_score(float(value), SHAPES) for value in printed]
    assert sum(abs(score) < 2 for score in scores) > 270


def test_the_documents_numbers():
    text, image = [(768, 768)] * 4, [(1024, 1024)] * 6 + [(768, 1024)] * 5
    assert abs(statistics.z_score(0.031234, text)) < 2
    assert statistics.z_score(0.055399, image) > 1000


def test_no_untrained_weight_lies_outside_and_a_trained_one_does():
    tensors = untrained()
    assert [statistics.outside(tensor) for tensor in tensors] == [0, 0, 0]
    moved = tensors[0] + 0.01 * torch.randn_like(tensors[0])
    assert statistics.outside(moved) > 10
    bound = torch.full((4, 4), statistics.xavier_bound((4, 4)))
    assert statistics.outside(bound) == statistics.outside(bound.double()) == 0
    assert statistics.outside(torch.tensor([0.0, 1e-9])) == 1


def test_relative_distance():
    w0 = torch.tensor([[3.0, 4.0]])
    assert statistics.relative_distance(w0 + torch.tensor([[0.0, 1.0]]), w0) == pytest.approx(0.2)
    assert statistics.relative_distance(torch.zeros(3), torch.zeros(3)) == 0
    assert statistics.relative_distance(torch.ones(3), torch.zeros(3)) == math.inf


def test_adam_never_moves_a_weight_beyond_its_reach():
    lr, steps = 0.01, 60
    usual, greatest = statistics.adam_reach(lr, steps)
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=lr, betas=(0.5, 0.999))
    for step in range(steps):
        # one gradient that never changes; one that is silent and then grows
        weight.grad = torch.tensor([1.0, 1e-6 * 2.0**step]).double()
        adam.step()
    steady, growing = weight.detach().abs().tolist()
    assert steady == pytest.approx(usual, rel=1e-5)
    assert 2 * usual < growing <= greatest
    assert statistics.adam_reach(1e-5, 540)[1] == pytest.approx(0.0054 * 0.5 / math.sqrt(0.001))


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: statistics.printed_statistic([]), "no tensors"),
        (lambda: statistics.expected_statistic([]), "no shapes"),
        (lambda: statistics.z_score(0.1, [(5,)]), "biases alone"),
        (lambda: statistics.relative_distance(torch.zeros(2), torch.zeros(3)), "shapes"),
    ],
)
def test_what_cannot_be_asked_is_told(call, word):
    with pytest.raises(ValueError, match=word):
        call()
