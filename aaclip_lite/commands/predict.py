"""`predict`: verdicts first, on the terminal and in the folder of --out, then the drawings.

Special: a picture that cannot be read costs its own verdict only; names of drawings are unique,
safe, inside the folder and never those of an input; the same call after an interruption leaves the
same files.
"""

import json
import sys
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ..files import keep
from ..files.escape import terminal, unique_names
from ..files.folders import OWN, below
from . import _shared as shared

KEPT = "verdicts.jsonl"
CHUNK = 16  # pictures of each process between two writes
SHOWN = 256  # pixels: the longer side of a drawn map


@dataclass(frozen=True)
class Command:
    """Score pictures of a product, with a verdict for each."""

    pictures: shared.Several  # files or folders
    product: str = "object"  # what they show, e.g. bottle; any words will do
    # how to call it in the prompts, e.g. "rusty bolt"; default: the product's name
    words: str | None = None
    detector: str = "course"  # the shipped one, a run's folder, or hf:OWNER/NAME on the hub
    # without sound parts: judge by the line of other products, often wrongly
    any_product: bool = False
    # folder for verdicts.jsonl and a picture of each heat map
    out: str | None = None
    fail_on_anomaly: bool = False  # exit code 1 if any picture is anomalous
    json: bool = False  # print JSON instead of the table
    bf16: bool = False  # faster on processors with avx512_bf16 or AMX; results move a little
    sound: shared.Sound = field(default_factory=shared.SoundParts)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def check(self, given: set[str]) -> None:
        shared.some(self.pictures)
        self.sound.check(given)

    def run(self) -> int:
        from ..service.processes import processes

        paths = self._paths()
        out = None if self.out is None else shared.a_folder_to_write("--out", self.out)
        sheets = {} if out is None else _sheets(paths, out)
        share = processes()
        if out is not None and share.is_main_process:
            keep.sweep([*sheets.values(), out / KEPT])
        detector = self._detector()
        kept = _Kept(out, paths) if out is not None and share.is_main_process else None
        rows, own = self._judge(detector, paths, share, kept, sheets)
        if share.is_main_process and self.json:
            print(json.dumps(rows, allow_nan=False))
        elif share.is_main_process and rows and not self.any_product:
            print(detector.line(self.product))
        if out is not None:
            _draw(own, sheets)
        unread = [row for row in rows if "error" in row]
        if unread:
            raise ValueError(
                f"{len(unread)} of {len(rows)} pictures could not be read, the first: "
                f"{terminal(unread[0]['error'])}"
            )
        return int(self.fail_on_anomaly and any(row["is_anomalous"] for row in rows))

    def _paths(self) -> list[str]:
        """All pictures, in the order in which they were given, each once."""
        from ..files.forms import list_pictures

        paths, seen = [], {}
        for given in self.pictures:
            if Path(given).is_dir():
                for line in below(given).skipped:
                    print(f"skipped: {terminal(line)}", file=sys.stderr)
            for path in map(str, list_pictures(given)):
                if path in seen:
                    continue
                seen[path] = None
                paths.append(path)
        return paths

    def _detector(self):
        detector = self.backbone.detector(self.detector, self.bf16)
        self.sound.teach(detector, self.product)
        if self.any_product and self.product not in detector.calibration:
            print(
                f"note: judged by other products' line, on which most defects of a new product can "
                f"pass as normal; give sound parts of {terminal(self.product)}: --references FOLDER",
                file=sys.stderr,
            )
        constants = detector.calibration_of(self.product, self.any_product) or {}
        if constants.get("threshold") is None and self.fail_on_anomaly:
            raise ValueError(
                f"--fail-on-anomaly: detector {self.detector} has no line for {self.product!r}, so "
                "nothing would ever be anomalous; add --references FOLDER with at least 5 sound "
                "parts"
            )
        return detector

    def _judge(self, detector, paths: list[str], share, kept, sheets) -> tuple[list, list]:
        """(all rows, in order; what this process draws: path, verdict, small map, its ends)"""
        from accelerate.utils import gather_object

        rows, drawn = [], []
        step = CHUNK * share.num_processes
        for start in range(0, len(paths), step):
            mine = paths[start : start + step][share.process_index :: share.num_processes]
            judged = list(self._judged(detector, mine))
            for row, heat in judged:
                row |= {"sheet": str(sheets[row["path"]])} if sheets and heat is not None else {}
                if sheets and heat is not None:
                    drawn.append((row, *_small(heat)))
            turns = zip_longest(*gather_object([[row for row, _ in judged]]))
            new = [row for turn in turns for row in turn if row]
            rows += new
            if share.is_main_process:
                for row in () if self.json else new:
                    print(_line(row), flush=True)
                if kept is not None:
                    kept.add(new)
        return rows, drawn

    def _judged(self, detector, paths: list[str]):
        """Each picture's row and map; one by one where one of them cannot be read."""
        from ..files.pictures import PictureError

        options = {"any_product": self.any_product}
        try:
            found = detector.predict(paths, self.product, self.words, **options) if paths else []
        except (PictureError, OSError):
            found = [self._alone(detector, path) for path in paths]
        for path, each in zip(paths, found, strict=True):
            if isinstance(each, Exception):
                yield {"path": path, "error": str(each), "is_anomalous": None}, None
            else:
                row = each._asdict()
                row.pop("map")
                yield row, each.map

    def _alone(self, detector, path: str):
        from ..files.pictures import PictureError

        try:
            return detector.predict(path, self.product, self.words, any_product=self.any_product)
        except (PictureError, OSError) as error:
            return error


