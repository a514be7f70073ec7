"""doctor.py: each disease told apart from the others and from health; null values and errors
against formulas.
"""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from aaclip_lite import doctor, losses
from aaclip_lite.adapters import text_adapters
from aaclip_lite.checkpoint import save_adapter
from aaclip_lite.datasets import open_dataset
from aaclip_lite.doctor import balance, stored
from aaclip_lite.doctor.finding import conclude
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, Features, stack_anchors
from aaclip_lite.recipe import Recipe
from aaclip_lite.service.resume import save_resume
from tests import tiny

CONFIG = tiny.config(
    embed_dim=24,
    vision={"image_size": 28, "layers": 4, "width": 32, "head_width": 16, "patch_size": 7},
    text={"context_length": 32, "layers": 4},
)
RELEASED = Recipe.released().replace(levels=(2, 4))
COURSE = Recipe.course().replace(
    levels=(2, 4),
    text_steps=30,
    image_steps=30,
    text_lr=3e-3,
    image_lr=1e-2,
    logit_scale=100.0,
    lr_factor=0.5,
)
NAMES = ["bolt", "nut"]


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


def build(clip, recipe=COURSE, seed=0):
    torch.manual_seed(seed)
    return AdaptedCLIP(clip, recipe)


@pytest.fixture(scope="module")
def batch():
    """Eight dim pictures of noise; a bright square on every second one is the defect."""
    mask = torch.zeros(8, 1, 28, 28)
    for i in range(0, 8, 2):
        y, x = 7 * (i // 2 % 3), 7 * (3 * i // 2 % 4)
        mask[i, :, y : y + 7, x : x + 7] = 1
    image = 0.4 * torch.rand(8, 3, 28, 28, generator=torch.Generator().manual_seed(0)) + 0.6 * mask
    label = mask.flatten(1).amax(1).long()
    return {
        "image": image,
        "mask": mask,
        "label": label,
        "class_name": ["bolt", "bolt", "nut", "nut"] * 2,
    }


def stage_loss(model, batch, stage, levels=None):
    """What training minimises, by the functions that training uses."""
    images, recipe = model.preprocess(batch["image"]), model.recipe
    anchors = stack_anchors(
        model.text_anchors(NAMES, adapted=True if stage == "text" else None), batch["class_name"]
    )
    if stage == "text":
        return losses.stage1(levels or model.dense_features(images), anchors, batch["mask"], recipe)
    return losses.stage2(model(images), anchors.detach(), batch["mask"], batch["label"], recipe)


def fit(model, batch, stage, steps=30):
    optimizer = torch.optim.Adam(
        model.trainable(stage).values(), getattr(model.recipe, f"{stage}_lr"), (0.5, 0.999)
    )
    levels = model.dense_features(model.preprocess(batch["image"]))
    for _ in range(steps):
        optimizer.zero_grad()
        stage_loss(model, batch, stage, levels).backward()
        optimizer.step()
    optimizer.zero_grad()
    return optimizer


@pytest.fixture(scope="module")
def healthy(clip, batch):
    model = build(clip)
    fit(model, batch, "text")
    fit(model, batch, "image")
    return model


def row(finding, column, value, **more):
    (found,) = [row for row in finding.rows if {column: value, **more}.items() <= row.items()]
    return found


# ---- checkpoints ---------------------------------------------------------------------------------


def released_file(path, steps, lr=1e-5, epoch=5):
    """A text adapter of the published width after Adam steps, in the public file's form; returns
    its mean movement.
    """
    torch.manual_seed(0)
    module = text_adapters(Recipe.released(), 768, 768, 1)
    start = [p.detach().clone() for p in module.parameters()]
    optimizer = torch.optim.Adam(module.parameters(), lr, (0.5, 0.999))
    for _ in range(steps):
        for p in module.parameters():
            p.grad = torch.randn_like(p)
        optimizer.step()
    contents = {
        "epoch": epoch,
        "text_adapter": module.state_dict(),
        "text_optimizer": optimizer.state_dict(),
    }
    torch.save(contents, path)
    pairs = zip(start, module.parameters(), strict=True)
    return torch.cat([(p.detach() - s).abs().flatten() for s, p in pairs]).mean().item()


def test_mean_weight_does_not_tell_trained_from_untrained_but_the_support_does(tmp_path):
    """Such files were once called untrained because mean |w| is 0.031 and not above 0.1."""
    fresh, trained = tmp_path / "fresh.pth", tmp_path / "trained.pth"
    released_file(fresh, 0, epoch=0)
    moved = released_file(trained, 12)
    before, after = doctor.checkpoint(fresh), doctor.checkpoint(trained)
    assert (
        (before.verdict, after.verdict) == ("untrained", "trained")
        and after.healthy
        and not before.healthy
    )
    for a, b in zip(before.rows, after.rows, strict=True):
        assert a["null"] == b["null"] == math.sqrt(6 / 1536) / 2 == pytest.approx(0.03125)
        assert a["±"] == pytest.approx(math.sqrt(6 / 1536) / math.sqrt(12) / 768)
        assert (
            abs(a["mean |w|"] - a["null"]) < 4 * a["±"]
            and abs(b["mean |w|"] - b["null"]) < 4 * b["±"]
        )
        assert a["outside"] == 0 < b["outside"]
        assert abs(b["moved"] - moved) < 4 * b["moved ±"] and b["moved"] < b["reach"]
        assert b["reach"] == pytest.approx(12 * 1e-5) and a["reach"] == 0
    assert any("mean |w| shows nothing" in reason for reason in after.reasons)
    assert any("epoch 5, optimiser step 12" in reason for reason in after.reasons)


def test_a_released_file_of_too_few_epochs_is_short(tmp_path):
    released_file(tmp_path / "a.pth", 5, epoch=2)
    finding = doctor.checkpoint(tmp_path / "a.pth")
    assert finding.verdict == "short" and "epoch 2 of the 5 that were planned" in finding.reasons[0]


def save(model, folder, stage="image", step=30, **changes):
    path = save_adapter(folder / f"{stage}.safetensors", model, stage, {"epoch": 1, "step": step})
    if changes:  # the same file with other tensors
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        save_file({**load_file(path), **changes["tensors"]}, path, metadata)
    return path


@pytest.mark.parametrize("stage", ["text", "image"])
@pytest.mark.parametrize("known", [False, True], ids=["file alone", "with model"])
def test_a_trained_and_an_untrained_checkpoint(clip, healthy, tmp_path, stage, known):
    finding = doctor.checkpoint(save(healthy, tmp_path, stage), healthy if known else None)
    assert finding.verdict == "trained" and finding.healthy
    fresh = doctor.checkpoint(
        save(build(clip, seed=3), tmp_path, stage), healthy if known else None
    )
    assert fresh.verdict == "untrained" and not fresh.healthy
    assert not any(r["outside"] for r in fresh.rows)
    # starts as CLIP's own projection: known with the model only
    own = [r for r in finding.rows if r["null"] is None]
    assert bool(own) != known and all("weight" in r["tensor"] for r in own)


def test_starts_of_every_kind(clip, healthy, tmp_path):
    finding, start = (
        doctor.checkpoint(save(healthy, tmp_path), healthy),
        build(clip).trainable("image"),
    )
    stored = load_file(tmp_path / "image.safetensors")
    matrix, bias, zero, head = (
        row(finding, "tensor", f"image_adapter.{name}")
        for name in (
            "layer_adapters.0.fc.0.weight",
            "layer_adapters.0.fc.0.bias",
            "layer_adapters.0.fc.2.weight",
            "seg_proj.1.fc.weight",
        )
    )
    assert matrix["support"] == math.sqrt(6 / 48) and bias["support"] == pytest.approx(
        1 / math.sqrt(32)
    )
    assert (zero["null"], zero["support"], zero["outside"]) == (0, 0, 1)
    for found in (zero, head):  # known weight by weight
        true = (stored[found["tensor"]] - start[found["tensor"]].detach()).abs()
        assert found["moved"] == pytest.approx(true.mean().item()) and found["moved ±"] == 0
    assert head["null"] == pytest.approx(clip.visual.proj.abs().mean().item())
    true = (stored[matrix["tensor"]] - start[matrix["tensor"]].detach()).abs().mean().item()
    assert abs(matrix["moved"] - true) < 4 * matrix["moved ±"]
    assert finding.rows[0]["reach"] == pytest.approx(30 * 1e-2)


def test_short_inconsistent_and_scheduled_runs(healthy, tmp_path):
    short = doctor.checkpoint(save(healthy, tmp_path, step=29))
    assert short.verdict == "short" and "step 29 of the 30" in short.reasons[0]
    finding = doctor.checkpoint(save(healthy, tmp_path, step=1))
    assert finding.verdict == "inconsistent" and "1 steps of 0.01 cannot" in finding.reasons[0]
    recipe = COURSE.replace(milestones=(10, 20), image_lr=0.1)
    assert stored.reach({"recipe": recipe, "stage": "image", "step": 25})[1] == pytest.approx(
        1 + 0.5 + 5 * 0.025
    )
    assert stored.reach({"recipe": recipe, "stage": "text", "step": 25})[1] == pytest.approx(
        25 * 3e-3
    )


def test_broken_files(healthy, tmp_path):
    name = "image_adapter.layer_adapters.1.fc.0.weight"
    for tensor, what in (
        (torch.full((16, 32), math.nan), "not finite"),
        (torch.zeros(16, 32), "all zero"),
        (torch.zeros(15, 32), "name or shape"),
    ):
        finding = doctor.checkpoint(save(healthy, tmp_path, tensors={name: tensor}), healthy)
        assert (
            finding.verdict == "broken"
            and what in finding.reasons[0]
            and name.split(".")[2] in finding.reasons[0]
        )
        json.dumps(finding.to_dict(), allow_nan=False)
    path = save(healthy, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert doctor.checkpoint(path).verdict == "broken"
    torch.save({"weights": 1}, tmp_path / "x.pth")
    assert doctor.checkpoint(tmp_path / "x.pth").verdict == "broken"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        doctor.checkpoint(tmp_path / "nowhere.pth")


def test_a_checkpoint_of_another_backbone_or_recipe(clip, healthy, tmp_path):
    path = save(healthy, tmp_path)
    torch.manual_seed(9)
    finding = doctor.checkpoint(path, build(load_clip(CONFIG, weights=None)))
    assert (
        finding.verdict == "wrong backbone"
        and len([r for r in finding.reasons if "in the model" in r]) == 1
    )
    assert finding.reasons[0].startswith(f"fingerprint is {clip.fingerprint()!r} in the file")
    # not this CLIP's projection
    assert row(finding, "tensor", "image_adapter.det_proj.fc.weight")["moved"] is None
    finding = doctor.checkpoint(path, build(clip, COURSE.replace(image_mix=0.2)))
    assert (
        finding.verdict == "wrong recipe"
        and "image_mix is 0.3 in the file, 0.2" in finding.reasons[0]
    )
    torch.save(
        {"epoch": 5, "text_adapter": build(clip, RELEASED).text_adapter.state_dict()},
        tmp_path / "t.pth",
    )
    assert doctor.checkpoint(tmp_path / "t.pth", build(clip, RELEASED)).verdict == "untrained"
    wide = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "width": 24}}
    finding = doctor.checkpoint(tmp_path / "t.pth", build(load_clip(wide, weights=None), RELEASED))
    assert (
        finding.verdict == "wrong backbone"
        and "(16, 16) in the file, (24, 24) in the model" in finding.reasons[0]
    )


