"""Pictures read by several threads at once, as a set's cache does."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from aaclip_lite.files import pictures


def test_threads_that_read_pictures_leave_the_filters_of_warnings_alone(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(60)]
    for path in paths:
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    pause = sys.getswitchinterval()
    before = list(warnings.filters)
    try:
        sys.setswitchinterval(1e-6)  # threads take turns within one call
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(pictures.read, paths * 5))
        assert warnings.filters == before
    finally:
        sys.setswitchinterval(pause)
        warnings.filters[:] = before
