"""__main__.py: each command end to end on a tiny CLIP, exit codes, errors in one line, and a light
start.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from aaclip_lite import commands
from aaclip_lite.__main__ import main
from aaclip_lite.checkpoint import read_metadata
from aaclip_lite.commands import _shared
from aaclip_lite.evaluation import NAMES
from aaclip_lite.load import load_clip
from aaclip_lite.world import factory
from aaclip_lite.world.clip import run as pretraining
from tests.core.test_evaluation import CONFIG, write

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A CLIP on disk, training and test pictures, and a run that was trained on them by the
    command.
    """
    place = tmp_path_factory.mktemp("main")
    torch.manual_seed(0)
    (place / "clip.json").write_text(json.dumps(CONFIG))
    torch.save(load_clip(CONFIG, weights=None).state_dict(), place / "clip.pt")
    write(place / "train", ("cup", "bolt"), 10)
    write(place / "test", ("bottle", "carpet"), 3)
    assert train(place, "run") == 0
    return place


def clip_of(place):
    return [
        "--clip",
        str(place / "clip.json"),
        "--weights",
        str(place / "clip.pt"),
        "--device",
        "cpu",
    ]


def train(place, out, *more):
    short = ["--recipe.text-steps", "3", "--recipe.image-steps", "4", "--recipe.image-batch", "4"]
    return main(
        [
            "train",
            "--data",
            str(place / "train"),
            "--out",
            str(place / out),
            *clip_of(place),
            *short,
            *more,
        ]
    )


def run(capsys, *words):
    """(exit code, what was printed, what went to the error stream)"""
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_without_a_command_all_are_listed(capsys):
    listed = run(capsys)
    assert listed == run(capsys, "--help") and listed[0] == 0
    for name in commands.names():
        assert f"\n  {name} " in listed[1]
    assert "\n  bench " in run(capsys, "lab")[1]


@pytest.mark.parametrize("name", [*commands.names()[:-1], "lab pretrain"])
def test_every_command_explains_itself(capsys, name):
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and f"usage: python -m aaclip_lite {name}" in text
    if " " not in name:
        about = commands.find(name).__doc__
        assert about.split("\n")[0].split(",")[0] in " ".join(text.split())
    assert "MISSING" not in text


def test_help_and_recipes_do_not_wait_for_heavy_imports():
    code = "import sys; from aaclip_lite.__main__ import main; main(['--help']); main(['recipes']);"
    code += "print({'torch', 'numpy', 'matplotlib', 'open_clip'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_predict_imports_only_what_a_verdict_needs(tmp_path):
    """Each of these takes longer to import than the picture takes to judge."""
    Image.new("RGB", (32, 32), "grey").save(tmp_path / "part.png")
    code = "import sys; from aaclip_lite.__main__ import main; main(sys.argv[1:]);"
    code += "print({'open_clip', 'torchvision', 'timm', 'kornia', 'scipy', 'matplotlib',"
    code += "'torch._dynamo', 'huggingface_hub'} & set(sys.modules))"
    call = [sys.executable, "-c", code, "predict", str(tmp_path / "part.png")]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert "no verdict" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"


def test_recipes(capsys):
    code, text, _ = run(capsys, "recipes")
    rows = json.loads(run(capsys, "recipes", "--json")[1])
    assert code == 0 and all(row["field"] in text and row["meaning"] in text for row in rows)
    line = next(line for line in text.splitlines() if line.startswith("text_lr "))
    assert line.split()[1:4] == ["0.003", "1e-05", "1e-05"]
    fewer = json.loads(run(capsys, "recipes", "--differing", "--json")[1])
    assert 0 < len(fewer) < len(rows) and "betas" not in [row["field"] for row in fewer]


# ---- train, eval, predict, doctor ----------------------------------------------------------------


def test_train_leaves_a_calibrated_detector_and_goes_on_where_it_was(capsys, place):
    files = {path.name for path in (place / "run").iterdir()}
    assert {
        "text.safetensors",
        "image.safetensors",
        "detector.json",
        "text.png",
        "image.png",
    } <= files
    noted = json.loads((place / "run" / "detector.json").read_text())
    assert (
        noted["backbone"]["source"] == str(place / "clip.json")
        and noted["calibration"]["*"]["pictures"] == 20
    )
    before = load_file(place / "run" / "image.safetensors")
    capsys.readouterr()
    assert train(place, "run") == 0
    assert "finished before" in capsys.readouterr().out
    assert read_metadata(place / "run" / "image.safetensors")["step"] == 4
    after = load_file(place / "run" / "image.safetensors")
    assert before.keys() == after.keys() and all(
        torch.equal(before[name], after[name]) for name in after
    )


