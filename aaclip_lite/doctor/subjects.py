"""What a path holds that the doctor can examine: checkpoints, a log, or a data set.

Use: `subjects("runs/a")` -> [("checkpoint", runs/a/text.safetensors), ..., ("log", runs/a)]; the
public code's folder (text_adapter.pth, image_adapter.pth, train.log) is known as well.
"""

import os
from pathlib import Path

from .logs import NAMES

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".resume")
LOGS = (".log", ".txt", ".jsonl")
# the public code also keeps each epoch as image_adapter_N.pth: those are asked for by name
PUBLIC = ("text_adapter.pth", "image_adapter.pth")


def subjects(path: str | os.PathLike) -> list[tuple[str, Path]]:
    """(kind, path) pairs; a path that is none of the doctor's files counts as a data set."""
    path = Path(path)
    if path.suffix in CHECKPOINTS:
        return [("checkpoint", path)]
    if path.is_file() and path.suffix in LOGS and path.name != "manifest.jsonl":
        return [("log", path)]
    if not path.is_dir():
        return [("dataset", path)]
    files = [*sorted(path.glob("*.safetensors")), *sorted(path.glob("*.resume"))]
    files += [path / name for name in PUBLIC if (path / name).is_file()]
    found = [("checkpoint", file) for file in files]
    if any((path / name).is_file() for name in NAMES):
        found.append(("log", path))
    return found or [("dataset", path)]
