"""checkpoint.py: round trips, refusals by field, atomic writes, bit-equal resume, the public code's
files.
"""

import os
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from aaclip_lite import checkpoint
from aaclip_lite.checkpoint import MismatchError
from aaclip_lite.files.weights import WeightsError
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from aaclip_lite.service import resume
from tests import tiny

CONFIG = tiny.config(
    embed_dim=24,
    vision={"image_size": 28, "layers": 4, "width": 32, "head_width": 16, "patch_size": 7},
    text={"context_length": 32, "layers": 4},
)
METADATA = {"epoch": 2, "step": 150, "seed": 7, "losses": [1.5, 0.25], "data": "abc123"}
RECIPE = Recipe.released().replace(levels=(2, 4))


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


def build(clip, seed=0, recipe=RECIPE):
    torch.manual_seed(seed)
    return AdaptedCLIP(clip, recipe)


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())


def snapshot(model, stage):
    return {k: v.detach().clone() for k, v in model.trainable(stage).items()}


@pytest.mark.parametrize("stage", ["text", "image"])
def test_round_trip(clip, tmp_path, stage):
    source, target = build(clip, 1), build(clip, 2)
    path = checkpoint.save_adapter(tmp_path / "new" / "a.safetensors", source, stage, METADATA)
    assert set(load_file(path)) == set(source.trainable(stage))  # adapters only
    metadata = checkpoint.load_adapter(path, target, data="abc123", training=True)
    assert equal(snapshot(target, stage), snapshot(source, stage))
    assert {key: metadata[key] for key in METADATA} == METADATA
    assert (metadata["stage"], metadata["recipe"]) == (stage, RECIPE)
    assert metadata["backbone"]["fingerprint"] == clip.fingerprint()
    other = {"text": "image", "image": "text"}[stage]
    assert equal(snapshot(target, other), snapshot(build(clip, 2), other))


@pytest.mark.parametrize(
    "change, field",
    [
        ({"image_mix": 0.2}, "recipe.image_mix is 0.1 in the file, 0.2 here"),
        ({"levels": (3, 4)}, "recipe.levels"),
        ({"states": "course"}, "recipe.states"),
    ],
)
def test_another_recipe_is_refused_by_field(clip, tmp_path, change, field):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip), "image", METADATA)
    target = build(clip, 2, RECIPE.replace(**change))
    before = snapshot(target, "image")
    with pytest.raises(MismatchError) as error:
        checkpoint.load_adapter(path, target)
    assert field in str(error.value)
    assert equal(snapshot(target, "image"), before)


def test_training_fields_matter_only_for_training(clip, tmp_path):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip), "image", METADATA)
    target = build(clip, 2, RECIPE.replace(image_lr=1e-3, name="mine"))
    checkpoint.load_adapter(path, target)
    with pytest.raises(MismatchError, match=r"recipe\.image_lr"):
        checkpoint.load_adapter(path, target, training=True)


def test_another_backbone_is_refused_by_field(clip, tmp_path):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip), "image", METADATA)
    torch.manual_seed(9)
    with pytest.raises(MismatchError, match=r"backbone\.fingerprint"):
        checkpoint.load_adapter(path, build(load_clip(CONFIG, weights=None)))
    with pytest.raises(
        MismatchError, match=r"backbone\.activation is 'gelu' in the file, 'quick_gelu' here"
    ):
        checkpoint.load_adapter(path, build(clip, 0, RECIPE.replace(activation="quick_gelu")))
    larger = load_clip(CONFIG, weights=None, image_size=56)
    larger.load_state_dict(clip.state_dict())
    checkpoint.load_adapter(path, build(larger))  # another input size is fine for use
    with pytest.raises(MismatchError, match=r"backbone\.image_size is 28 in the file, 56 here"):
        checkpoint.load_adapter(path, build(larger), training=True)


def test_other_data_are_refused(clip, tmp_path):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip), "text", METADATA)
    with pytest.raises(MismatchError, match="data is 'abc123' in the file, 'xyz' here"):
        checkpoint.load_adapter(path, build(clip), data="xyz")


