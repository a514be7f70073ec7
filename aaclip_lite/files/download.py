"""A file from the first of several addresses that gives the right one.

Special: what came before a line broke is kept beside the file and gone on from, at the next address
or in the next run; a file gets its name only after `verify` has read it, and what fails is thrown
away and asked for anew. More bytes than the file may have are never taken.
Use: `download(addresses, "data/.fetch/set.zip", verify=lambda file: ..., size=None, most=10**9)`.
"""

import http.client
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pooch
from tqdm.auto import tqdm

from .keep import FULL

TRIES = 5  # at one address, while each brings some bytes
SECONDS = 30  # without a byte
CHUNK = 1 << 18


class FetchError(RuntimeError):
    """Something could not be fetched; says why, address by address, and what to do."""


class WrongFile(ValueError):
    """An address gives another file than the one that is known."""


def refuse_other(
    path: Path, title: str, wanted: str, kind: str = "SHA-256", digest: str = ""
) -> None:
    """Raises where a file is not the one of this checksum; digest: its own, of another kind."""
    digest = digest or pooch.file_hash(str(path))
    if digest != wanted:
        raise WrongFile(
            f"its {kind} is {digest}, that of {title} is {wanted}: it is another version, or did not "
            "come whole"
        )


def download(
    addresses: Sequence[str],
    path: str | Path,
    verify: Callable[[Path], None],
    size: int | None,
    most: int,
    progress: bool = True,
) -> Path:
    """The file at `path`.

    verify: raises a ValueError where the file is not the right one. size: its bytes, where they are
    known: only then is a beginning gone on from. most: never more bytes.
    """
    path = Path(path)
    if path.exists():  # of an earlier run, or put there by hand
        with suppress(ValueError):
            verify(path)
            return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    troubles = []
    for address in addresses:
        for _ in range(TRIES):
            before = came(path)
            if size is None or before >= size:
                part.unlink(missing_ok=True)
            try:
                _receive(address, part, size, most, progress)
                verify(part)
                os.replace(part, path)
                return path
            except ValueError as error:
                troubles.append(f"{address}: {error}")
                part.unlink(missing_ok=True)
                # it may be the fault of its beginning: once more without that
                again = before > 0
            except (OSError, http.client.HTTPException) as error:
                if getattr(error, "errno", None) in FULL:
                    raise
                troubles.append(f"{address}: {error or type(error).__name__}")
                again = came(path) > before
            if not again:
                break
    raise FetchError("\n  ".join([f"{path.name} cannot be fetched", *troubles]))


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def came(path: Path) -> int:
    """How many bytes of this file came in earlier tries."""
    part = _part(path)
    return part.stat().st_size if part.exists() else 0


def _receive(address: str, part: Path, size: int | None, most: int, progress: bool) -> None:
    """Adds to `part` until all has come."""
    have = part.stat().st_size if part.exists() else 0
    # any coding of the bytes on their way would change their count
    asked = {"User-Agent": "aaclip-lite", "Accept-Encoding": "identity"}
    asked |= {"Range": f"bytes={have}-"} if have else {}
    with urlopen(Request(address, headers=asked), timeout=SECONDS) as answer:
        begins, total = _promised(answer)
        if begins not in (0, have):
            raise OSError(f"answers from byte {begins:,}, asked was {have:,}")
        if size is not None and total not in (None, size):
            raise OSError(f"announces {total:,} bytes, the file has {size:,}")
        end = min(most, size or total or most)
        told = {"unit": "B", "unit_scale": True, "desc": part.stem, "disable": not progress}
        bar = tqdm(total=size or total, initial=begins, **told)
        got = begins
        with open(part, "ab" if begins else "wb") as file, bar:
            while chunk := answer.read1(CHUNK):
                got += len(chunk)
                if got > end:
                    raise WrongFile(f"sends more than {end:,} bytes")
                file.write(chunk)
                bar.update(len(chunk))
    wanted = size or total
    if wanted is not None and got < wanted:
        raise OSError(f"broke off at {got:,} of {wanted:,} bytes")


def _promised(answer) -> tuple[int, int | None]:
    """(first byte that will come, bytes of the whole file), as the answer's head says."""
    length = answer.headers.get("Content-Length")
    if answer.status == 206:
        said = answer.headers.get("Content-Range", "")
        try:
            span, _, total = said.removeprefix("bytes ").partition("/")
            return int(span.partition("-")[0]), int(total) if total != "*" else None
        except ValueError:
            raise OSError(f"answers with a range that cannot be read: {said!r}") from None
    return 0, int(length) if length and length.isdigit() else None
