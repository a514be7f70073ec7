"""`factory`: the drawn data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import _shared as shared

Split = Literal["train", "val", "test", "test_hard"]


@dataclass(frozen=True)
class Command:
    """Draw the data sets of the course (what it needs is otherwise drawn on first use)."""

    out: str | None = None  # folder; default: where the course looks for them
    size: int = 128  # side of the pictures, 64 to 512
    splits: tuple[Split, ...] = ("train", "val", "test", "test_hard")

    def refuse_unfit(self, given: set[str]) -> None:
        shared.in_range("--size", self.size, 64, 512)
        if not self.splits:
            raise ValueError("--splits is empty: name one of train, val, test, test_hard")
        if self.out is not None and Path(self.out).is_file():
            raise NotADirectoryError(f"--out {self.out}: is a file; name a folder")

    def run(self) -> int:
        from ..world.factory import ensure

        for split in dict.fromkeys(self.splits):
            print(ensure(split, self.out, self.size))
        return 0
