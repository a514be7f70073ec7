"""A few kills of the quick commands; `make test-kills` makes a hundred, of all commands."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_kills_leave_equal_results():
    words = [sys.executable, "-m", "tests.faults.kills", "--number", "12"]
    words += ["--only", "save", "train", "predict"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [name for name, *_ in rows] == ["train", "save", "predict"]
    kills = [sum(map(int, numbers[:3])) for _, *numbers in rows]
    assert sum(kills) >= 5 and all(kills)  # a timed kill may come too late
