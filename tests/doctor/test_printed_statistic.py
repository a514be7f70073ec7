"""The pure statistics: against draws, against a real Adam, and on the readings of the report S0."""

import math

import pytest
import torch

from aaclip_lite.doctor import statistics

TEXT = [(768, 768)] * 4
IMAGE = [(1024, 1024)] * 6 + [(768, 1024)] * 5


def test_expected_mean_and_error_are_those_of_draws():
    shapes = [(24, 40), (24,), (8, 8)]
    printed = []
    torch.manual_seed(0)
    for _ in range(300):
        tensors = [torch.zeros(shape) for shape in shapes]
        for tensor in (tensors[0], tensors[2]):
            torch.nn.init.xavier_uniform_(tensor)
        printed.append(statistics.printed_statistic(tensors))
    mean, error = statistics.expected_statistic(shapes)
    drawn = torch.tensor(printed, dtype=torch.float64)
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * error / math.sqrt(300))
    assert float(drawn.std()) == pytest.approx(error, rel=0.15)


def test_a_tensor_counts_once_whatever_its_size():
    tensors = [torch.full((10, 10), 0.5), torch.tensor([0.1, -0.1])]
    assert statistics.printed_statistic(tensors) == pytest.approx(0.3)


def test_only_what_is_strictly_beyond_the_bound_is_outside():
    bound = math.sqrt(6 / 4)
    w = torch.tensor([[bound, -bound], [1.001 * bound, -1.001 * bound]], dtype=torch.float64)
    assert statistics.xavier_bound((2, 2)) == bound and statistics.outside(w) == 2
    assert statistics.outside(torch.tensor([0.0, 1e-12, -0.1])) == 2  # a bias starts at zero
    torch.manual_seed(0)
    assert statistics.outside(torch.nn.init.xavier_uniform_(torch.empty(300, 300))) == 0


def test_readings_of_the_report():
    assert abs(statistics.z_score(0.031234, TEXT)) < 2
    assert statistics.z_score(0.055399, IMAGE) > 1000
    assert statistics.z_score(0.1, TEXT) > 1000


@pytest.mark.parametrize("quiet", [0, 200])
def test_adam_stays_within_its_reach(quiet):
    """A constant gradient walks the usual distance; one after a long silence takes the longest
    step."""
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], 1e-3, (0.5, 0.999), eps=0)
    lengths = []
    for step in range(300):
        before = w.item()
        w.grad = torch.tensor([1e-30 if step < quiet else 1.0], dtype=torch.float64)
        optimizer.step()
        lengths.append(abs(w.item() - before))
    usual, greatest = statistics.adam_reach(1e-3, 300)
    longest = greatest / 300
    assert max(lengths) <= longest * (1 + 1e-9)
    if quiet:
        assert max(lengths) > 1.5 * usual / 300
    else:
        assert abs(w.item()) == pytest.approx(usual, rel=1e-6)


def test_relative_distance():
    w0 = torch.tensor([3.0, 4.0])
    assert statistics.relative_distance(w0, w0) == 0
    assert statistics.relative_distance(torch.tensor([3.0, 5.0]), w0) == pytest.approx(0.2)
    torch.manual_seed(0)
    a, b = torch.rand(2, 4000) * 2 - 1
    assert statistics.relative_distance(a, b) == pytest.approx(math.sqrt(2), rel=0.05)
