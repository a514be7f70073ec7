"""The real size: a random ViT-L/14-336 at 518 px in every format that weights come in, on small
sets in real layouts.

Minutes and 6 GiB; run by `make test-full` and on build servers, not by `make test`.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

import aaclip_lite as aa
from tests import layouts

NAME, SIZE = "ViT-L-14-336", 518
WEIGHTS = ("open_clip.safetensors", "state_dict.pt", "openai_archive.pt")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The same random weights in three formats, the halves of OpenAI's archive included; and two
    data sets.
    """
    place = tmp_path_factory.mktemp("full")
    torch.manual_seed(0)
    # so that all formats hold the same
    model = open_clip.create_model(NAME, pretrained=None).half().float().eval()
    save_file(
        {name: each.half().contiguous() for name, each in model.state_dict().items()},
        place / WEIGHTS[0],
    )
    torch.save(model.state_dict(), place / WEIGHTS[1])
    layouts.write_archive(place / WEIGHTS[2], model)
    layouts.write_visa_raw(place / "visa")
    layouts.write_mvtec(place / "mvtec", ("bottle",), ("crack",))
    return place


@pytest.fixture(scope="module")
def trained(place):
    """One step of each stage on VisA, with the public code's recipe; the rest of the tests judges
    what it left.
    """
    words = [
        "--preset",
        "released",
        "--recipe.text-batch",
        "2",
        "--recipe.image-batch",
        "2",
        "--calibrate",
        place / "mvtec",
        "--false-alarms",
        "0.3",
        "--checkpointing",
    ]
    steps = ["--recipe.text-steps", "1", "--recipe.image-steps", "1"]
    said, peak = command(
        place, "train", "--data", place / "visa", "--out", place / "run", *steps, *words
    )
    assert "text stage" in said and "image stage" in said and peak < 12
    return place / "run"


def command(place, name, *words, weights=WEIGHTS[0]):
    """What `python -m aaclip_lite` prints, and its peak memory in GiB."""
    clip = ["--clip", NAME, "--weights", place / weights, "--image-size", SIZE, "--device", "cpu"]
    call = [sys.executable, "-m", "aaclip_lite", name, *map(str, (*words, *clip))]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, said[-3000:]
    peak = used.ru_maxrss / 2**20
    print(f"{name}: {peak:.1f} GiB")
    return said, peak


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_format_gives_the_same_clip(place, weights):
    clip = aa.load_clip(NAME, weights=place / weights, image_size=SIZE)
    assert (clip.grid, clip.vision_blocks, clip.image_size) == (37, 24, SIZE)
    assert clip.activation == ("quick_gelu" if weights == WEIGHTS[2] else "gelu")
    expected = torch.load(place / WEIGHTS[1], weights_only=True)
    own = clip.state_dict()
    for key in (
        "visual.transformer.resblocks.23.mlp.c_proj.weight",
        "token_embedding.weight",
        "visual.conv1.weight",
    ):
        assert torch.equal(own[key], expected[key]), key
    assert own["visual.positional_embedding"].shape == (1 + 37 * 37, 1024)


def test_one_step_of_each_stage_is_taken(trained):
    for stage in ("text", "image"):
        row = json.loads((trained / f"{stage}.jsonl").read_text().splitlines()[-1])
        assert row["step"] == 1 and row["loss"] > 0 and row["gradient"] > 0
        assert (trained / f"{stage}.safetensors").stat().st_size > 10**6


def test_evaluation_and_prediction(place, trained):
    said, peak = command(
        place, "eval", trained, "--data", place / "mvtec", "--no-baselines", "--rounds", 2, "--json"
    )
    found = json.loads(said[said.index("{") :].splitlines()[0])
    assert (
        set(found["classes"]) == {"bottle"} and 0 <= found["mean"]["pixel_auroc"] <= 1 and peak < 12
    )
    part = place / "mvtec" / "bottle" / "test" / "crack" / "000.png"
    said, peak = command(
        place, "predict", part, "--product", "bottle", "--detector", trained, "--json"
    )
    row = json.loads(said[said.index("[{") :].splitlines()[0])[0]
    assert row["path"] == str(part) and math.isfinite(row["score"]) and peak < 12
    assert row["is_anomalous"] is None  # no sound part of this product was seen


def test_export_runs_elsewhere(place, trained):
    onnxruntime = pytest.importorskip("onnxruntime")
    clip = aa.load_clip(NAME, weights=place / WEIGHTS[0], image_size=SIZE)
    detector = aa.AnomalyDetector.load(trained, clip)
    began = time.monotonic()
    session = onnxruntime.InferenceSession(detector.to_onnx(place / "bottle.onnx", "bottle"))
    print(
        f"exported in {time.monotonic() - began:.0f} s, "
        f"{(place / 'bottle.onnx').stat().st_size / 2**30:.1f} GiB"
    )
    x = torch.rand(1, 3, SIZE, SIZE)
    heat, score = session.run(None, {"image": x.numpy()})
    expected = detector.predict(x[0], "bottle")
    assert (
        abs(torch.from_numpy(heat[0]) - torch.from_numpy(expected.map)).max()
        < 1e-3 * expected.map.std()
    )
    assert score[0] == pytest.approx(expected.score, abs=1e-3)
    Path(place / "bottle.onnx").unlink()