def _line(row: dict) -> str:
    if "error" in row:
        return f"{'UNREADABLE':15} {terminal(row['error'])}"
    threshold = "" if row["threshold"] is None else f" (threshold {row['threshold']:.2f})"
    verdict = shared.VERDICTS[row["is_anomalous"]]
    return f"{verdict:15} {row['score']:8.2f}{threshold}  {terminal(row['path'])}"


def _sheets(paths: list[str], out: Path) -> dict[str, Path]:
    """Where each picture's map is drawn: in `out`, unique, and never where an input lies."""
    inputs = {Path(path).resolve() for path in paths}
    taken = [path.name.removesuffix(OWN) for path in inputs if path.name.endswith(OWN)]
    names = unique_names(paths, taken)
    return {path: out / f"{name}{OWN}" for path, name in zip(paths, names, strict=True)}


class _Kept:
    """The verdicts in the folder: those of other pictures stay, those of these are written anew."""

    def __init__(self, out: Path, paths: list[str]) -> None:
        self.path = out / KEPT
        before = keep.read_jsonl(self.path) if self.path.is_file() else []
        if not all(isinstance(row, dict) and "path" in row for row in before):
            raise ValueError(
                f"{self.path} was not written by predict; move it or choose another --out"
            )
        anew = set(paths)
        lines = [json.dumps(row) + "\n" for row in before if row["path"] not in anew]
        keep.write_text(self.path, "".join(lines))

    def add(self, rows: list[dict]) -> None:
        keep.append_jsonl(self.path, rows)


def _small(heat) -> tuple:
    """(the map as it is drawn, its lowest and highest value)"""
    step = -(-max(heat.shape) // SHOWN)
    return heat[::step, ::step].copy(), float(heat.min()), float(heat.max())


def _draw(drawn: list, sheets: dict[str, Path]) -> None:
    """A sheet of each picture, all on one scale."""
    from accelerate.utils import gather_object

    from ..course import plots
    from ..files.forms import to_tensor

    ends = gather_object([end for _, _, *both in drawn for end in both])
    for row, heat, *_ in drawn:
        path = row["path"]
        threshold = "" if row["threshold"] is None else f", threshold {row['threshold']:.2f}"
        verdict = f"{shared.VERDICTS[row['is_anomalous']]}: {row['score']:.2f}{threshold}"
        picture = to_tensor(path).movedim(0, -1)
        step = -(-max(picture.shape) // SHOWN)
        title = terminal(Path(path).name)
        title = title if len(title) <= 60 else f"{title[:57]}..."
        figure = plots.sheet(
            [picture[::step, ::step]], [heat], None, [verdict], title, scale=(min(ends), max(ends))
        )
        plots.save(figure, sheets[path])