def test_a_part_that_did_not_train_is_named(clip, healthy, tmp_path):
    start = {
        k: v.detach().clone() for k, v in build(clip).trainable("image").items() if "det_proj" in k
    }
    finding = doctor.checkpoint(save(healthy, tmp_path, tensors=start), healthy)
    assert finding.verdict == "partial" and finding.reasons[0].startswith(
        "image_adapter.det_proj: at the start"
    )


def test_adapters_that_nothing_reads_are_not_called_sick(clip, batch, tmp_path):
    model = build(clip, COURSE.replace(levels=(1, 2), image_steps=5))
    fit(model, batch, "image", steps=5)
    assert doctor.checkpoint(save(model, tmp_path, step=5), model).verdict == "trained"
    finding = doctor.gradients(model, batch)
    assert (
        finding.verdict == "flowing"
        and row(finding, "module", "image_adapter.layer_adapters.2")["length"] == 0
    )


def test_what_cannot_be_known_is_said(clip, healthy, tmp_path):
    bare = COURSE.replace(image_blocks=0, adapter_bias=False)
    path = save(build(clip, bare), tmp_path)
    # CLIP's own projections only, and no CLIP at hand
    assert doctor.checkpoint(path).verdict == "unknown"
    assert doctor.checkpoint(path, build(clip, bare)).verdict == "untrained"
    # one step of 1e-5 puts a fraction of one of so few weights outside
    tiny = RELEASED.replace(text_steps=1)
    assert doctor.checkpoint(save(build(clip, tiny), tmp_path, "text", step=1)).verdict == "unknown"
    assert (
        doctor.checkpoint(save(build(clip, tiny), tmp_path, "text", step=20000)).verdict
        == "untrained"
    )


