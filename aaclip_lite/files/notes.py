"""A detector's folder: where it lies, and what it says beside its adapters: detector.json, read,
checked and written.

Special: thresholds, scales and rates are finite and possible; an unknown key is refused, and so are
notes about other adapters than those beside them, as a stopped save leaves them.
Use: `folder = find("course")`, `notes = read(folder)`, `write(folder, notes)`.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from . import keep
from .checked import (
    either,
    fields,
    fields_open,
    integer,
    listing,
    mapping,
    maybe,
    number,
    one_of,
    pair,
    read_json,
    text,
)
from .environment import data_path

NAME = "detector.json"
ADAPTERS = "image.safetensors"
REFERENCES = "references.safetensors"
FILES = (NAME, "text.safetensors", ADAPTERS, REFERENCES)
REMEDY = "calibrate and save the detector again"
_SCALE = pair(number(-1e9, 1e9), number(0, 1e9, above=True))  # mean, deviation
# what other products showed of lines from few parts, of words and of references
_FEW = mapping(fields((), spread=number(0, 1e9), alarms=integer(0, 10**9), parts=integer(0, 10**9)))
_ENTRY = fields(
    ("map", "score", "threshold", "pictures"),
    map=_SCALE,
    score=_SCALE,
    threshold=maybe(number(-100, 10_000)),  # none: too few parts to draw a line
    false_alarms=number(0, 0.999999, above=True),
    pictures=integer(1, 10**9),
    rule=text(40),
    few=_FEW,
    seen=listing(integer(0, 2**32)),
    spread=number(0, 1e9),
    unlike=listing(text(300)),  # parts that are unlike the others
)
_BACKBONE = fields(
    (),
    source=either(fields_open, text()),
    weights=maybe(text()),
    image_size=maybe(integer(1, 4096)),
    activation=maybe(one_of("gelu", "quick_gelu")),
)
_SHAPE = fields(
    (),
    backbone=_BACKBONE,
    domain=one_of("industrial", "medical"),
    words=mapping(text()),
    calibration=mapping(_ENTRY),
    beside=mapping(text(40)),  # what they are about; older ones do not say
)


def read(folder: str | Path, alone: bool = False) -> dict:
    """Backbone, domain, words, calibration; empty for a run that was not saved as a detector.

    alone: whatever lies beside them.
    """
    notes, stale = _read(Path(folder))
    if stale and not alone:
        raise ValueError(
            f"{Path(folder) / NAME} was written for another {' and '.join(stale)} than lies beside "
            f"it, as a stopped training or save leaves it: {REMEDY}, or train again; without {NAME} "
            f"and {REFERENCES} the adapters load, not calibrated"
        )
    return notes


def _read(folder: Path) -> tuple[dict, list[str]]:
    """(notes, the files beside them that are others than those they were written for)"""
    notes = read_json(folder / NAME, _SHAPE, REMEDY) if (folder / NAME).is_file() else {}
    there = _beside(folder)
    known = notes.pop("beside", there)
    return notes, sorted(n for n in {*known, *there} if known.get(n) != there.get(n))


def write(folder: str | Path, notes: dict) -> Path:
    """Refused, and nothing written, where `read` would refuse it."""
    path = Path(folder) / NAME
    notes = notes | {"beside": _beside(path.parent)}
    try:
        _SHAPE(notes, "")
    except ValueError as error:
        raise ValueError(f"{path}: not written, {error}; {REMEDY}") from error
    return keep.write_json(path, notes)


def products(calibration: dict) -> list[str]:
    """Those that a detector has learned, by remembering or calibrating."""
    return [name for name in calibration if name != "*"]


def drop_stale(folder: str | Path) -> None:
    """Before a new training is calibrated: what was noted about another one is worth nothing."""
    if _read(Path(folder))[1]:
        for name in (NAME, REFERENCES):
            (Path(folder) / name).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed saves left."""
    keep.sweep(folder / name for name in FILES)


def _beside(folder: Path) -> dict[str, str]:
    """Checksums by file: of the adapters as their own header says it, of the references."""
    from safetensors import SafetensorError, safe_open

    from .weights import existing  # torch, which the command line's help does not wait for

    checksums = {}
    adapters = folder / ADAPTERS
    # whoever loads them says what is wrong; a pipe, which is no file, would wait for ever
    with suppress(OSError, SafetensorError), safe_open(existing(adapters), "pt") as file:
        checksums[ADAPTERS] = (file.metadata() or {}).get("checksum", "none").strip('"')[:40]
    if (folder / REFERENCES).is_file():
        digest = hashlib.sha256((folder / REFERENCES).read_bytes())
        checksums[REFERENCES] = digest.hexdigest()[:16]
    return checksums


def find(name: str | Path) -> Path:
    """The folder that a detector's name stands for; only "hf:..." asks the hub."""
    hub = str(name).removeprefix("hf:")
    if hub == str(name):
        if Path(name).is_dir():
            return Path(name)
        if str(name) == "course":
            return data_path("checkpoints") / "course"
        raise FileNotFoundError(
            f"{name} is no folder here. Use 'course' for the shipped detector, the folder that "
            "training wrote, or hf:OWNER/NAME for a repository of the hub"
        )
    import huggingface_hub  # takes a while, and most detectors lie in a folder

    try:
        return Path(huggingface_hub.snapshot_download(hub, allow_patterns=list(FILES)))
    # not a valid name, no such repository, no network: each has its own kind
    except Exception as error:
        raise FileNotFoundError(
            f"{name} is no repository that the hub gives ({type(error).__name__}); check its name "
            "and the network"
        ) from error
