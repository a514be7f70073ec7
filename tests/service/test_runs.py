"""train.py: the loop against a hand-written one, options, resume, refusals, what is detected and
what is kept.
"""

import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from aaclip_lite import losses
from aaclip_lite.checkpoint import MismatchError, load_adapter, read_metadata
from aaclip_lite.datasets import DataError, open_dataset
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.files import keep
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, stack_anchors
from aaclip_lite.service import guards, matmul, processes, runs, views
from aaclip_lite.service.runs import TrainingError, train_image, train_text
from aaclip_lite.train import History
from tests import tiny
from tests.tiny import RECIPE, draw, same, weights

RUN = {"text": train_text, "image": train_image}


@pytest.fixture(scope="module")
def clip():
    return tiny.clip()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("train") / "data")


build = tiny.model


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def spoil(monkeypatch, change, step, stage="stage1_parts"):
    """Let `change` alter the loss parts of one step (counted from 1)."""
    original, calls = getattr(losses, stage), []

    def changed(*arguments):
        calls.append(1)
        parts = original(*arguments)
        return {name: change(part) for name, part in parts.items()} if len(calls) == step else parts

    monkeypatch.setattr(losses, stage, changed)


@pytest.mark.parametrize("stage", ["text", "image"])
def test_equals_a_hand_written_loop(clip, data, tmp_path, stage):
    recipe = RECIPE.replace(adapter_init="xavier", milestones=(2, 4))
    model, own = build(clip, recipe), build(clip, recipe)
    history = RUN[stage](model, data, tmp_path, seed=3, progress=False)
    own.requires_grad_(False)
    optimizer = torch.optim.Adam(
        [p.requires_grad_() for p in own.trainable(stage).values()], betas=(0.5, 0.999)
    )
    values, rate = [], {"text": [3e-3] * 6, "image": [2e-3, 2e-3, 1e-3, 1e-3, 5e-4, 5e-4]}[stage]
    anchors = own.text_anchors(["bolt", "cup"])
    for epoch in range(2):
        options = {"augment": "course", "stage": 1 + (stage == "image"), "epoch": epoch}
        for batch in data.batches(4, True, 3, **options):
            optimizer.param_groups[0]["lr"] = rate[len(values)]
            images, names = own.preprocess(batch["image"]), batch["class_name"]
            if stage == "text":
                anchors = own.text_anchors(sorted(set(names)))
                loss = losses.stage1(
                    own.dense_features(images), stack_anchors(anchors, names), batch["mask"], recipe
                )
            else:
                parts = stack_anchors(anchors, names), batch["mask"], batch["label"]
                loss = losses.stage2(own(images), *parts, recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
    assert history.column("loss") == values and history.column("lr") == rate
    assert same(weights(model), weights(own))


@pytest.mark.parametrize("stage", ["text", "image"])
def test_each_stage_learns_and_moves_its_own_weights(clip, data, tmp_path, stage, capsys):
    model = build(clip)
    before, recipe, run = (
        weights(model),
        model.recipe,
        train_text if stage == "text" else train_image,
    )
    history = run(model, data, tmp_path, steps=40)
    assert moved(before, weights(model)) == set(model.trainable(stage))
    assert history.finished and history.column("step") == list(range(1, 41))
    assert sum(history.column("loss")[-5:]) < 0.8 * sum(history.column("loss")[:5])
    assert model.recipe is recipe and all(p.grad is None for p in model.parameters())
    both = {*model.trainable("text"), *model.trainable("image")}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == both
    count = sum(p.numel() for p in model.trainable(stage).values())
    said = capsys.readouterr().out
    assert (
        f"{stage} stage: cpu x 1, fp32; 12 pictures (6 normal), 2 classes; steps 0 to 40 of 4 "
        "pictures" in said
    )
    assert f"{count:,} trainable weights" in said
    metadata = read_metadata(tmp_path / f"{'text' if stage == 'text' else 'image'}.safetensors")
    assert (metadata["stage"], metadata["step"], metadata["epoch"], metadata["seed"]) == (
        stage,
        40,
        13,
        0,
    )
    assert metadata["finished"] and metadata["losses"]["loss"] == history.rows[-1]["loss"]


def test_history_is_a_table_and_a_file(clip, data, tmp_path):
    history = train_text(build(clip), data, tmp_path, steps=14, batch=6)
    row = history.rows[0]
    assert (
        row["loss"] == pytest.approx(row["segmentation"] + row["separation"], rel=1e-6)
        and row["epoch"] == 1
    )
    modules = [name for name in row if name.startswith("gradient/")]
    assert modules == ["gradient/text_adapter.0", "gradient/text_adapter.1"]
    assert row["gradient"] == pytest.approx(sum(row[name] ** 2 for name in modules) ** 0.5)
    assert (
        -1 <= row["cosine"] <= 1
        and row["lr"] == 3e-3
        and row["pictures_per_second"] > 0
        and row["memory_mb"] > 50
    )
    lines = history.table(rows=4).splitlines()
    assert lines[0].split()[:2] == ["step", "epoch"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "5", "9", "13", "14"]
    assert len({len(line) for line in lines}) == 1 and "gradient/" not in lines[0]
    assert History.load(tmp_path / "text.jsonl").rows == history.rows
    assert History("text").table() == "step"


def test_accumulated_batches_equal_a_large_one(clip, data, tmp_path):
    changes = {"augmentation": "none", "adapter_init": "xavier"}
    whole = train_image(build(clip, **changes), data, tmp_path / "a", steps=4, batch=6)
    parts = train_image(
        build(clip, **changes), data, tmp_path / "b", steps=4, batch=2, accumulate=3
    )
    assert whole.column("epoch") == parts.column("epoch") == [1, 1, 2, 2]
    for name in ("loss", "detection", "segmentation", "gradient"):
        assert parts.column(name) == pytest.approx(whole.column(name), rel=1e-4)


def test_checkpointing_changes_memory_only(clip, data, tmp_path, monkeypatch):
    plain = train_image(build(clip), data, tmp_path / "a", steps=3)
    calls, original = [], type(clip)._run_block
    monkeypatch.setattr(type(clip), "_run_block", lambda *a: calls.append(1) or original(*a))
    again = train_image(model := build(clip), data, tmp_path / "b", steps=3, checkpointing=True)
    assert again.column("loss") == pytest.approx(plain.column("loss"), rel=1e-6)
    assert len(calls) > 3 * 2 + 2 and not model.clip.checkpointing


def test_kept_views_are_computed_once_and_train_alike(clip, data, tmp_path, monkeypatch):
    """With one view and no augmentation the features are those of every epoch, but for half
    precision.
    """
    still = {"augmentation": "none", "text_steps": 9}
    plain = train_text(build(clip, **still), data, tmp_path / "a")
    calls, original = [], type(clip).dense_features
    monkeypatch.setattr(
        type(clip), "dense_features", lambda *a: calls.append(len(a[1])) or original(*a)
    )
    kept = train_text(build(clip, **still), data, tmp_path / "b", views=1)
    assert sum(calls) == len(data)  # three epochs, each picture once
    assert kept.column("loss") == pytest.approx(plain.column("loss"), rel=2e-3)
    calls.clear()
    train_text(build(clip, augmentation="course", text_steps=12), data, tmp_path / "c", views=2)
    assert sum(calls) == 2 * len(data)
    varied = train_text(build(clip, text_steps=6), data, tmp_path / "d", views=1).column("loss")
    assert varied[3:] != varied[:3]  # the words have learned: only the pictures are the same


def test_what_views_cannot_do_is_told(clip, data, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="not those behind image adapters"):
        train_image(build(clip), data, tmp_path / "a", views=1)
    with pytest.raises(ValueError, match=r"views = 1, Recipe.dense_axis = 'batch'"):
        train_text(build(clip, dense_axis="batch"), data, tmp_path / "a", views=1)
    monkeypatch.setattr(views.psutil, "virtual_memory", lambda: SimpleNamespace(available=1e4))
    with pytest.raises(
        ValueError,
        match=r"views = 3: the features of 12 pictures need 0\.\d GB .* take fewer views",
    ):
        train_text(build(clip), data, tmp_path / "a", views=3)
    with pytest.raises(MismatchError, match="views"):
        monkeypatch.undo()
        train_text(build(clip), data, tmp_path / "e", steps=2)
        train_text(build(clip), data, tmp_path / "e", steps=2, views=1)


def test_epochs_and_options(clip, data, tmp_path):
    history = train_image(build(clip), data, tmp_path / "a", epochs=2, batch=5)
    assert history.column("epoch") == [1, 1, 1, 2, 2, 2]  # 12 pictures: 5, 5 and 2
    assert read_metadata(tmp_path / "a" / "image.safetensors")["recipe"] == RECIPE.replace(
        image_epochs=2, image_steps=None, image_batch=5
    )
    with pytest.raises(ValueError, match="epochs or steps"):
        train_image(build(clip), data, tmp_path / "b", epochs=2, steps=3)
    with pytest.raises(ValueError, match="at least 1"):
        train_image(build(clip), data, tmp_path / "b", steps=0)
    with pytest.raises(ValueError, match="batch = -1: give at least 1"):
        train_image(build(clip), data, tmp_path / "b", batch=-1)
    with pytest.raises(TypeError, match="stepps"):
        train_image(build(clip), data, tmp_path / "b", stepps=3)
    assert not (tmp_path / "b").exists()


def test_on_epoch_and_save_steps(clip, data, tmp_path):
    seen = []

    def look(model, history):
        saved = read_metadata(tmp_path / "text.safetensors")["step"]
        seen.append((history.rows[-1]["step"], saved, len(model.text_anchors(["bolt"]))))

    train_text(build(clip), data, tmp_path, on_progress=look, steps=7)
    assert seen == [(3, 3, 1), (6, 6, 1), (7, 6, 1)]  # the last save follows the last call
    seen.clear()
    train_text(build(clip), data, tmp_path, on_progress=look, steps=7, save_steps=2, resume=False)
    assert [step for step, *_ in seen] == [2, 3, 4, 6, 7]


def test_only_what_a_killed_save_left_is_removed(clip, data, tmp_path):
    left = [".text.safetensors.ab12_xyz", ".text.resume.abcdefgh", ".text.jsonl.01234567"]
    mine = [".text.notes", ".text.safetensors.bak", ".text.jsonl.swp"]
    for name in (*left, *mine):
        (tmp_path / name).write_text("mine")
    train_text(build(clip), data, tmp_path)
    assert sorted(path.name for path in tmp_path.glob(".*")) == sorted([*mine, ".lock"])


def test_a_finished_run_is_not_trained_again(clip, data, tmp_path, capsys):
    first, second = build(clip), build(clip, seed=1)
    rows = train_text(first, data, tmp_path).rows
    history = train_text(second, data, tmp_path)
    assert (
        history.finished and history.rows == rows and "finished before" in capsys.readouterr().out
    )
    assert same(
        weights(second), weights(first) | {k: v for k, v in weights(second).items() if "image" in k}
    )
    assert not list(tmp_path.glob("*.resume"))
    third = build(clip)
    assert train_text(third, data, tmp_path, resume=False).column("loss") == [
        row["loss"] for row in rows
    ]
    assert "steps 0 to 6" in capsys.readouterr().out
    (tmp_path / "text.jsonl").unlink()
    assert train_text(build(clip), data, tmp_path).finished


@pytest.fixture(scope="module")
def folders(clip, data, tmp_path_factory):
    """What a finished stage 1 leaves, and one that Ctrl-C stopped."""
    places = {state: tmp_path_factory.mktemp(state) for state in ("finished", "stopped")}
    assert train_text(build(clip), data, places["finished"]).finished
    stopped = train_text(
        build(clip), data, places["stopped"], lambda *_: signal.raise_signal(signal.SIGINT)
    )
    assert not stopped.finished
    return places


@pytest.mark.parametrize(
    "field, changes",
    [
        (r"recipe\.text_lr is 0.003 in the file, 0.1 here", {"recipe": {"text_lr": 0.1}}),
        (r"recipe\.text_steps is 6 in the file, 9 here", {"options": {"steps": 9}}),
        (r"backbone\.fingerprint", {"clip": 1}),
        (
            r"data is '\w+, size None, seed 0' in the file, '\w+, size None, seed 1' here",
            {"options": {"seed": 1}},
        ),
        (r"data is", {"classes": ["cup"]}),
    ],
)
@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_another_run_in_the_folder_is_refused(clip, data, tmp_path, folders, field, changes, state):
    shutil.copytree(folders[state], tmp_path, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    if "clip" in changes:
        torch.manual_seed(1)
        clip = load_clip(tiny.config(), weights=None)
    model = build(clip, seed=2, **changes.get("recipe", {}))
    own = weights(model)
    with pytest.raises(MismatchError, match=f"{field}.*start over with resume=False"):
        train_text(
            model,
            data.filter(classes=changes.get("classes")),
            tmp_path,
            **changes.get("options", {}),
        )
    assert same(weights(model), own) and before == {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    }


def test_stage_2_takes_the_folders_text_adapters(clip, data, tmp_path):
    first, second, third = build(clip), build(clip, seed=1), build(clip, seed=2)
    train_text(first, data, tmp_path)
    train_image(second, data, tmp_path)
    assert same(second.text_adapter.state_dict(), first.text_adapter.state_dict())
    train_text(third, data, tmp_path, steps=9, resume=False)
    # stage 2 was trained against other anchors
    with pytest.raises(MismatchError, match="text adapters"):
        train_image(second, data, tmp_path)
    # no text adapters there: those of the model, saved along
    train_image(third, data, tmp_path / "new")
    load_adapter(tmp_path / "new" / "text.safetensors", second)
    assert same(second.text_adapter.state_dict(), third.text_adapter.state_dict())
    with pytest.raises(FileNotFoundError, match=r"text\.safetensors is unfinished.*resume=False"):
        train_text(second, data, tmp_path / "new")


def test_without_text_training(clip, data, tmp_path, capsys):
    model = build(clip, text_steps=None, text_epochs=0)
    assert (
        train_text(model, data, tmp_path).finished and "nothing to train" in capsys.readouterr().out
    )
    assert (
        train_image(model, data, tmp_path).finished and not (tmp_path / "text.safetensors").exists()
    )
    assert train_image(build(clip, text_steps=0, seed=1), data, tmp_path / "b").finished
    # its unused text adapters differ: not a mismatch
    other = build(clip, text_steps=None, text_epochs=0, seed=1)
    assert train_image(other, data, tmp_path).finished
    with pytest.raises(ValueError, match=r"Recipe\.text_steps or text_epochs is 0"):
        train_text(model, data, tmp_path, steps=3)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("moment", [0, 1, 2, 4, 11, 18, 19])
def test_killed_at_any_write_and_started_again(clip, data, tmp_path, monkeypatch, moment):
    """The k-th rename never happens; the second call ends where an undisturbed one does, bit for
    bit.
    """
    whole = build(clip)
    rows = train_image(whole, data, tmp_path / "whole").column("loss")
    count, original = iter(range(99)), keep.os.replace

    def replace(source, target):
        if next(count) == moment:
            raise Killed
        original(source, target)

    monkeypatch.setattr(keep.os, "replace", replace)
    with pytest.raises(Killed):
        train_image(build(clip), data, tmp_path / "cut", save_steps=2)
    monkeypatch.undo()
    model = build(clip)
    history = train_image(model, data, tmp_path / "cut", save_steps=2)
    assert same(weights(model), weights(whole)) and history.column("loss") == rows
    left = sorted(path.name for path in (tmp_path / "cut").iterdir() if path.name != ".lock")
    assert left == ["image.jsonl", "image.safetensors", "text.safetensors"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_interrupt_keeps_what_was_learned(clip, data, tmp_path, accumulate, capsys):
    whole = build(clip)
    train_image(whole, data, tmp_path / "whole", accumulate=accumulate)
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(model, history):
        if len(history.rows) < 4:
            signal.raise_signal(signal.SIGINT)

    history = train_image(
        build(clip), data, tmp_path / "cut", on_progress=interrupt, accumulate=accumulate
    )
    assert (
        not history.finished
        and 0 < len(history.rows) < 6
        and signal.getsignal(signal.SIGINT) is handler
    )
    assert f"stopped after step {len(history.rows)}" in capsys.readouterr().out
    model = build(clip)
    history = train_image(model, data, tmp_path / "cut", accumulate=accumulate)
    assert history.column("step") == [1, 2, 3, 4, 5, 6]
    assert same(weights(model), weights(whole))


def test_a_callback_may_interrupt_too(clip, data, tmp_path):
    def interrupt(model, history):
        raise KeyboardInterrupt

    history = train_text(build(clip), data, tmp_path, on_progress=interrupt)
    # one step after the epoch
    assert len(history.rows) == read_metadata(tmp_path / "text.safetensors")["step"] == 4


@pytest.mark.parametrize(
    "change, step, message",
    [
        (lambda part: part * float("nan"), 5, "text stage, step 5, not taken: segmentation is nan"),
        (lambda part: part * float("inf"), 5, "text stage, step 5, not taken: segmentation is inf"),
        (
            lambda part: part * 1e9,
            24,
            r"text stage, step 24, not taken: the gradient of text_adapter\.0 explodes",
        ),
    ],
)
def test_a_bad_step_is_not_taken(clip, data, tmp_path, monkeypatch, change, step, message):
    whole = build(clip, text_steps=step + 1)
    train_text(whole, data, tmp_path / "whole")
    spoil(monkeypatch, change, step)
    model = build(clip, text_steps=step + 1)
    with pytest.raises(TrainingError, match=message):
        train_text(model, data, tmp_path / "cut")
    assert read_metadata(tmp_path / "cut" / "text.safetensors")["step"] == step - 1
    kept = build(clip, text_steps=step + 1)
    load_adapter(tmp_path / "cut" / "text.safetensors", kept)
    assert same(weights(kept), weights(model)) and all(
        p.isfinite().all() for p in kept.parameters()
    )
    monkeypatch.undo()
    # the cause is gone: the same weights as without the accident
    train_text(model, data, tmp_path / "cut")
    assert same(weights(model), weights(whole))


def test_a_gradient_that_is_not_finite_is_named(clip, data, tmp_path):
    model = build(clip)
    model.image_adapter["seg_proj"][1].fc.bias.register_hook(lambda grad: grad * float("inf"))
    with pytest.raises(
        TrainingError, match=r"step 1, not taken: the gradient of image_adapter\.seg_proj\.1 is inf"
    ):
        train_image(model, data, tmp_path)


def test_a_loss_that_does_not_reach_a_module_is_named(clip, data, tmp_path, monkeypatch):
    original = AdaptedCLIP.pool
    monkeypatch.setattr(AdaptedCLIP, "pool", lambda self, tokens: original(self, tokens).detach())
    with pytest.raises(
        TrainingError, match=r"step 21, .* image_adapter\.det_proj has vanished: below 1e-12 for 20"
    ):
        train_image(build(clip), data, tmp_path, steps=30)


@pytest.mark.parametrize("when", [1, 4])
def test_a_frozen_weight_that_moves_is_named(clip, data, tmp_path, monkeypatch, when):
    own = load_clip(tiny.config(), weights=None)
    own.load_state_dict(clip.state_dict())
    model, original, calls = build(own), AdaptedCLIP.forward, []

    def forward(self, images, names=None):
        calls.append(1)
        if len(calls) == when:
            self.clip.visual.proj.data[3, 4] += 1e-6
        return original(self, images, names)

    monkeypatch.setattr(AdaptedCLIP, "forward", forward)
    with pytest.raises(
        TrainingError, match=r"step \d: frozen weight clip\.visual\.proj moved"
    ) as error:
        train_image(model, data, tmp_path, save_steps=1)
    assert f"step {when}:" in str(error.value)
    assert when == 1 or read_metadata(tmp_path / "image.safetensors")["step"] == when - 1


def test_weights_that_are_spoiled_before_the_start_are_named(clip, data, tmp_path):
    model = build(clip)
    with torch.no_grad():
        model.text_adapter[1].fc.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"step 0: text_adapter\.1\.fc\.weight is not finite"):
        train_text(model, data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_data_that_cannot_teach_are_refused(clip, data, tmp_path):
    for wrong in (data.filter(labels=0), data.filter(labels=1), data.view([])):
        with pytest.raises(ValueError, match=rf"{len(wrong)} pictures .*normal and abnormal"):
            train_text(build(clip), wrong, tmp_path / "out")
    with pytest.raises(ValueError, match="masks"):
        train_image(build(clip), open_dataset(data.root, image_level=True), tmp_path / "out")
    broken = draw(tmp_path / "broken")
    (tmp_path / "broken" / "cup1_mask.png").write_bytes(b"")
    with pytest.raises(DataError, match="cup1_mask"):
        train_image(build(clip), broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert train_image(
        build(clip), data, tmp_path / "ones", batch=1
    ).finished  # batches of one label are fine


def test_adapters_behind_the_last_level_stay(clip, data, tmp_path):
    model = build(clip, levels=(1,), image_blocks=2)
    before = weights(model)
    train_image(model, data, tmp_path)
    still = {name for name in model.trainable("image") if "layer_adapters.1." in name}
    assert still and moved(before, weights(model)) == set(model.trainable("image")) - still


@pytest.mark.parametrize(
    "device, capability, precision",
    [
        ("cpu", 0, "no"),
        ("mps", 0, "no"),
        ("cuda", 8, "bf16"),
        ("cuda", 9, "bf16"),
        ("cuda", 7, "fp16"),
    ],
)
def test_precision_follows_the_device(monkeypatch, device, capability, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (capability, 5))
    state = {
        True: SimpleNamespace(device=torch.device("cpu")),
        False: SimpleNamespace(device=torch.device(device)),
    }
    monkeypatch.setattr(processes, "PartialState", lambda cpu: state[bool(cpu)])
    monkeypatch.setattr(processes, "Accelerator", lambda **chosen: chosen)
    assert processes.choose_accelerator() == {"mixed_precision": precision, "cpu": device == "cpu"}
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert processes.choose_accelerator() == {"mixed_precision": "no", "cpu": True}


def test_half_precision_trains_full_precision_weights(clip, data, tmp_path, monkeypatch, capsys):
    """bf16 autocast, which the CPU can run as well: close to fp32, weights kept in fp32."""
    exact = train_image(build(clip), data, tmp_path / "a", steps=5)
    AcceleratorState._reset_state(True)
    monkeypatch.setattr(
        runs, "choose_accelerator", lambda: Accelerator(mixed_precision="bf16", cpu=True)
    )
    try:
        for stage, run in RUN.items():
            model = build(clip)
            half = run(model, data, tmp_path / f"b_{stage}", steps=5)
            assert (
                all(p.dtype == torch.float32 for p in model.parameters())
                and "bf16" in capsys.readouterr().out
            )
    finally:
        AcceleratorState._reset_state(True)
    assert half.column("loss") == pytest.approx(exact.column("loss"), rel=0.05)
    assert half.column("loss") != exact.column("loss")


def test_bf16_is_asked_for_told_and_close(clip, data, tmp_path, capsys):
    """By an option, in a process that trained in fp32 before; weights stay fp32."""
    exact = train_image(build(clip), data, tmp_path / "a", steps=5)
    model = build(clip)
    half = train_image(model, data, tmp_path / "b", steps=5, bf16=True)
    said = capsys.readouterr().out
    assert said.index("cpu x 1, fp32") < said.index("cpu x 1, bf16")
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert half.column("loss") == pytest.approx(exact.column("loss"), rel=0.05)
    assert half.column("loss") != exact.column("loss")


def test_a_judge_in_bf16_gives_close_maps_in_fp32(clip, data, monkeypatch):
    model = build(clip)
    judge = AnomalyDetector(model)
    pictures = [data[i].image for i in range(3)]
    exact = judge.predict(pictures, "bolt")
    monkeypatch.setattr(matmul, "cost", lambda: 0.5)
    matmul.judge_in_bf16(model)
    found = judge.predict(pictures, "bolt")
    for one, two in zip(exact, found, strict=True):
        gap = np.abs(one.map - two.map).max() / np.square(one.map).mean() ** 0.5
        assert two.map.dtype == np.float32 and 0 < gap < 0.1
    images = torch.as_tensor(pictures[0]).movedim(-1, 0)[None]
    features = model(model.preprocess(images))
    assert {level.dtype for level in features.levels} == {torch.float32}


def test_bf16_without_such_products_is_told(clip, monkeypatch):
    monkeypatch.setattr(matmul, "cost", lambda: 2.5)
    with pytest.warns(UserWarning, match=r"2\.5 times as long as in fp32.*leave bf16 out"):
        matmul.judge_in_bf16(build(clip))


def test_overflow_in_half_precision_is_waited_for():
    """Under fp16 the scaler leaves out steps whose gradients are not finite; twenty-one in a row
    are an error.
    """
    weights = {"text_adapter.0": torch.zeros(1)}
    judge = guards.Guard("text", weights, weights, scaled=True)
    row = {"step": 7, "loss": 1.0, "gradient/text_adapter.0": float("inf")}
    for _ in range(20):
        judge.judge(row, [])
    with pytest.raises(
        TrainingError, match=r"step 7, not taken: the gradient of text_adapter\.0 is inf"
    ):
        judge.judge(row, [])
    judge.judge(row | {"gradient/text_adapter.0": 1.0}, [])
    assert judge.overflows == 0