def test_damaged_and_foreign_files_are_refused(clip, tmp_path):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip), "image", METADATA)
    content = path.read_bytes()
    for share in (0, 0.1, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(WeightsError, match=r"a\.safetensors is not a complete"):
            checkpoint.load_adapter(path, build(clip))
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(WeightsError, match="not an adapter checkpoint"):
        checkpoint.read_metadata(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        checkpoint.load_adapter(tmp_path / "nowhere.safetensors", build(clip))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(clip, tmp_path, monkeypatch):
    path = checkpoint.save_adapter(tmp_path / "a.safetensors", build(clip, 1), "image", METADATA)
    content = path.read_bytes()
    assert os.stat(path).st_mode & 0o777 == 0o644

    def fails_half_way(tensors, target, metadata):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fails_half_way)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save_adapter(path, build(clip, 2), "image", METADATA)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["a.safetensors"]


def run(model, optimizer, steps):
    """A little training that draws from every generator on the CPU."""
    images = torch.linspace(-1, 1, 3 * 28 * 28).reshape(1, 3, 28, 28)
    for _ in range(steps):
        noise = torch.randn(1, 24) + random.random() + np.random.rand()
        loss = (model(images).detection - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def adam(model):
    return torch.optim.Adam(model.trainable("image").values(), lr=1e-2, betas=(0.5, 0.999))


def seed_everything():
    torch.manual_seed(5), random.seed(5), np.random.seed(5)


def test_a_resumed_run_ends_bit_equal(clip, tmp_path):
    whole = build(clip)
    seed_everything()
    run(whole, adam(whole), steps=8)

    first = build(clip)
    optimizer = adam(first)
    seed_everything()
    run(first, optimizer, steps=4)
    progress = {"step": 4, "data": "d"}
    path = resume.save_resume(tmp_path / "resume.pt", first, "image", optimizer, progress)

    torch.manual_seed(99), random.seed(99), np.random.seed(99)
    second = build(clip, 3)
    optimizer = adam(second)
    assert resume.load_resume(path, second, "image", optimizer, data="d") == progress
    run(second, optimizer, steps=4)
    assert equal(snapshot(second, "image"), snapshot(whole, "image"))


def test_resume_refuses_what_does_not_belong(clip, tmp_path):
    model = build(clip)
    optimizer = adam(model)
    path = resume.save_resume(tmp_path / "resume.pt", model, "image", optimizer, {"data": "d"})
    with pytest.raises(MismatchError, match="belongs to stage 'image', this run is stage 'text'"):
        resume.load_resume(path, model, "text", optimizer)
    with pytest.raises(MismatchError, match=r"recipe\.image_lr"):
        resume.load_resume(path, build(clip, 0, RECIPE.replace(image_lr=1.0)), "image", optimizer)
    with pytest.raises(MismatchError, match="data is 'd' in the file, 'e' here"):
        resume.load_resume(path, model, "image", optimizer, data="e")
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="not a resume file"):
        resume.load_resume(path, model, "image", optimizer)


def public_files(model, folder):
    """As the public training script writes them: adapters and optimiser state beside an epoch."""
    for part, epoch in (("text_adapter", 5), ("image_adapter", 20)):
        module = getattr(model, part)
        optimizer = torch.optim.Adam(module.parameters())
        sum(p.sum() for p in module.parameters()).backward()
        optimizer.step()
        contents = {
            "epoch": epoch,
            part: module.state_dict(),
            f"{part[:-8]}_optimizer": optimizer.state_dict(),
        }
        torch.save(contents, folder / f"{part}.pth")
    return folder / "text_adapter.pth", folder / "image_adapter.pth"


def test_released_files(clip, tmp_path):
    source, target = build(clip, 1), build(clip, 2)
    text, image = public_files(source, tmp_path)
    assert checkpoint.load_released_files(target, text, image) == {
        "text_adapter": 5,
        "image_adapter": 20,
    }
    for stage in ("text", "image"):
        assert equal(snapshot(target, stage), snapshot(source, stage))
    assert checkpoint.load_released_files(target, None, image) == {"image_adapter": 20}
    with pytest.raises(WeightsError, match="no entry 'text_adapter'; is it the other"):
        checkpoint.load_released_files(target, image, text)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (self.target,))


@pytest.mark.parametrize("place", ["whole", "beside the weights"])
def test_a_released_file_with_code_is_refused_and_not_run(clip, tmp_path, place):
    bomb, model = Bomb(), build(clip)
    bomb.target = str(tmp_path / "exploded")
    contents = (
        bomb
        if place == "whole"
        else {"text_adapter": model.text_adapter.state_dict(), "epoch": bomb}
    )
    torch.save(contents, tmp_path / "text_adapter.pth")
    with pytest.raises(
        WeightsError, match=r"refused: it holds code \(\w+\.mkdir\); nothing was run"
    ):
        checkpoint.load_released_files(model, tmp_path / "text_adapter.pth", None)
    assert not os.path.exists(bomb.target)
