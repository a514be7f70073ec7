"""Public data sets, fetched to where `open_dataset` finds them: VisA, MVTec AD, DeepPCB, CrackForest,
magnetic tiles.

Special: nothing is fetched before its licence is accepted and the disk has room; a broken download
goes on where it broke; what is unpacked and read through appears under its name at once, or not at
all. The real hosts could not be reached where this was written: the way there is tested with a
server on this machine, what comes from there is held against checksums (see sources.py).
Use: `fetch("visa", "data", accept_licence=True)`, then `open_dataset("data/visa")`.
"""

import shutil
import tempfile
from pathlib import Path

from . import layouts, photographs
from .audit import quick_problems
from .door import door
from .download import FetchError, came, download
from .keep import only_one
from .manifest import DataError
from .sources import SOURCES, Source
from .unpack import unpack

WORK = ".fetch"  # in the root: archives and what is not complete yet
SPARE = 50 * 10**6  # bytes of disk that stay free


@door(name=str, root=(str, Path), archive=(str, Path, None))
def fetch(
    name: str,
    root: str | Path,
    accept_licence: bool = False,
    archive: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """The folder `root/name`, ready for `open_dataset`; at once where it is there already.

    name: one of SOURCES. accept_licence: that you have read the licence and keep to it; without it
    the licence is told and nothing is fetched. archive: the set's archive as you have it already,
    which is checked like a fetched one and stays where it is.
    """
    if name not in SOURCES:
        raise ValueError(f"name = {name!r}: there are {', '.join(SOURCES)}")
    source = SOURCES[name]
    home = Path(root).expanduser() / name
    if home.exists():
        return _told(home, "is there already", _look(home))
    _permit(source, accept_licence, archive)
    work = home.parent / WORK
    with only_one(work):
        for left in work.glob("new.*"):  # of a run that was killed
            shutil.rmtree(left)
        file = _given(source, Path(archive)) if archive else _get(source, work, progress)
        said = _place(source, file, work, home)
        if not archive:
            file.unlink()
    return _told(home, "is ready", said)


def _told(home: Path, how: str, said: str) -> Path:
    print(f"{home} {how}: {said}\n  data = aa.open_dataset({str(home)!r})")
    return home


def _permit(source: Source, accepted: bool, archive: str | Path | None) -> None:
    """Tells licence and page; stops where one of them is still to be looked at."""
    lines = [f"{source.title}, {source.page}", f"licence: {source.licence}"]
    if source.accept and not accepted:
        lines.append(
            "if you accept it: accept_licence=True (--accept-licence); nothing was fetched"
        )
    if not source.addresses and not archive:
        lines.append(
            f"its owner wants you to come to that page: fetch {source.file} there, then give it with "
            "archive=FILE (--archive FILE)"
        )
    text = "\n  ".join(lines)
    if len(lines) > 2:
        raise FetchError(text)
    print(text)


def _room(folder: Path, wanted: int, source: Source) -> None:
    """Refuses where the disk is too small, before anything is written."""
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE:
        raise FetchError(
            f"{folder}: {source.title} takes {wanted / 1e9:.2f} GB while it is fetched and unpacked,"
            f" {free / 1e9:.2f} GB are free; free some or choose another root"
        )


def _given(source: Source, file: Path) -> Path:
    """The reader's own archive, checked."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; name the archive {source.file}")
    try:
        source.verify(file)
    except ValueError as error:
        raise FetchError(
            f"{file}: {error}. A folder that you trust needs no fetch: open_dataset(FOLDER)"
        ) from error
    return file


def _get(source: Source, work: Path, progress: bool) -> Path:
    file = work / source.file
    _room(work, source.most - came(file) + source.unpacked, source)
    try:
        return download(source.addresses, file, source.verify, source.size, source.most, progress)
    except FetchError as error:
        raise FetchError(
            f"{error}\nRun it again to go on; or fetch {source.file} by other means "
            f"({source.page}) and give it with archive=FILE (--archive FILE)"
        ) from error


def _place(source: Source, file: Path, work: Path, home: Path) -> str:
    """Unpacked, completed and looked through in a folder of its own, which then gets its name."""
    _room(work, source.unpacked, source)
    new = Path(tempfile.mkdtemp(prefix="new.", dir=work))
    try:
        print(f"unpacking {file.name}")
        unpack(file, new, source.unpacked)
        inner = list(new.iterdir())
        # one folder around everything, as GitHub packs it
        top = inner[0] if len(inner) == 1 and inner[0].is_dir() else new
        if source.photographs:
            print("making masks and a manifest")
            photographs.write_manifest(photographs.find(top)[source.photographs], top)
        said = _look(top)
        top.chmod(0o755)  # mkdtemp lets only its owner in
        top.rename(home)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return said


def _look(home: Path) -> str:
    """What `open_dataset` will find there, in a line; refused where it would find it lacking."""
    try:
        files = layouts.read(home, None, None, "object")
    except DataError as error:
        raise _lacking(home, error.problems) from error
    problems = [*files.problems, *quick_problems(files.root, files.records, False)]
    problems += files.empty_classes(files.records, "all")
    # the set is as published by now, and masks of another size are for open_dataset to tell
    sizes = [problem for problem in problems if problem.startswith("size:")]
    if rest := [problem for problem in problems if problem not in sizes]:
        raise _lacking(home, rest)
    classes = {record.class_name for record in files.records}
    defective = sum(record.label == 1 for record in files.records)
    said = f"{len(files.records)} pictures of {len(classes)} classes, {defective} defective"
    return f"{said}; {len(sizes)} need allow=('size',), {sizes[0]}" if sizes else said


def _lacking(home: Path, problems: list[str]) -> FetchError:
    told = "\n  ".join([f"{home}: not complete; move it away and fetch again", *problems[:5]])
    return FetchError(told)