def test_a_resume_file_and_an_untouched_generator(clip, batch, tmp_path):
    model = build(clip)
    optimizer = fit(model, batch, "image", steps=3)
    progress = {"step": 3, "epoch": 0}
    path = save_resume(tmp_path / "image.resume", model, "image", optimizer, progress)
    torch.manual_seed(1)
    finding, after = doctor.checkpoint(path, model), torch.rand(1)
    assert finding.verdict == "short" and "step 3 of the 30" in finding.reasons[0]
    torch.manual_seed(1)
    assert after == torch.rand(1)


# ---- data sets -----------------------------------------------------------------------------------


def write(root, mask_of=lambda mask: mask, counts=(6, 6), name="bolt"):
    """A data set in the manifest's form: noise, defects of 9 % of the picture, masks changed by
    `mask_of`.
    """
    root.mkdir(parents=True, exist_ok=True)
    generator, lines = np.random.default_rng(sum(map(ord, name))), []
    for label, count in enumerate(counts):
        for number in range(count):
            stem, mask = f"{name}_{label}_{number}", np.zeros((20, 20), np.uint8)
            pixels, mask[4:10, 4:10] = generator.integers(0, 255, (20, 20, 3), dtype=np.uint8), 255
            Image.fromarray(pixels).save(root / f"{stem}.png")
            line = {"image_path": f"{stem}.png", "label": label, "class_name": name}
            if label:
                Image.fromarray(mask_of(mask)).save(root / f"{stem}_mask.png")
                line["mask_path"] = f"{stem}_mask.png"
            lines.append(json.dumps(line))
    (root / "manifest.jsonl").write_text("\n".join(lines))
    return root


