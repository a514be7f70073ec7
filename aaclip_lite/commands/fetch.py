"""`fetch`: public data sets."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from . import _shared as shared

Name = Literal["visa", "mvtec", "deeppcb", "crackforest", "magnetic_tile"]


@dataclass(frozen=True)
class Command:
    """Fetch a public data set: licence first, checksum, mirrors, resumed where it broke off."""

    name: Annotated[Name, tyro.conf.Positional]
    root: str  # folder that gets a folder of that name
    # you have read the licence, which is told without this, and keep to it
    accept_licence: bool = False
    archive: str | None = None  # the set's archive that you have already, in place of a download

    def refuse_unfit(self, given: set[str]) -> None:
        shared.a_folder_to_write("--root", self.root)

    def run(self) -> int:
        from ..files.fetch import fetch

        fetch(self.name, self.root, self.accept_licence, self.archive)
        return 0
