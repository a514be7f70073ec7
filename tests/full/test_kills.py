"""100 kills over train, factory, eval, predict and export: the same call afterwards ends with the
files of a run that nobody disturbed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_hundred_kills_leave_equal_results():
    words = [sys.executable, "-m", "tests.faults.kills", "--number", "100"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