def soft(mask):
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(1)))


def test_a_sound_data_set(tmp_path):
    finding = doctor.dataset(
        open_dataset(write(tmp_path / "a")), open_dataset(write(tmp_path / "b", name="nut"))
    )
    assert finding.verdict == "sound" and finding.healthy
    (line,) = finding.rows
    assert (line["normal"], line["abnormal"], line["looked at"], line["sizes"]) == (
        6,
        6,
        12,
        "20x20",
    )
    assert (line["balance"], line["even"], line["±"]) == (0.5, 0.5, 0.5 / math.sqrt(12))
    assert line["mask share"] == pytest.approx(0.09) and line["inverted"] == pytest.approx(0.91)
    assert [s.label for s in finding.samples] == [0, 1] and finding.samples[1].mask.sum() == 36


@pytest.mark.parametrize(
    "changes, verdict, reason",
    [
        ({"mask_of": lambda mask: 255 - mask}, "swapped masks", "masks cover 91%"),
        ({"counts": (12, 0)}, "one label", "all 12 pictures are normal"),
        ({"counts": (0, 12)}, "one label", "all 12 pictures are abnormal"),
        ({"counts": (1, 11)}, "unbalanced", "1 normal and 11 abnormal"),
        ({"mask_of": lambda mask: 0 * mask}, "broken files", "all zero, but label 1"),
        ({"mask_of": soft}, "odd masks", "grey values; all that are not zero count as defect"),
    ],
)
def test_sick_data_sets(tmp_path, changes, verdict, reason):
    finding = doctor.dataset(open_dataset(write(tmp_path / "a", **changes)))
    assert finding.verdict == verdict and reason in finding.reasons[0]
    assert not finding.healthy


