"""Files of the browser's libraries, for the book: fetched once by the npm client, one pinned version
each, checked by its hash, kept in build/npm; nothing of them is in the repository.

Use: `files("mathjax", "es5/tex-svg.js")` -> {name: bytes}
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

KEPT = Path(__file__).parents[2] / "build" / "npm"
# version, and the hash of its archive as `npm pack --json` prints it
PINNED = {
    "onnxruntime-web": (
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    ),
    "mathjax": (
        "3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    ),
}
REMEDY = (
    "To have it: install Node.js with npm (Debian: apt-get install -y npm), be online once, and "
    "run make book again"
)


class NoNpm(RuntimeError):
    """The library is not here and can't be fetched."""


def archive(name: str, kept: Path = KEPT) -> Path:
    version, wanted = PINNED[name]
    path = kept / f"{name}-{version}.tgz"
    if not path.is_file():
        _fetch(f"{name}@{version}", path)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != wanted:
        raise RuntimeError(
            f"{path} is not {name} {version}: its hash differs. Remove it and run make book again"
        )
    return path


def _fetch(package: str, path: Path) -> None:
    if shutil.which("npm") is None:
        raise NoNpm(f"no npm found. {REMEDY}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = ["npm", "pack", package, "--silent", "--pack-destination", folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip()[-300:]
            raise NoNpm(f"npm could not fetch {package}: {reason}. {REMEDY}")
        Path(folder, path.name).replace(path)


def files(name: str, *wanted: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive(name)) as package:
        for member in package:  # in the archive's order: to go back means to unpack again
            inner = member.name.removeprefix("package/")
            if inner in wanted:
                found[inner] = package.extractfile(member).read()
    missing = set(wanted) - found.keys()
    if missing:
        raise RuntimeError(f"{name} {PINNED[name][0]} has no {', '.join(sorted(missing))}")
    return found