def test_train_takes_presets_recipe_fields_and_few_shots(capsys, place):
    words = ["--preset", "released", "--recipe.levels", "2", "4", "--shots", "4", "--stage", "text"]
    assert train(place, "released", *words) == 0
    text = capsys.readouterr().out
    assert "8 pictures (4 normal)" in text and "segmentation" in text
    recipe = read_metadata(place / "released" / "text.safetensors")["recipe"]
    assert (recipe.name, recipe.levels, recipe.text_steps, recipe.adapter) == (
        "released",
        (2, 4),
        3,
        "linear",
    )
    assert not (place / "released" / "detector.json").exists()


def test_eval_prints_a_table_or_json_and_writes_a_report(capsys, place):
    words = ["eval", place / "run", "--data", place / "test", "--rounds", 3]
    code, text, _ = run(capsys, *words, "--probe-data", place / "train", "--out", place / "report")
    assert code == 0 and "MEAN" in text and "baseline: linear_probe" in text
    found = json.loads(run(capsys, *words, "--json")[1])
    assert set(found["mean"]) == set(NAMES) and set(found["classes"]) == {"bottle", "carpet"}
    assert (
        set(found["baselines"]["frozen"]) == set(NAMES) and "linear_probe" not in found["baselines"]
    )
    assert {path.name for path in (place / "report").iterdir()} == {
        "report.json",
        "report.md",
        "best.png",
        "worst.png",
        "false_alarms.png",
        "classes.png",
    }
    alone = json.loads(
        run(capsys, *words, "--json", "--no-baselines", "--stage", "text", "--shots", 2)[1]
    )
    assert (
        alone["baselines"] == {}
        and alone["about"]["stage"] == "text"
        and len(alone["pictures"]) == 4
    )
    frozen = json.loads(
        run(capsys, "eval", "frozen", *words[2:], "--json", "--no-baselines", *clip_of(place))[1]
    )
    assert frozen["about"]["stage"] == "frozen" and frozen["mean"] != found["mean"]


def test_predict_gives_verdicts(capsys, place):
    part, words = (
        place / "test" / "bottle1.png",
        ["--detector", place / "run", "--product", "bottle"],
    )
    code, text, _ = run(capsys, "predict", part, *words)
    assert code == 0 and text.startswith("no verdict") and "give 5 sound parts" in text
    code, text, _ = run(capsys, "predict", part, place / "test", *words, "--any-product")
    lines = [line for line in text.splitlines() if "threshold" in line]
    # masks beside their pictures are left out; the part, named twice, is judged once
    pictures = [p for p in (place / "test").glob("*.png") if not p.stem.endswith("_mask")]
    assert code == 0 and len(lines) == len(pictures) and str(part) in lines[0]
    assert not any("_mask" in line for line in lines)
    rows = json.loads(run(capsys, "predict", part, *words, "--json", "--any-product")[1])
    about = {"path", "file", "product", "detector"}
    assert set(rows[0]) == {"score", "threshold", "is_anomalous", "why"} | about
    verdict = "ANOMALOUS" if rows[0]["is_anomalous"] else "normal"
    assert lines[0].startswith(verdict) and f"{rows[0]['score']:.2f}" in lines[0]
    for threshold, expected in ((-99.0, 1), (99.0, 0)):
        copy = shutil.copytree(place / "run", place / f"run{expected}")
        noted = json.loads((copy / "detector.json").read_text())
        noted["calibration"]["*"]["threshold"] = threshold
        (copy / "detector.json").write_text(json.dumps(noted))
        asked = ["predict", part, "--detector", copy, "--any-product"]
        assert run(capsys, *asked, "--fail-on-anomaly")[0] == expected
        assert run(capsys, "predict", part, "--detector", copy)[0] == 0
    assert run(capsys, "predict", part, *words, "--out", place / "heat")[0] == 0
    name = "_".join([*part.parts[-3:-1], "bottle1.png.heat.png"])
    with Image.open(place / "heat" / name) as heat:
        assert heat.width > heat.height
    own = json.loads(
        run(capsys, "predict", part, *words, "--json", "--calibrate", place / "test")[1]
    )
    assert own[0]["threshold"] != rows[0]["threshold"]
    taught = run(capsys, "predict", part, *words, "--references", place / "test")[1]
    assert taught.startswith(("ANOMALOUS", "normal")) and "line for bottle from" in taught
    seen = [*words, "--json", "--references", place / "test"]
    often, once = (
        json.loads(run(capsys, "predict", part, *seen, *n)[1]) for n in ((), ("--readings", 1))
    )
    assert often[0]["score"] != once[0]["score"]
    for wrong, said in (((), "with --references"), (("--references", place / "test"), "from 1 to")):
        code, _, error = run(capsys, "predict", part, *words, *wrong, "--readings", 0)
        assert code == 2 and "--readings" in error and said in error
    other = json.loads(run(capsys, "predict", part, *words, "--json", "--words", "green bottle")[1])
    assert other[0]["score"] != rows[0]["score"]


