"""`recipes`: the three presets side by side."""

import json
from dataclasses import dataclass

from ..recipe import comparison


@dataclass(frozen=True)
class Command:
    """The three recipes side by side: every choice of the method, and what it means."""

    differing: bool = False  # only the fields in which they differ
    json: bool = False  # print JSON instead of the table

    def run(self) -> int:
        rows = comparison(self.differing)
        if self.json:
            print(json.dumps(rows))
            return 0
        names = list(rows[0])[:-1]
        widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
        for row in [{name: name for name in rows[0]}, *rows]:
            cells = [row[name].ljust(width) for name, width in widths.items()]
            print("  ".join(cells), row["meaning"], sep="  ")
        return 0
