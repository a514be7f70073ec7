"""How every file of the project is written: complete or not at all, and by one process at a time.

Special: a file appears under its name only when all of it is on the disk; what was there before
stays until then; a link of that name is replaced, not followed; a full disk names the file. A lock
ends with its process, however that ends.
Use: `write_json("runs/a/report.json", value)`, `atomic(path, lambda temporary: image.save(temporary))`,
`append_jsonl("verdicts.jsonl", [row])`, `print(table([["name", "score"], ["bolt", "0.9"]]))`,
`with only_one("runs/a"): ...`.
"""

import contextlib
import errno
import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HELD: set[Path] = set()  # folders that this process holds


def atomic(path: str | Path, write: Callable[[str], object]) -> Path:
    """Call `write` with a temporary name beside `path`, flush it to the disk, then rename it."""
    path = Path(path)
    # a long name leaves no room for more; its beginning tells whose a killed write's rest is
    start = f".{path.name[:40]}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=start, dir=path.parent)
    except OSError as error:
        raise told(error, path) from error
    try:
        write(temporary)
        os.chmod(temporary, 0o644)  # mkstemp lets only the owner read
        with open(temporary, "rb") as written:  # `write` may have replaced the file of `handle`
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise told(error, path) from error
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return path


def sweep(paths: Iterable[Path]) -> None:
    """Remove what killed writes of these files left; nobody else may be writing them."""
    for path in paths:
        for left in path.parent.glob(f".{glob.escape(path.name[:40])}.????????"):
            left.unlink(missing_ok=True)


def told(error: OSError, path: Path) -> OSError:
    """The same error with the file that was meant, and what to do."""
    other = "choose another folder"
    remedies = {
        **dict.fromkeys(FULL, ("disk full", "free some space and try again")),
        **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ("not writable", other)),
        **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), ("lies below a file", other)),
        errno.ENOENT: ("cannot be written", other),
        errno.ENAMETOOLONG: ("name too long", "choose a shorter one"),
        errno.EISDIR: ("is a folder", "name a file"),
    }
    what, remedy = remedies.get(error.errno, ("cannot be written", str(error)))
    return type(error)(f"{what}: {path}; {remedy}")


@contextlib.contextmanager
def only_one(folder: str | Path, ours: bool = True) -> Iterator[None]:
    """A folder that one process writes: a second one is told at once instead of mixing its files in.

    ours: False in the helpers of a process that holds the lock.
    """
    place = Path(folder).resolve()
    if not ours or place in _HELD:
        yield
        return
    with in_turn(Path(folder, ".lock"), wait=False):
        _HELD.add(place)
        try:
            yield
        finally:
            _HELD.discard(place)


@contextlib.contextmanager
def in_turn(file: Path, wait: bool = True) -> Iterator[None]:
    """A second process waits until the first is done; the lock's folder is made."""
    from filelock import FileLock, Timeout

    lock = FileLock(file, timeout=-1 if wait else 0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"{file.parent} is being written by another process; wait for it or choose another "
            "folder"
        ) from error
    except OSError as error:
        raise told(error, file.parent) from error
    try:
        yield
    finally:
        lock.release()  # the file stays: removing it could let two in at once


def write_text(path: str | Path, text: str) -> Path:
    return atomic(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: object) -> Path:
    """Plain JSON: a number that is not finite is refused, since JSON has none."""
    try:
        text = json.dumps(value, indent=1, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: not written, a value in it is not finite ({error})") from error
    return write_text(path, text + "\n")


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> Path:
    """One JSON object a line, all of them or none."""
    return write_text(path, _lines(rows))


def _lines(rows: Iterable[dict]) -> str:
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def read_jsonl(path: str | Path) -> list[dict]:
    """The rows of a file of JSON lines; a last line that was never finished is left out."""
    rows = []
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError as error:
            if number == len(lines):
                continue  # it has no end of line: the writer was stopped in it
            raise ValueError(
                f"{path}: line {number} is no JSON ({error}); mend or remove it"
            ) from error
        rows += [] if row is None else [row]
    return rows


def append_jsonl(path: str | Path, rows: Iterable[dict]) -> Path:
    """Add rows, in one write that reaches the disk before the next statement."""
    path = Path(path)
    text = _lines(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            if file.tell() and not _ends_a_line(file):
                file.write(b"\n")  # a killed write's rest must not swallow the next row
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise told(error, path) from error
    return path


def _ends_a_line(file) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def table(rows: Sequence[Sequence[str]], markdown: bool = False) -> str:
    """Rows of cells, heads first: aligned text, the first column to the left, all others to the
    right; or a Markdown table.
    """
    if markdown:
        rule = ["---", *["---:"] * (len(rows[0]) - 1)]
        return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
