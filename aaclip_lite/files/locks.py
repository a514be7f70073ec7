"""A folder that one process writes at a time.

Special: a second one is told at once instead of mixing its files in; the lock ends with its
process, however that ends.
Use: `with only_one("runs/a"): ...`; `with in_turn(Path("sets/.val.lock")): ...` waits instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .keep import told

NAME = ".lock"
_HELD: set[Path] = set()  # folders that this process holds


@contextmanager
def only_one(folder: str | Path, ours: bool = True) -> Iterator[None]:
    """ours: False in the helpers of a process that holds the lock."""
    from filelock import FileLock, Timeout

    folder = Path(folder)
    if not ours:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise told(error, folder) from error
    place = folder.resolve()
    if place in _HELD:
        yield
        return
    lock = FileLock(folder / NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"{folder} is being written by another process; wait for it or choose another folder"
        ) from error
    except OSError as error:
        raise told(error, folder / NAME) from error
    _HELD.add(place)
    try:
        yield
    finally:
        _HELD.discard(place)
        lock.release()  # the file stays: removing it could let two in at once


@contextmanager
def in_turn(file: Path) -> Iterator[None]:
    """A second process waits until the first is done; the lock's folder is made."""
    from filelock import FileLock

    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise told(error, file.parent) from error
    try:
        yield
    finally:
        lock.release()
