"""Every test draws the same numbers on every machine, whichever test ran before it in its process.

Use: nothing to do. A test that wants other numbers seeds its own generator. What hypothesis tries
is fixed too: new cases are looked for on purpose (`--hypothesis-profile=default`), not by a reader's
first `make test`.
"""

import random

import hypothesis
import numpy as np
import pytest
import torch

hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def same_numbers():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
