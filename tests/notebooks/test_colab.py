"""Chapters 00 and 09 in a Colab-like session (all of 00 to 09: `make colab`), and what that session
is.

Colab's old widgets come from the package index. Where it can't be reached nothing is run, and
`conftest.py` says so at the end of the session; on a build server (variable CI) that is a failure.
"""

import os
import subprocess

import pytest

from tests.notebooks.run_colab import OLD, Colab, NoIndex, changed
from tests.notebooks.run_course import FOLDER


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    try:
        return Colab(tmp_path_factory.mktemp("colab"))
    except NoIndex as error:
        reason = f"Colab's versions can't be installed. To run it: the package index must be reachable ({error})"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def test_the_session_has_colabs_versions_and_no_course(colab):
    assert {
        f"{name}=={colab.versions()[name]}" for name in ("ipython", "ipykernel", "ipywidgets")
    } == set(OLD)
    code = "import torch, sys; assert 'google.colab' in sys.modules; import aaclip_lite"
    done = subprocess.run(
        [colab.python, "-c", code], cwd=colab.folder, capture_output=True, text=True
    )
    assert done.stderr.strip().endswith("No module named 'aaclip_lite'")


def test_a_chapter_and_the_widgets_run_and_nothing_preinstalled_changes(colab):
    before = colab.versions()
    for name in ("00_start_here", "09_explorer"):
        cells = colab.run(FOLDER / f"{name}.ipynb").cells
        assert all(cell.execution_count for cell in cells if cell.cell_type == "code")
    assert not changed(before, colab.versions())
    assert colab.versions()["aaclip-lite"]


def test_a_changed_package_is_told():
    assert changed({"torch": "2.4", "numpy": "2.0"}, {"torch": "2.5", "aaclip-lite": "0.1"}) == [
        "torch 2.4 -> 2.5",
        "numpy 2.0 -> None",
    ]
