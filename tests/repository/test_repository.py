"""The ground itself: ranges, pins, addresses, sizes, commands, and what `import aaclip_lite` does."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import aaclip_lite as aa

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA_NAMES = {"open_clip_torch": "open-clip-torch", "torch": "pytorch"}
SIZE_LIMITS = {".safetensors": 16 * 2**20}  # everything else: SIZE_LIMIT
SIZE_LIMIT = 1_500_000
REGISTRIES = r"pypi\.org|pythonhosted\.org|anaconda\.(org|com)|pytorch\.org/whl|npmjs\.|index-url[= ]+\w+:|find[-]links"
# what may import a library: a file of the core, or a ring
ROOMS = {
    "open_clip": {"load.py", "course"},
    "matplotlib": {"course", "lab"},
    "ipywidgets": {"course"},
}


def requirements(extra=None):
    project = PROJECT["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def repository_files():
    """What git keeps or would keep: ignored files are not looked at."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts():
    for path in repository_files():
        if b"\0" not in path.read_bytes()[:4096]:
            yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", [None, "lab", "export", "dev"])
def test_every_dependency_has_a_lower_bound_and_no_cap(extra):
    for name, requirement in requirements(extra).items():
        assert [part.operator for part in requirement.specifier] == [">="], (
            f"{name}: state a cap's reason, then here"
        )
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_lab_and_test_tools_are_only_in_their_extras():
    runtime, lab, dev = (set(requirements(extra)) for extra in (None, "lab", "dev"))
    assert {"jupyterlab", "ipykernel", "scikit-learn"} == lab  # chapter 10 shows its photographs
    assert {"pytest", "pytest-xdist", "nbval", "ruff", "import-linter", "codespell"} <= dev
    assert not runtime & (lab | dev)
    assert requirements()["ipywidgets"].specifier.contains("7.7.1")


def test_conda_environment_has_the_same_ranges():
    lines = re.findall(r"^  - ([\w-]+)(\S*)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    listed = {
        name: bounds for name, bounds in lines if name not in ("conda-forge", "nodefaults", "pip")
    }
    asked = requirements() | requirements("lab")
    expected = {
        CONDA_NAMES.get(name, name): str(requirement.specifier)
        for name, requirement in asked.items()
    }
    assert listed == {"python": PROJECT["project"]["requires-python"]} | expected


def test_lock_holds_every_dependency_hashed_within_range_and_without_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "index" not in re.sub(
        r"#\s+via.*|^[\w.-]+==.*", "", text, flags=re.MULTILINE
    )
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    pins = {}
    for entry in entries:
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", entry).groups()
        pins.setdefault(name, []).append(version)
    for extra in (None, "lab", "export", "dev"):
        for name, requirement in requirements(extra).items():
            versions = pins.get(canonicalize_name(name))
            assert versions and all(map(requirement.specifier.contains, versions)), (
                f"{name}: run `make lock`"
            )


def test_no_file_names_a_package_index():
    found = [
        (str(path), match[0]) for path, text in texts() if (match := re.search(REGISTRIES, text))
    ]
    assert not found
    assert re.search(REGISTRIES, "pip install --index-" + "url https:")


def test_files_are_small():
    sizes = {path: path.stat().st_size for path in repository_files()}
    assert ROOT / "pyproject.toml" in sizes
    assert not {
        str(path): size
        for path, size in sizes.items()
        if size > SIZE_LIMITS.get(path.suffix, SIZE_LIMIT)
    }


@pytest.mark.parametrize(
    "name", ["uv.lock", ".venv/bin/python", "data/factory/train/x.png", "runs/a/text.safetensors"]
)
def test_generated_files_are_ignored(name):
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "name", ["data/lite_clip/x.safetensors", "data/checkpoints/x.safetensors", "data/README.md"]
)
def test_shipped_files_are_not_ignored(name):
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT).returncode == 1


def make(*words, folder=ROOT):
    """Run make as a person would, not as part of the `make test` that may run this."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_make_lists_every_target():
    phony = re.search(r"^\.PHONY: help (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[
        1
    ].split()
    assert [line.split()[1] for line in make().stdout.splitlines()] == phony


def test_make_test_runs_everything_and_ci_runs_make_test():
    planned = make("-n", "test").stdout
    for part in (
        "ruff check .",
        "lint-imports",
        "codespell",
        "-n auto --dist loadscope --nbval-lax",
        "ruff format --check",
        "mypy",
        " tests notebooks",
    ):
        assert part in planned
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_a_failing_step_says_which_and_the_remedy(tmp_path):
    (tmp_path / "Makefile").write_text(
        f"include {ROOT / 'Makefile'}\nbroken:\n\t$(call step,one,exit 3,turn it off)\n"
    )
    done = make("broken", folder=tmp_path)
    assert done.returncode and "== one" in done.stdout
    assert "FAILED: one" in done.stderr and "remedy: turn it off" in done.stderr


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_stays_in_its_rooms(library):
    users = set()
    for path in (ROOT / "aaclip_lite").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            )
            room = path.relative_to(ROOT / "aaclip_lite").parts[0]
            users |= {room for name in names if name.split(".")[0] == library}
    assert users <= ROOMS[library]
    assert users or library != "open_clip", "this test no longer sees imports"


def python(code, **options):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light():
    seen = json.loads(
        python("import aaclip_lite, json, sys; print(json.dumps(list(sys.modules)))", cwd=ROOT)
    )
    assert "aaclip_lite" in seen
    assert not {name for name in seen if name.startswith("aaclip_lite.")}
    assert not {"torch", "numpy", "open_clip", "matplotlib"} & set(seen)


def test_every_public_name_can_be_used():
    assert (
        {"load_clip", "Recipe", "AdaptedCLIP", "evaluate", "losses", "doctor"}
        <= set(aa.__all__)
        <= set(dir(aa))
    )
    missing = [name for name in aa.__all__ if getattr(aa, name, None) is None]
    assert not missing


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"no 'load_clap'; it has .*load_clip"):
        aa.load_clap  # noqa: B018
