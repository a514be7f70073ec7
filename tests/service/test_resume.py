"""A run that is really killed (SIGKILL) in the middle of a stage, and started again: bit-equal to
one left alone.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from aaclip_lite.datasets import open_dataset
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.service.runs import train_image, train_text
from tests import tiny

ROOT = Path(__file__).parents[2]
RECIPE = tiny.RECIPE.replace(text_steps=16, image_steps=16, milestones=(4, 10))


def run(folder, data, pause=0.0):
    """Both stages; the pause after each epoch gives time to kill, and changes nothing else."""
    torch.manual_seed(0)
    model, options = (
        AdaptedCLIP(load_clip(tiny.config(), weights=None), RECIPE),
        {"save_steps": 3, "progress": False, "accumulate": 2},
    )
    for train in (train_text, train_image):
        train(model, data, folder, on_progress=lambda *_: time.sleep(pause), **options)
    return model


def killed_after(step, file, process):
    """Wait until the run's history has so many rows, then end its process as the power would."""
    deadline = time.monotonic() + 300
    while not (file.exists() and file.read_text().count("\n") >= step):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{file} did not reach step {step}"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    return process.wait()


def test_killed_and_started_again(tmp_path, capsys):
    data = tiny.draw(tmp_path / "data")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    cuts, processes = {"text": 7, "image": 5}, {}
    for stage in cuts:  # both at once: most of their time goes into imports
        command = [sys.executable, __file__, str(tmp_path / stage), str(tmp_path / "data")]
        processes[stage] = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True
        )
    try:
        for stage, step in cuts.items():
            assert (
                killed_after(step, tmp_path / stage / f"{stage}.jsonl", processes[stage])
                == -signal.SIGKILL
            )
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    whole = run(tmp_path / "whole", data).state_dict()
    for stage in cuts:
        assert (tmp_path / stage / f"{stage}.resume").exists()
        assert (tmp_path / stage / "image.jsonl").exists() == (stage == "image")
        capsys.readouterr()
        resumed = run(tmp_path / stage, data).state_dict()
        assert (
            0
            < int(re.search(rf"{stage} stage: .* steps (\d+) to 16 ", capsys.readouterr().out)[1])
            < 16
        )
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)
        for name in ("text.jsonl", "image.jsonl"):
            rows = [
                (tmp_path / folder / name).read_text().count("\n") for folder in (stage, "whole")
            ]
            assert rows == [16, 16]


if __name__ == "__main__":
    run(Path(sys.argv[1]), open_dataset(sys.argv[2]), pause=0.5)
