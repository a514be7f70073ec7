"""The pure statistics at their edges, and on the readings of the report S0."""

import math

import torch

from aaclip_lite.doctor import statistics

TEXT = [(768, 768)] * 4
IMAGE = [(1024, 1024)] * 6 + [(768, 1024)] * 5


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