def test_single_bad_files_are_named(tmp_path):
    root = write(tmp_path / "a")
    Image.fromarray(np.full((20, 20), 255, np.uint8)).save(root / "bolt_1_2_mask.png")
    Image.fromarray(np.full((20, 20, 3), 7, np.uint8)).save(root / "bolt_0_3.png")
    finding = doctor.dataset(open_dataset(root))
    # two and the note on the layout
    assert finding.verdict == "broken files" and len(finding.reasons) == 3
    assert "bolt_1_2.png: the mask is all one" in finding.reasons[1]
    assert "bolt_0_3.png: all pixels are equal" in finding.reasons[0]
    with pytest.raises(ValueError, match="empty"):
        doctor.dataset(open_dataset(root).view([]))


def test_one_empty_mask_among_many_is_found(tmp_path):
    root = write(tmp_path / "a", counts=(30, 30))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(root / "bolt_1_17_mask.png")
    finding = doctor.dataset(open_dataset(root), look=6)
    assert (
        finding.verdict == "broken files" and "bolt_1_17_mask.png: all zero" in finding.reasons[0]
    )


def test_a_part_saved_again_is_a_leak(tmp_path):
    train, test = write(tmp_path / "train"), write(tmp_path / "test")
    for number, file in enumerate(sorted(tmp_path.glob("*/bolt_?_?.png"))):  # other parts
        noise = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(noise).resize((80, 80)).save(file)
    data, other = (open_dataset(folder, image_level=True) for folder in (train, test))
    assert doctor.dataset(data, other).healthy
    with Image.open(train / "bolt_0_2.png") as part:
        part.resize((60, 60)).save(test / "bolt_0_3.png")
    finding = doctor.dataset(data, other)
    assert finding.verdict == "leak" and len(finding.reasons) == 2
    assert "bolt_0_2.png is almost bolt_0_3.png" in finding.reasons[0]


