"""What names, headers and bytes of a data set's files tell before any work starts.

Use: `list(quick_problems(root, records, image_level=False))`, `copies(paths)`
"""

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from . import pictures
from .manifest import Record

UNREADABLE = (OSError, ValueError)  # what the decoder raises


def reason(error: Exception) -> str:
    return "missing" if isinstance(error, FileNotFoundError) else str(error)


def problems(root: Path, records: Sequence[Record], image_level: bool) -> list[str]:
    """All that is wrong and shows without decoding a picture."""
    told = list(quick_problems(root, records, image_level))
    for group in copies(root / record.image for record in records):
        names = ", ".join(os.path.relpath(file, root) for file in group)
        told.append(f"duplicate: {names}: equal bytes")
    return told


def fingerprint(root: Path, records: Iterable[Record]) -> str:
    digest = hashlib.sha256()
    for r in records:
        names = [name for name in (r.image, r.mask) if name is not None]
        sizes = [(root / name).stat().st_size for name in names]
        digest.update(repr((r.image, r.label, r.class_name, r.mask, sizes)).encode())
    return digest.hexdigest()[:16]


def shared(ours: set[Path], theirs: set[Path]) -> list[tuple[str, str]]:
    """Pairs of files, one of each side, with equal bytes."""
    pairs = []
    for group in copies([*ours, *theirs]):
        mine = ours & set(group)
        others = (theirs & set(group)) - mine
        pairs += [(str(a), str(b)) for a in mine for b in others]
    return sorted(pairs)


def quick_problems(root: Path, records: Iterable[Record], image_level: bool) -> Iterator[str]:
    """What names, headers and ends of files tell."""
    for record in records:
        if record.label is None:
            yield f"label: {record.image}: unknown label (0 is normal, 1 abnormal)"
        if record.label == 1 and record.mask is None and not image_level:
            yield f"mask: {record.image}: abnormal, but without a mask (or declare image_level=True)"
        sizes = {}
        files = record.files(image_level)
        for role, name in files.items():
            if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == "..":
                yield f"path: {name}: lies outside {root}"
                continue
            try:
                sizes[role] = pictures.header(root / name)
            except UNREADABLE as error:
                yield f"{role}: {name}: {reason(error)}"
        for role, size in sizes.items():
            if size != sizes.get("image", size):
                yield f"size: {files[role]}: {size}, but its picture is {sizes['image']} (width, height)"


def tell_odd_masks(root: Path, records: Iterable[Record]) -> None:
    """Warn of masks that can be used, but hardly mean what they say."""
    odd = []
    for record in records:
        if record.label == 1 and record.mask is not None:
            try:
                odd += pictures.odd_mask(root / record.mask, record.mask)
            except UNREADABLE:
                continue  # told as a problem
    if odd:
        warnings.warn(f"{len(odd)} masks are odd, the first: {odd[0]}", stacklevel=3)


def copies(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of files with the same bytes. Only files of one size are read, and whole only if
    samples of them agree.
    """
    groups = [[path for path in paths if path.is_file()]]
    for key in (lambda path: path.stat().st_size, _sample, _whole):
        parts = defaultdict(list)
        for number, group in enumerate(groups):
            for path in group:
                parts[number, key(path)].append(path)
        groups = [part for part in parts.values() if len(part) > 1]
    return groups


def _sample(path: Path) -> bytes:
    with open(path, "rb") as stream:
        start = stream.read(4096)
        stream.seek(path.stat().st_size // 2)
        return start + stream.read(4096)


def _whole(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
