"""Archives of other people's making, unpacked without harm: zip, and tar with any compression.

Special: a name is judged before a byte of it is written: nothing outside the folder, no link, no
device, no name twice. How much may come is said by the caller and counted as the archive announces
it: of no file do the libraries give more than that. `tree` names the contents of an archive as git
does, so a commit's archive can be checked although its compressed bytes may differ from one day to
the next.
Use: `unpack("VisA.tar", "data/new", most=2 * 10**9)`, `tree("set.zip", most) == "7d301aa..."`.
"""

import hashlib
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

MOST_ENTRIES = 200_000  # the largest of the sets has 12,000
DEEPEST = 20  # folders within folders
LONGEST = 200  # characters of one part of a name
CHUNK = 1 << 20
REFUSED = "no data set comes so, nothing of it is kept"
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # encrypted
    NotImplementedError,  # a compression that is not known
)


class ArchiveError(ValueError):
    """An archive that is damaged, or that holds what no data set holds."""


class Entry(NamedTuple):
    name: str
    kind: str  # "file", "folder", or what it is in place of these
    size: int  # as announced
    runs: bool  # may be run as a program, which git notes
    open: Callable[[], IO[bytes]]


def unpack(path: str | Path, folder: str | Path, most: int) -> None:
    """All of it into an empty folder, `most` bytes at most."""
    with _told(path):
        for names, entry in _entries(path, most):
            place = Path(folder, *names)
            try:
                if entry.kind == "folder":
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with open(place, "xb") as file, entry.open() as data:
                    shutil.copyfileobj(data, file)
            except (FileExistsError, NotADirectoryError) as error:
                raise ArchiveError(f"{path}: {entry.name!r} is there twice; {REFUSED}") from error
            if place.stat().st_size != entry.size:
                raise ArchiveError(f"{path}: damaged ({entry.name!r} is shorter than announced)")


def tree(path: str | Path, most: int) -> str:
    """git's name (SHA-1) of the folder that the archive holds, its one outermost folder left out."""
    top: dict[str, dict | tuple[bytes, bytes]] = {}
    with _told(path):
        for (_, *names), entry in _entries(path, most):
            if entry.kind == "folder":
                continue
            if not names:
                raise ArchiveError(f"{path}: {entry.name!r} lies beside the commit's folder")
            blob = hashlib.sha1(b"blob %d\0" % entry.size)
            with entry.open() as data:
                while chunk := data.read(CHUNK):
                    blob.update(chunk)
            folder = top
            for name in names[:-1]:
                folder = folder.setdefault(f"{name}/", {})
            folder[names[-1]] = (b"100755" if entry.runs else b"100644", blob.digest())
    return _tree(top).hex()


def _tree(held: dict) -> bytes:
    """held: {name of a file: (mode, digest)} and {name of a folder and a slash: what it holds}"""
    body = b""
    for name, inner in sorted(held.items()):  # git too sorts a folder as if it ended in a slash
        mode, digest = (b"40000", _tree(inner)) if isinstance(inner, dict) else inner
        body += mode + b" " + name.removesuffix("/").encode() + b"\0" + digest
    return hashlib.sha1(b"tree %d\0" % len(body) + body).digest()


def _entries(path: str | Path, most: int) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """(parts of the name, entry), each judged, in the archive's order."""
    path = Path(path)
    # a tar first: one that ends with a zip would pass for a zip
    if tarfile.is_tarfile(path):
        read = _tar
    elif zipfile.is_zipfile(path):
        read = _zip
    else:
        raise ArchiveError(f"{path}: neither a zip nor a tar archive")
    for number, entry in enumerate(read(path)):
        if number >= MOST_ENTRIES:
            raise ArchiveError(f"{path}: more than {MOST_ENTRIES:,} entries; {REFUSED}")
        names = _names(path, entry)
        most -= max(entry.size, 0)
        if most < 0:
            raise ArchiveError(f"{path}: unpacks to more than the set holds; {REFUSED}")
        if names:
            yield names, entry


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """What the libraries say of a damaged archive, in one line."""
    try:
        yield
    except DAMAGED as error:
        raise ArchiveError(f"{path}: damaged ({error or type(error).__name__})") from error


def _tar(path: Path) -> Iterator[Entry]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            plain = member.isreg() and not member.issparse()
            kind = "file" if plain else "folder" if member.isdir() else "a link or a device"
            runs = bool(member.mode & 0o100)
            yield Entry(member.name, kind, member.size, runs, partial(archive.extractfile, member))


def _zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            odd = mode & 0o170000 not in (0, 0o100000, 0o040000)
            kind = "a link or a device" if odd else "folder" if info.is_dir() else "file"
            runs = bool(mode & 0o100)
            yield Entry(info.filename, kind, info.file_size, runs, partial(archive.open, info))


def _names(path: Path, entry: Entry) -> tuple[str, ...]:
    """The parts of a name that stays in its folder; none for the folder itself."""
    name = entry.name.removesuffix("/") if entry.kind == "folder" else entry.name
    parts = [part for part in name.split("/") if part != "."]
    odd = [p for p in parts if p in ("", "..") or len(p) > LONGEST or not p.isprintable()]
    # a drive, another stream of a file, another separator: each means something on Windows only
    if odd or len(parts) > DEEPEST or any(sign in name for sign in "\\:"):
        raise ArchiveError(
            f"{path}: the name {name[:LONGEST]!r} leaves its folder or is odd; {REFUSED}"
        )
    if entry.kind not in ("file", "folder"):
        raise ArchiveError(f"{path}: {name!r} is {entry.kind}; {REFUSED}")
    if entry.kind == "file" and not parts:
        raise ArchiveError(f"{path}: a file without a name; {REFUSED}")
    return tuple(parts)