def test_copies_within_and_across_splits(tmp_path):
    train, test = write(tmp_path / "train"), write(tmp_path / "test", name="nut")
    (test / "nut_0_0.png").write_bytes((train / "bolt_0_0.png").read_bytes())
    data, other = open_dataset(train), open_dataset(test)
    finding = doctor.dataset(data, other)
    assert (
        finding.verdict == "leak"
        and "bolt_0_0.png is also" in finding.reasons[0]
        and len(finding.reasons) == 2
    )
    assert doctor.dataset(data, data.few_shot(2)).verdict == "leak"  # the very same files
    lines = [json.loads(line) for line in (train / "manifest.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["split"] = ("train", "test")[number % 2]
    (train / "bolt_0_1.png").write_bytes((train / "bolt_0_0.png").read_bytes())
    (train / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert doctor.dataset(open_dataset(train, allow=("duplicate",))).verdict == "leak"
    (train / "bolt_0_2.png").write_bytes((train / "bolt_0_0.png").read_bytes())
    only_train = open_dataset(train, split="train", allow=("duplicate",))
    assert doctor.dataset(only_train).verdict == "copies"


# ---- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [COURSE, RELEASED])
def test_the_parts_add_up_to_the_loss_that_training_minimises(clip, batch, recipe):
    model = build(clip, recipe)
    finding = doctor.losses(model, batch)
    for stage in ("text", "image"):
        total = sum(row["value"] for row in finding.rows if row["stage"] == stage)
        assert total == pytest.approx(stage_loss(model, batch, stage).item(), rel=1e-5)


def test_null_values_of_the_loss(clip, batch):
    rows = {(r["stage"], r["part"]): r for r in doctor.losses(build(clip), batch).rows}
    levels, covered = 2, 49 / 784
    for stage in ("text", "image"):
        focal, normal, abnormal = (rows[stage, part] for part in balance.SEGMENTATION)
        assert focal["undecided"] == pytest.approx(levels * 0.25 * math.log(2), rel=1e-3)
        missed = levels * 0.5 * covered * -math.log(2e-5)  # half of the pictures have a defect
        assert focal["all normal"] == pytest.approx(missed, rel=0.25)
        sound = 1 - covered
        expected = 1 - (2 * 784 * sound + 1) / (784 + 784 * sound + 1)
        assert normal["all normal"] == pytest.approx(levels * expected / 2, rel=1e-4)
        assert abnormal["all normal"] == pytest.approx(levels * 0.5 * (1 - 1 / 50), rel=1e-4)
    assert rows["image", "detection"]["undecided"] == pytest.approx(math.log(2), rel=1e-5)
    assert rows["text", "separation"]["undecided"] == pytest.approx(
        COURSE.orthogonal_weight, rel=1e-4
    )


def test_gradient_lengths_are_those_of_backward(clip, batch):
    model = build(clip)
    finding = doctor.losses(model, batch, stages=("image",))
    assert all(p.grad is None for p in model.parameters())  # nothing is left behind
    anchors = stack_anchors(
        {k: v.detach() for k, v in model.text_anchors(NAMES).items()}, batch["class_name"]
    )
    features = model(model.preprocess(batch["image"]))
    losses.detection(features.detection, anchors, batch["label"], COURSE.detection_scale).backward()
    shared = [p.grad for n, p in model.trainable("image").items() if "layer_adapters" in n]
    expected = torch.cat([g.flatten() for g in shared if g is not None]).norm().item()
    assert row(finding, "part", "detection")["gradient"] == pytest.approx(expected, rel=1e-4)
    assert sum(r["share"] for r in finding.rows) == pytest.approx(1)


def test_a_trained_model_beats_every_constant_answer_and_a_fresh_one_does_not(clip, healthy, batch):
    assert doctor.losses(healthy, batch, stages=("image",)).verdict == "balanced"
    fresh = doctor.losses(build(clip), batch, stages=("image",))
    assert fresh.verdict == "at null" and "a constant answer's" in fresh.reasons[0]


def test_sick_losses(clip, healthy, batch, monkeypatch):
    def verdict(model=healthy, batch=batch, stages=("image",)):
        finding = doctor.losses(model, batch, stages)
        return finding.verdict, finding.reasons[0]

    normal = {k: v[1::2] for k, v in batch.items()}
    assert verdict(batch=normal) == ("one label", "all 4 pictures have label 0")
    heavy = build(clip, COURSE.replace(detection_scale=1e6))
    assert verdict(heavy) == ("dominated", "image: detection has 100% of the gradient")
    with pytest.raises(ValueError, match="need masks"):
        doctor.losses(healthy, {k: v for k, v in batch.items() if k != "mask"})
    wild = {**batch, "image": batch["image"].clone()}
    wild["image"][0, 0, 0, 0] = math.nan
    assert verdict(batch=wild)[0] == "not finite"
    forward = AdaptedCLIP.forward

    def detached(self, images, names=None):
        features = forward(self, images, names)
        return Features(features.levels, features.detection.detach())

    monkeypatch.setattr(AdaptedCLIP, "forward", detached)
    assert verdict() == ("detached", "image: detection has no gradient at the shared weights")


# ---- gradients -----------------------------------------------------------------------------------


def module_length(model, name):
    return math.sqrt(
        sum(p.grad.square().sum().item() for n, p in model.trainable("image").items() if name in n)
    )


@pytest.mark.parametrize("stage", ["text", "image"])
def test_gradients_of_a_healthy_run(healthy, batch, stage):
    finding = doctor.gradients(healthy, batch, stage)
    assert finding.verdict == "flowing" and finding.healthy
    assert sum(r["weights"] for r in finding.rows) == sum(
        p.numel() for p in healthy.trainable(stage).values()
    )
    for line in finding.rows:
        assert line["a weight"] == pytest.approx(line["length"] / math.sqrt(line["weights"]))


def test_gradients_are_measured_after_unscaling_in_both_forms(clip, batch):
    model = build(clip)
    stage_loss(model, batch, "image").backward()
    expected = {
        name: module_length(model, name) for name in ("layer_adapters.2", "seg_proj.0", "det_proj")
    }
    model.zero_grad()

    class Scaler:
        def get_scale(self):
            return 1024.0

    by_batch = doctor.gradients(model, batch)
    (1024 * stage_loss(model, batch, "image")).backward()
    left_behind = doctor.gradients(model, scale=Scaler())
    for finding in (by_batch, left_behind):
        for name, length in expected.items():
            assert row(finding, "module", f"image_adapter.{name}")["length"] == pytest.approx(
                length, rel=1e-4
            )
    assert (
        row(doctor.gradients(model), "module", "image_adapter.det_proj")["length"]
        > 1000 * expected["det_proj"]
    )


def test_a_detached_a_frozen_and_a_cut_off_loss_are_told_apart(clip, batch):
    model = build(clip)
    detached = doctor.gradients(model)  # backward() never ran
    assert detached.verdict == "detached" and detached.reasons == [
        "no weight has a gradient: backward() did not run, or the loss was detached"
    ]
    stage_loss(model, batch, "image").backward()
    assert doctor.gradients(model).verdict == "flowing"
    model.zero_grad()
    features = model(model.preprocess(batch["image"]))
    (features.levels[0].sum() + features.detection.detach().sum()).backward()
    finding = doctor.gradients(model)
    assert finding.verdict == "cut off"
    assert {reason.split(":")[0] for reason in finding.reasons} == {
        "image_adapter.det_proj",
        "image_adapter.seg_proj.1",
        "image_adapter.layer_adapters.2",
        "image_adapter.layer_adapters.3",
    }
    model.image_adapter["det_proj"].requires_grad_(False)
    finding = doctor.gradients(model, batch)
    assert finding.verdict == "frozen" and finding.reasons == [
        "image_adapter.det_proj: requires_grad is False"
    ]
    model.image_adapter.requires_grad_(False)
    finding = doctor.gradients(model, batch)
    assert finding.verdict == "frozen" and len(finding.reasons) == len(finding.rows)


def test_vanishing_and_exploding_gradients(clip, batch):
    model = build(clip)
    for factor, verdict in ((1e-12, "vanishing"), (1e8, "exploding"), (math.nan, "exploding")):
        model.zero_grad()
        (factor * stage_loss(model, batch, "image")).backward()
        assert doctor.gradients(model).verdict == verdict
        if factor == 1e-12:
            assert doctor.gradients(model, scale=factor).verdict == "flowing"


# ---- anchors and logits --------------------------------------------------------------------------


def place_anchors(monkeypatch, angle, frozen=0.1, width=24):
    """Makes every class's anchors two unit vectors at these angles."""

    def text_anchors(self, names, adapted=None):
        pair = torch.zeros(width, 2)
        pair[0, 0], turn = 1, frozen if adapted is False else angle
        pair[0, 1], pair[1, 1] = math.cos(turn), math.sin(turn)
        return dict.fromkeys(names, pair)

    monkeypatch.setattr(AdaptedCLIP, "text_anchors", text_anchors)


def test_numbers_of_the_anchors(clip, monkeypatch):
    place_anchors(monkeypatch, 0.3)
    finding = doctor.anchors(build(clip), NAMES)
    assert finding.verdict == "apart" and len(finding.rows) == 2
    line, apart = finding.rows[0], 2 * math.sin(0.15)
    assert (line["cosine"], line["frozen cosine"]) == (
        pytest.approx(math.cos(0.3)),
        pytest.approx(math.cos(0.1)),
    )
    assert line["distance"] == pytest.approx(apart) and line["reach"] == pytest.approx(100 * apart)
    assert (
        line["random"] == pytest.approx(100 * apart / math.sqrt(24))
        and line["random ±"] == 24**-0.5
    )
    with pytest.raises(ValueError, match="at least one class"):
        doctor.anchors(build(clip), [])


@pytest.mark.parametrize(
    "angle, verdict", [(0.02, "collapsed"), (math.pi / 2, "saturated"), (0.1, "untrained")]
)
def test_sick_anchors(clip, monkeypatch, angle, verdict):
    place_anchors(monkeypatch, angle)
    finding = doctor.anchors(build(clip), NAMES)
    assert finding.verdict == verdict and not finding.healthy


def test_trained_and_fresh_anchors(clip, healthy):
    assert doctor.anchors(healthy, NAMES).verdict == "apart"
    assert doctor.anchors(build(clip), NAMES).verdict == "untrained"
    # meant to be CLIP's own
    assert doctor.anchors(build(clip, COURSE.replace(text_steps=0)), NAMES).verdict == "apart"


# ---- the finding itself --------------------------------------------------------------------------


def test_a_finding_reads_as_text_and_as_json():
    rows = [
        {"module": "a", "length": 0.12345678, "noise": None},
        {"module": "longer", "length": math.inf},
    ]
    finding = conclude(
        "gradients", "x", {"vanishing": ["later"], "detached": ["first"]}, rows, ["note", ""]
    )
    assert (finding.verdict, finding.healthy, finding.reasons) == (
        "detached",
        False,
        ["first", "later", "note"],
    )
    assert finding.table().splitlines() == [
        "module  length  noise",
        "a       0.1235  -",
        "longer  inf     -",
    ]
    assert repr(finding) == f"x: detached\n- first\n- later\n- note\n{finding.table()}"
    stored = json.loads(json.dumps(finding.to_dict(), allow_nan=False))
    assert stored["rows"][1]["length"] == "inf" and stored["rows"][0]["length"] == 0.12345678
    assert stored["verdict"] == "detached" and stored["healthy"] is False
    assert conclude("gradients", "x", {"frozen": []}).verdict == "flowing"
    with pytest.raises(ValueError, match="tired"):
        conclude("gradients", "x", {"tired": ["a verdict that does not exist"]})


def test_logit_scales_of_two_models(clip, batch):
    model, pictures = build(clip), batch["image"]
    same = doctor.scales(model, build(clip), pictures)
    assert same.verdict == "alike" and all(line["b / a"] == pytest.approx(1) for line in same.rows)
    louder = doctor.scales(model, build(clip, COURSE.replace(logit_scale=1000.0)), pictures)
    assert louder.verdict == "scale mismatch" and louder.reasons[0].startswith(
        "map: model b's logits spread 10 times"
    )
    quiet, loud = (line for line in louder.rows if line["logits"] == "map")
    # the same factor in every picture
    assert loud["b / a"] == pytest.approx(10, rel=1e-4) and loud["±"] < 1e-3
    for name in ("lowest", "highest", "mean", "std"):
        assert loud[name] == pytest.approx(10 * quiet[name], rel=1e-4)
    assert row(louder, "model", "b", logits="detection")["b / a"] == pytest.approx(1)
    quieter = doctor.scales(model, build(clip, COURSE.replace(logit_scale=20.0)), pictures)
    assert quieter.verdict == "scale mismatch" and "0.2 times" in quieter.reasons[0]
    # equal pictures
    assert doctor.scales(model, model, pictures[:1].expand(2, -1, -1, -1)).verdict == "constant"
