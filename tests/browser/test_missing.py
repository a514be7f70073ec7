"""Where no Chromium is found the browser test is listed as not run, with the remedy; on a build server that fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("server", [False, True])
def test_a_missing_chromium_is_not_silent(tmp_path, server):
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_XDIST_WORKER")}
    environment |= {"PATH": str(tmp_path)} | ({"CI": "true"} if server else {})
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/browser/test_browser.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "apt-get install -y chromium" in done.stdout
    assert ("NOT RUN: tests/browser/test_browser.py" in done.stdout) != server
    assert ("no Chromium found" in done.stdout and "failed" in done.stdout.splitlines()[-1]) or not server
    assert done.returncode != 0, "a failure, or a session in which nothing ran"
