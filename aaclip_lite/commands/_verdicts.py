"""What `predict --out` keeps in its folder: a row of each file in verdicts.jsonl, and drawings.

Special: rows of other files stay, and so do the drawings that they name; a row names its drawing as
`sheet_planned` until it is there, then as `sheet`. One process writes the folder at a time.
Use: `kept = Kept(out, paths)`, `sheets = kept.plan(paths)`, `kept.begin(sheets)`, `kept.add(rows)`,
`draw(rows and maps, sheets)`, `kept.settle()`.
"""

from collections.abc import Iterable
from pathlib import Path

from ..files import keep
from ..files.escape import terminal, unique_names
from ..files.folders import DRAWN
from . import _shared as shared

KEPT = "verdicts.jsonl"
SHOWN = 256  # pixels: the longer side of a drawn map


class Kept:
    def __init__(self, out: Path, paths: list[str]) -> None:
        self.path = out / KEPT
        before = keep.read_jsonl(self.path) if self.path.is_file() else []
        if not all(isinstance(row, dict) and "path" in row for row in before):
            raise ValueError(
                f"{self.path} was not written by predict; move it or choose another --out"
            )
        anew = set(map(resolved, paths))
        self.others = [row for row in before if row.get("file", row["path"]) not in anew]

    def plan(self, paths: list[str]) -> dict[str, Path]:
        """Where each picture's map is drawn: unique, never where an input lies, and never where
        another row has its drawing.
        """
        inputs = [Path(resolved(path)).name for path in paths]
        held = [row.get("sheet", row.get("sheet_planned")) for row in self.others]
        drawings = [Path(each).name for each in held if each]
        taken = [name.removesuffix(DRAWN) for name in (*inputs, *drawings) if name.endswith(DRAWN)]
        names = unique_names(paths, taken)
        return {
            path: self.path.with_name(f"{name}{DRAWN}")
            for path, name in zip(paths, names, strict=True)
        }

    def begin(self, sheets: dict[str, Path]) -> None:
        """What is judged and drawn anew goes; rests of killed writes, too."""
        keep.sweep([*sheets.values(), self.path])
        for sheet in sheets.values():
            try:
                sheet.unlink(missing_ok=True)
            except OSError as error:
                raise keep.told(error, sheet) from error
        keep.write_jsonl(self.path, self.others)

    def add(self, rows: Iterable[dict]) -> None:
        keep.append_jsonl(self.path, rows)

    def settle(self) -> None:
        """What is drawn by now is no longer planned."""
        rows = keep.read_jsonl(self.path)
        for row in rows:
            planned = row.get("sheet_planned")
            if planned is not None and self.path.with_name(Path(planned).name).is_file():
                row["sheet"] = row.pop("sheet_planned")
        keep.write_jsonl(self.path, rows)


def resolved(path: str) -> str:
    """By which a file is known, from wherever and through whatever links it is named."""
    return str(Path(path).resolve())


def small(anomaly_map) -> tuple:
    """(the map as it is drawn, its lowest and highest value)"""
    step = -(-max(anomaly_map.shape) // SHOWN)
    return anomaly_map[::step, ::step].copy(), float(anomaly_map.min()), float(anomaly_map.max())


def draw(drawn: list, sheets: dict[str, Path]) -> None:
    """A sheet of each picture, all on one scale."""
    from accelerate.utils import gather_object

    from ..course import plots
    from ..files.forms import to_tensor

    ends = gather_object([end for _, _, *both in drawn for end in both])
    for row, anomaly_map, *_ in drawn:
        path = row["path"]
        threshold = "" if row["threshold"] is None else f", threshold {row['threshold']:.2f}"
        verdict = f"{shared.VERDICTS[row['is_anomalous']]}: {row['score']:.2f}{threshold}"
        picture = to_tensor(path).movedim(0, -1)
        step = -(-max(picture.shape) // SHOWN)
        scale = (min(ends), max(ends))
        title = terminal(Path(path).name)
        title = title if len(title) <= 60 else f"{title[:57]}..."
        figure = plots.sheet(
            [picture[::step, ::step]], [anomaly_map], None, [verdict], title, scale=scale
        )
        plots.save(figure, sheets[path])
