"""Where the project's files lie, and whether this machine can run the course.

Special: the same calls work in a checkout (shipped and drawn files lie in `data/`) and in an
installed wheel (shipped files lie inside the package, drawn ones in the user's cache; the variable
AACLIP_LITE_CACHE moves the latter).
Use: `data_path("lite_clip")`, `generated_path("factory")`; `python -m
aaclip_lite.files.environment` prints one line a check.
"""

import os
import shutil
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
FREE_GB = 1  # the factory's sets and the course's runs fit


class CheckFailed(RuntimeError):
    """Two arguments: what is wrong, what to do about it."""


def data_path(name: str) -> Path:
    """A shipped file or folder, such as `lite_clip` or `checkpoints`."""
    path = (CHECKOUT / "data" if CHECKOUT else PACKAGE / "_data") / name
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, though shipped. Remedy: restore it with git, or reinstall"
        )
    return path


def generated_path(name: str) -> Path:
    """Where something drawn or computed on first use belongs, such as `factory`; it need not exist
    yet.
    """
    if cache := os.environ.get("AACLIP_LITE_CACHE"):
        return Path(cache).expanduser().absolute() / name
    return (CHECKOUT / "data" if CHECKOUT else Path.home() / ".cache" / "aaclip_lite") / name


class Scale(NamedTuple):
    """On what a chapter runs: `aa.load_clip(**scale.clip)`, `aa.open_dataset(scale.train)`."""

    name: str  # "lite" or "full"
    why: str
    clip: dict
    train: str
    test: str
    device: str


def choose_scale(wanted: str | None = None) -> Scale:
    """ "lite": embedded CLIP and factory; "full": ViT-L/14-336 at 518 px on VisA and MVTec AD.
    None: what is there.

    full needs a CUDA device, weights (a file of OpenAI's ViT-L-14-336, .pt or .safetensors) and
    both data sets: data/weights/, data/visa/ and data/mvtec/, or the same three folders below the
    one that AACLIP_LITE_REAL names.
    """
    import torch

    real = Path(os.environ.get("AACLIP_LITE_REAL") or generated_path(".")).expanduser().resolve()
    weights = sorted(
        file for file in (real / "weights").glob("*336*") if file.suffix in (".pt", ".safetensors")
    )
    lacks = [f"no {real.name}/{name}" for name in ("visa", "mvtec") if not (real / name).is_dir()]
    lacks += [] if weights else [f"no weights in {real.name}/weights"]
    lacks += [] if torch.cuda.is_available() else ["no CUDA device"]
    if wanted not in (None, "lite", "full"):
        raise ValueError(f"scale {wanted!r}: choose 'lite', 'full' or None")
    if wanted == "full" and lacks:
        raise FileNotFoundError(
            f"the full scale cannot run here: {', '.join(lacks)}. {choose_scale.__doc__}"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "lite" or lacks:
        why = "as asked for" if wanted else f"full is not possible: {', '.join(lacks)}"
        return Scale("lite", why, {"source": "lite"}, "factory/train", "factory/test", device)
    clip = {"source": "ViT-L-14-336", "weights": weights[0], "image_size": 518}
    there = f"found {weights[0].name}, VisA, MVTec AD and {torch.cuda.get_device_name()}"
    why = "as asked for" if wanted else there
    return Scale("full", why, clip, str(real / "visa"), str(real / "mvtec"), device)


def check_python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    return version if sys.version_info < (3, 14) else f"{version} (3.11 to 3.13 are tested)"


def check_packages() -> str:
    """What pyproject.toml asks for, in its versions; of the extras only the kernel of the
    notebooks.
    """
    install = "`make env` in a checkout, else `pip install --upgrade 'aaclip-lite[lab]'`"
    try:
        listed = map(Requirement, metadata.requires("aaclip-lite") or [])
    except metadata.PackageNotFoundError as error:
        raise CheckFailed("aaclip-lite itself is not installed", install) from error
    wanted = [each for each in listed if each.marker is None or each.name == "ipykernel"]
    wrong = []
    for each in wanted:
        try:
            version = metadata.version(each.name)
            if not each.specifier.contains(version, prereleases=True):
                wrong.append(f"{each.name} {version} is not {each.specifier}")
        except metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
    if wrong:
        raise CheckFailed(", ".join(wrong), install)
    return f"{len(wanted)} as asked for"


def check_torch() -> str:
    """PyTorch computes, and torchvision was built for it (a mixed pair breaks at import)."""
    try:
        torch = import_module("torch")
        vision = import_module("torchvision")
        others = "mps" if torch.backends.mps.is_available() else "cpu"
        device = "cuda" if torch.cuda.is_available() else others
        torch.ones(2, 2, device=device).matmul(torch.ones(2, 2, device=device)).sum().item()
    except (ImportError, RuntimeError, OSError) as error:
        raise CheckFailed(
            repr(error), "reinstall torch and torchvision together (`make clean env`)"
        ) from error
    threads = f"{device}, {torch.get_num_threads()} threads"
    where = torch.cuda.get_device_name() if device == "cuda" else threads
    return f"torch {torch.__version__}, torchvision {vision.__version__}, {where}"


def check_model() -> str:
    folder = data_path("lite_clip")
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if not size:
        raise CheckFailed(f"{folder} holds no weights", "restore it with git, or reinstall")
    return f"{size / 1e6:.1f} MB in {folder.name}"


def check_room() -> str:
    folder = next(path for path in generated_path("factory").parents if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    if not os.access(folder, os.W_OK) or free < FREE_GB:
        remedy = f"set AACLIP_LITE_CACHE to a writable folder with {FREE_GB} GB free"
        raise CheckFailed(f"{folder} is read-only or has only {free:.1f} GB free", remedy)
    return f"{free:.0f} GB free"


CHECKS = (check_python, check_packages, check_torch, check_model, check_room)


def report() -> bool:
    """Print one line a check; true when all hold."""
    sound = True
    for check in CHECKS:
        name = check.__name__.removeprefix("check_")
        try:
            print(f"ok    {name:10} {check()}")
        except (CheckFailed, FileNotFoundError) as failure:
            sound = False
            print(f"FAIL  {name:10}", ". Remedy: ".join(failure.args))
    return sound


if __name__ == "__main__":
    sys.exit(not report())
