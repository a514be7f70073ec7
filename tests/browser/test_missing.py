"""Where no Chromium is found the browser test is listed as not run, with the remedy; on a build
server that fails.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = "apt-get install -y chromium"


@pytest.mark.parametrize("server", [False, True])
def test_a_missing_chromium_is_not_silent(tmp_path, server):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "PYTEST_XDIST_WORKER")
    }
    environment |= {"PATH": str(tmp_path)} | ({"CI": "true"} if server else {})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/browser/test_browser.py",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    said = f"no Chromium found. To run it: {INSTALL}"
    assert (f"NOT RUN: tests/browser/test_browser.py: {said}" in done.stdout) != server
    expected = pytest.ExitCode.TESTS_FAILED if server else pytest.ExitCode.NO_TESTS_COLLECTED
    assert said in done.stdout and done.returncode == expected