def test_doctor_exits_1_where_something_is_wrong(capsys, place, tmp_path):
    code, text, _ = run(capsys, "doctor", place / "train")
    assert code == 0 and "40 pictures" in text
    code, text, _ = run(capsys, "doctor", place / "run", "--json")
    found = json.loads(text)
    kinds = ["checkpoint", "checkpoint", "detector", "log", "anchors"]
    assert [each["kind"] for each in found] == kinds
    assert not any(each["verdict"] in ("broken", "wrong backbone") for each in found)
    assert code == int(not all(each["healthy"] for each in found))
    (tmp_path / "broken.safetensors").write_bytes(b"no weights at all")
    code, text, _ = run(capsys, "doctor", tmp_path / "broken.safetensors", place / "train")
    assert code == 1 and "broken" in text and "40 pictures" in text


def test_doctor_looks_at_the_words_of_a_run_whose_stage_2_has_not_begun(capsys, place):
    assert train(place, "words", "--stage", "text") == 0
    text = run(capsys, "doctor", place / "words", *clip_of(place))[1]
    assert "anchors of 3 classes" in text and "has not moved them" not in text


# ---- the others ----------------------------------------------------------------------------------


def test_demo_without_good_parts_gives_no_verdicts(capsys, place, tmp_path):
    given = ("--detector", place / "run", "--good-parts", 0)
    code, text, _ = run(capsys, "demo", "--out", tmp_path / "demo.png", *given)
    assert code == 0 and "it remembers 0 sound parts" in text
    rows = [line for line in text.splitlines() if "no verdict" in line]
    assert len(rows) == 20 and {row.split()[0] for row in rows} >= {"bottle", "zipper", "metal_nut"}
    assert sum(row.split()[1] == "none" for row in rows) == 5
    with Image.open(tmp_path / "demo.png") as sheet:
        assert min(sheet.size) > 600


def test_demo_with_a_detector(capsys, place, tmp_path):
    code, text, _ = run(
        capsys, "demo", "--out", tmp_path / "demo.png", "--detector", place / "run", "--seed", 2
    )
    assert code == 0 and f"Maps of detector {place / 'run'}; it remembers 16 sound parts" in text
    assert "no verdict" not in text and "peak on the defect in" in text.splitlines()[-1]


