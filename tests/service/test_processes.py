"""Two processes (`accelerate launch`, CPU, gloo) against one: the same loss curve, gradients and
weights.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aaclip_lite.__main__ import main
from aaclip_lite.datasets import open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.service.runs import train_image, train_text
from aaclip_lite.train import History
from tests import tiny

ROOT = Path(__file__).parents[2]
RECIPE = tiny.RECIPE.replace(adapter_init="xavier")
LAUNCH = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port 0 --mixed_precision no"
LAUNCH = f"{LAUNCH} --num_machines 1 --dynamo_backend no --num_cpu_threads_per_process 1"


def run(folder, data):
    """Both stages; of the 11 pictures three make the last batch, for two processes 2 and 1."""
    model = tiny.model(tiny.clip(), RECIPE)
    options = {"steps": 6, "accumulate": 2, "progress": False}
    train_text(model, data, folder, **options)
    train_image(model, data, folder, **options)
    return model


def test_two_processes_equal_one(tmp_path):
    tiny.draw(tmp_path / "data")
    data = open_dataset(tmp_path / "data")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, *LAUNCH.split(), __file__, str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        model = run(tmp_path / "one", data.view(data.records[:11]))
        said, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, said
    # only the main process speaks
    assert said.count("stage: cpu x 2, fp32") == 3 and said.count("9 pictures") == 1
    for file in ("text", "image"):
        one, two = (History.load(tmp_path / folder / f"{file}.jsonl") for folder in ("one", "two"))
        assert len(two.rows) == 6 and len(set(one.column("loss"))) == 6
        compared = [
            name for name in one.rows[0] if name not in ("pictures_per_second", "memory_mb")
        ]
        assert {"loss", "segmentation", "gradient", "cosine"} <= set(compared)
        for name in compared:
            assert two.column(name) == pytest.approx(one.column(name), rel=1e-4, abs=1e-6), (
                f"{file}: {name}"
            )
    loaded = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    for key, weight in model.state_dict().items():
        # Adam takes steps of full length for gradients near zero, so a single weight may differ by
        # more
        assert (loaded[key] - weight).norm() <= 1e-3 * weight.norm(), key
    # One picture cannot be shared between two processes: the ninth of nine is left out, at the end
    # of every epoch.
    assert History.load(tmp_path / "two" / "rest" / "image.jsonl").column("epoch") == [1, 1, 2, 2]


def test_two_processes_share_a_folder_and_give_one_report(tmp_path, capfd):
    """`eval` and `predict` under accelerate launch print once, and what one process prints."""
    torch.manual_seed(0)
    (tmp_path / "clip.json").write_text(json.dumps(tiny.config()))
    torch.save(load_clip(tiny.config(), weights=None).state_dict(), tmp_path / "clip.pt")
    tiny.draw(tmp_path / "data")
    data = open_dataset(tmp_path / "data")
    clip = {"source": str(tmp_path / "clip.json"), "weights": str(tmp_path / "clip.pt")}
    detector = AnomalyDetector(AdaptedCLIP(load_clip(**clip)), backbone=clip)
    detector.calibrate(data, false_alarms=0.3).save(tmp_path / "detector")
    pictures = [Path(data.root, record.image) for record in data.records[:5]]
    commands = {
        "eval": ["--data", tmp_path / "data", "--rounds", "2", "--no-baselines"],
        "predict": ["--detector", tmp_path / "detector", "--out", tmp_path / "heat"],
    }
    for command, options in commands.items():
        given = [tmp_path / "detector"] if command == "eval" else pictures
        words = [command, *map(str, (*given, *options)), "--json"]
        assert main(words) == 0
        one = json.loads(capfd.readouterr().out)
        drawn = {path.name: path.read_bytes() for path in tmp_path.glob("heat/*.png")}
        shutil.rmtree(tmp_path / "heat", ignore_errors=True)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
        call = [sys.executable, *LAUNCH.split(), "-m", "aaclip_lite", *words]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        both = json.loads(done.stdout)
        if command == "eval":
            one.pop("about"), both.pop("about")
            assert numbers(both) == pytest.approx(numbers(one), rel=1e-5, abs=1e-6)
        else:
            assert (
                [row["path"] for row in both]
                == list(map(str, pictures))
                == [row["path"] for row in one]
            )
            assert [row["score"] for row in both] == pytest.approx(
                [row["score"] for row in one], abs=1e-4
            )
            assert {path.name for path in tmp_path.glob("heat/*.png")} == set(drawn) and len(
                drawn
            ) == 5


def numbers(tree):
    """The numbers of a JSON tree in a row; what is undefined is left out."""
    if isinstance(tree, dict | list):
        return [
            n for part in (tree.values() if isinstance(tree, dict) else tree) for n in numbers(part)
        ]
    return [] if tree is None or isinstance(tree, str) else [float(tree)]


def in_each_process(folder):
    data = open_dataset(folder / "data")
    model = run(folder / "two", data.view(data.records[:11]))
    if os.environ["RANK"] == "0":
        torch.save(model.state_dict(), folder / "two" / "weights.pt")
    try:
        model.recipe = model.recipe.replace(dense_axis="batch")
        train_text(model, data, folder / "two" / "refused")
        raise AssertionError("features that see batch mates need the whole batch in one process")
    except ValueError as error:
        assert "Recipe.dense_axis" in str(error)
    train_image(
        model, data.view(data.records[:9]), folder / "two" / "rest", epochs=2, progress=False
    )


if __name__ == "__main__":
    in_each_process(Path(sys.argv[1]))
