"""A few kills of the quick commands; `make test-kills` makes a hundred, of all commands."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_kills_leave_equal_results():
    words = [sys.executable, "-m", "tests.faults.kills", "--number", "10"]
    words += ["--only", "train", "predict"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [name for name, *_ in rows] == ["train", "predict"]
    assert sum(int(kills) for _, kills, *_ in rows) >= 5  # a timed kill may come too late