def test_factory_and_pretrain_pass_their_options(capsys, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(factory, "ensure", lambda *given: calls.append(given) or tmp_path)
    assert (
        run(capsys, "factory", "--out", tmp_path, "--size", 64, "--splits", "val", "test")[0] == 0
    )
    assert calls == [("val", str(tmp_path), 64), ("test", str(tmp_path), 64)]
    monkeypatch.setattr(pretraining, "run", calls.append)
    assert run(capsys, "lab", "pretrain", "--minutes", 3, "--out", "x")[0] == 0
    assert (calls[-1].minutes, calls[-1].out) == (3, "x")


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, message",
    [
        (["predict"], "name at least one file or folder"),
        (["predict", "gone.png"], "gone.png: no such picture"),
        (["eval", "runs/none"], "runs/none is no folder here"),
        (["eval", "--data", "gone"], "gone: no such folder"),
        (["doctor"], "name at least one file or folder"),
        (["doctor", "gone"], "gone: no such folder"),
        (["train", "--data", "gone"], "gone: no such folder"),
        (["train", "--shots", "3"], "even number"),
        (["demo", "--clip", "no-such-clip"], "'no-such-clip' is not a source"),
        (["sing"], "no command 'sing'"),
    ],
)
def test_errors_of_the_user_are_one_message_and_exit_2(
    capsys, place, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    words = words + (clip_of(place) if words[0] == "train" else [])
    words = ["eval", str(place / "run"), *words[1:]] if words[:2] == ["eval", "--data"] else words
    words = [*words, "--data", str(place / "train")] if "--shots" in words else words
    code, _, errors = run(capsys, *words)
    assert (
        code == 2
        and errors.startswith("error: ")
        and message in errors
        and "Traceback" not in errors
    )


def test_every_set_of_the_factory_can_be_named():
    assert sorted(_shared.FACTORY) == sorted(factory.SPLITS)


def test_train_takes_a_variant_and_a_base_and_eval_judges_it(capsys, place):
    words = ("--variant", "cross_attention", "--base", str(place / "run"))
    assert train(place, "crossed", *words) == 0
    printed = capsys.readouterr().out
    assert "begins with the adapters of" in printed and "image_attention.q_proj.weight" in printed
    said = read_metadata(place / "crossed" / "image.safetensors")["variant"]
    assert said == {"name": "cross_attention", "version": "v3", "heads": 8}
    assert train(place, "crossed", *words) == 0
    assert "finished before" in capsys.readouterr().out
    assert train(place, "crossed", "--variant", "cross_attention") == 2  # another start
    assert "Choose another out folder" in capsys.readouterr().err
    code, text, _ = run(capsys, "eval", place / "crossed", "--data", place / "test")
    assert code == 0 and "pixel" in text
    words = ("--base", str(place / "run"), "--stage", "image")
    assert train(place, "onwards", *words) == 0  # without a variant: training goes on
    assert "begins with the adapters of" in capsys.readouterr().out
    assert train(place, "other", *words, "--recipe.text-mix", "0.7") == 2
    assert "take a run of the method with this recipe" in capsys.readouterr().err
    assert train(place, "onwards", "--base", str(place / "nowhere")) == 2
    assert "holds no text.safetensors" in capsys.readouterr().err


def test_export_keeps_what_predict_was_told(capsys, place):
    part = place / "test" / "bottle1.png"
    told = ("--product", "bottle", "--references", place / "test")
    now = run(capsys, "predict", part, *told, "--detector", place / "run", "--json")[1]
    code, text, _ = run(
        capsys, "export", *told, "--detector", place / "run", "--out", place / "kept"
    )
    assert code == 0 and "bottle" in text
    later = run(
        capsys, "predict", part, "--product", "bottle", "--detector", place / "kept", "--json"
    )
    ((kept,), (told_now,)) = json.loads(later[1]), json.loads(now)
    assert kept["score"] == pytest.approx(told_now["score"], abs=1e-2)  # kept in half precision
    assert kept["threshold"] == told_now["threshold"] and kept["is_anomalous"] is not None
    code, _, errors = run(
        capsys, "export", "--product", "bottle", "--out", place / "x", "--references", "no"
    )
    assert code == 2 and "--references no: no such folder" in errors


def test_a_folder_without_masks_is_judged_by_whole_pictures(capsys, place):
    for number in range(6):
        source = place / "test" / f"bottle{number}.png"
        target = place / "plain" / ("good", "chipped")[number % 2] / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    words = ("eval", place / "run", "--data", place / "plain", "--no-baselines")
    assert "without a mask" in run(capsys, *words)[2]
    code, text, _ = run(capsys, *words, "--image-level", "--class-name", "bottle")
    assert code == 0 and "bottle" in text
    assert run(capsys, "doctor", place / "plain", "--image-level", "--allow", "duplicate")[0] == 0


@pytest.mark.parametrize(
    "words", [["eval", "--nonsense", "1"], ["train", "--recipe.text-mix", "2"]]
)
def test_options_that_cannot_be_exit_2(capsys, words):
    code, _, errors = run(capsys, *words)
    assert (
        code == 2
        and len(errors.splitlines()) == 1
        and "--help" in errors
        and ("nonsense" in errors or "Recipe.text_mix = 2.0" in errors)
    )


def test_debugging_shows_where_an_error_arose(monkeypatch):
    monkeypatch.setenv("AACLIP_LITE_DEBUG", "1")
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        main(["predict", "gone.png"])


def test_an_interrupt_exits_130(capsys, monkeypatch):
    def interrupt(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(factory, "ensure", interrupt)
    assert run(capsys, "factory")[0] == 130


def test_eval_leaves_printing_to_the_first_process(capsys, place, monkeypatch):
    state = SimpleNamespace(is_main_process=False, device="cpu")
    monkeypatch.setattr("aaclip_lite.service.processes.processes", lambda: state)
    code, text, _ = run(
        capsys, "eval", place / "run", "--data", place / "test", "--no-baselines", "--rounds", 1
    )
    assert (code, text) == (0, "")
