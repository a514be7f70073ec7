"""The chapters as a Colab session meets them: an empty folder, the wheel only, Colab's old widgets,
no repository.

    python -m tests.notebooks.run_colab                     # 00 to 09, as `make colab` does
    python -m tests.notebooks.run_colab 00_start_here       # one

What Colab has preinstalled is played by this environment's packages, less the course itself, with
Colab's versions of IPython, ipykernel and ipywidgets over them (`OLD`, from the package index,
once). The install cell gets a wheel built from the checkout. Whatever it changes among the
preinstalled packages is an error.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from .run_course import FOLDER, chapters

OLD = ("ipython==7.34.0", "ipykernel==6.17.1", "ipywidgets==7.7.1")
HIDDEN = ("aaclip_lite", "__editable__", "_aaclip")
VERSIONS = (
    "import json; from importlib.metadata import distributions;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in distributions() if "
    "d.metadata['Name']}))"
)


class NoIndex(RuntimeError):
    """Colab's versions could not be installed."""


def called(*command, **options) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        raise NoIndex(f"{' '.join(map(str, command))}: {done.stderr.strip()[-400:]}")
    return done.stdout


class Colab:
    """An environment of its own in `folder`, thrown away with it."""

    def __init__(self, folder: Path):
        self.folder, preinstalled = folder, folder / "preinstalled"
        preinstalled.mkdir(parents=True)
        if importlib.util.find_spec("ensurepip"):
            called(sys.executable, "-m", "venv", folder / "venv")
        else:  # Debian's Python without python3-venv; the environment was then built by uv
            uv = shutil.which("uv") or FOLDER.parent / ".uv" / "bin" / "uv"
            called(uv, "venv", "--quiet", "--seed", "--python", sys.executable, folder / "venv")
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        own = Path(
            called(
                self.python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"
            ).strip()
        )
        called(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *OLD)
        # venv's own hides a newer one
        called(self.python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools")
        # a package has one version, the old one
        taken = {entry.name.split("-")[0] for entry in own.iterdir()}
        for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
            if (
                entry.name.split("-")[0] not in taken
                and not entry.name.startswith(HIDDEN)
                and entry.suffix != ".pth"
            ):
                (preinstalled / entry.name).symlink_to(entry)
        # behind the old ones on the path
        (own / "preinstalled.pth").write_text(f"{preinstalled}\n")
        # beside protobuf's google: neither has an __init__
        (own / "google" / "colab").mkdir(parents=True)
        (own / "google" / "colab" / "__init__.py").touch()
        # in a session of Colab it is always loaded
        (own / "sitecustomize.py").write_text("import google.colab\n")
        build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d")
        called(*build, folder / "wheel", cwd=FOLDER.parent)
        (self.wheel,) = (folder / "wheel").iterdir()

    def versions(self) -> dict[str, str]:
        return json.loads(called(self.python, "-c", VERSIONS))

    def run(self, path: Path) -> nbformat.NotebookNode:
        """A chapter in an empty folder, as it then stands; a failing cell raises."""
        notebook, manager = nbformat.read(path, 4), KernelManager()
        command = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        manager._kernel_spec = KernelSpec(argv=command, language="python", display_name="Colab")
        with tempfile.TemporaryDirectory(dir=self.folder) as empty:
            environment = os.environ | {
                "AACLIP_LITE_SOURCE": f"{self.wheel}[export]",
                "PIP_NO_INDEX": "1",
                "PYDEVD_DISABLE_FILE_VALIDATION": "1",
                "AACLIP_LITE_CACHE": str(self.folder / "cache"),
            }
            client = NotebookClient(
                notebook, km=manager, timeout=600, resources={"metadata": {"path": empty}}
            )
            with client.setup_kernel(env=environment, cwd=empty):
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
                    if "colab" in cell.metadata.get("tags", ()) and "ERROR" in (
                        said := str(cell.outputs)
                    ):
                        raise RuntimeError(f"the install cell failed: {said}")
        return notebook


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Preinstalled packages that are not what they were."""
    return [
        f"{name} {version} -> {after.get(name)}"
        for name, version in before.items()
        if after.get(name) != version
    ]


def main(names: list[str]) -> int:
    wanted = [path for path in chapters() if (path.stem in names if names else path.stem < "10")]
    folder = Path(tempfile.mkdtemp(prefix="colab-"))
    try:
        colab = Colab(folder)
        before = colab.versions()
        for path in wanted:
            print(path.stem, flush=True)
            colab.run(path)
        moved = changed(before, colab.versions())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"changed by the install cell: {', '.join(moved)}"
        if moved
        else "Colab's packages are as they were"
    )
    return int(bool(moved))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
