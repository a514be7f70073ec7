"""The wheel, installed alone in an empty folder, works without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import aaclip_lite

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder into which the wheel was unpacked: for a wheel of plain Python that is what installing
    does.
    """
    built, target = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.iterdir()
    assert wheel.name == f"aaclip_lite-{aaclip_lite.__version__}-py3-none-any.whl"
    zipfile.ZipFile(wheel).extractall(target)
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Run code beside nothing but the installed wheel; its first printed line must be where the
    package lies.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "AACLIP_LITE_CACHE": str(tmp_path / "cache"),
    }

    def python(code):
        code = f"import aaclip_lite as aa; print(aa.__file__)\n{code}"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        place, *lines = done.stdout.splitlines()
        assert place == str(installed / "aaclip_lite" / "__init__.py")
        return lines

    return python


def test_the_package_comes_from_the_wheel(run, tmp_path):
    code = "print(aa.__version__); print(aa.environment.generated_path('factory')); print(aa.environment.CHECKOUT)"
    assert run(code) == [aaclip_lite.__version__, str(tmp_path / "cache" / "factory"), "None"]


def test_the_wheel_holds_code_shipped_data_and_nothing_else(installed):
    files = [path.relative_to(installed) for path in installed.rglob("*") if path.is_file()]
    assert {path.parts[0] for path in files} == {
        "aaclip_lite",
        f"aaclip_lite-{aaclip_lite.__version__}.dist-info",
    }
    data = {
        path.relative_to("aaclip_lite/_data").as_posix()
        for path in files
        if path.is_relative_to("aaclip_lite/_data")
    }
    detector = {"detector.json", "text.safetensors", "image.safetensors"}
    clip = {"README.md", "config.json", "model.safetensors", "run.json"}
    expected = {f"checkpoints/course/{name}" for name in detector} | {"checkpoints/README.md"}
    # no laboratory's log or sheet
    expected |= {f"lite_clip/{name}" for name in clip}
    studies = [path for path in (ROOT / "data" / "clinic").iterdir() if path.suffix != ".md"]
    expected |= {f"clinic/{path.name}" for path in studies}
    cards = ("deciding.md", "deciding_notes.md")
    assert {name for name in data if not name.endswith(cards)} == expected
    code = ROOT / "aaclip_lite"
    modules = {Path("aaclip_lite") / path.relative_to(code) for path in code.rglob("*.py")}
    assert {path for path in files if path.suffix == ".py"} == modules


def test_the_embedded_model_works_from_the_wheel(run):
    lines = run(
        "import torch; clip = aa.load_clip('lite'); print(tuple(clip.encode_text(['a "
        "bottle']).shape))"
    )
    assert lines[-1].startswith("(1, ")


def test_the_check_of_the_machine_runs_from_the_wheel(run):
    lines = run("print(aa.environment.report())")
    assert lines[-1] == "True", lines
