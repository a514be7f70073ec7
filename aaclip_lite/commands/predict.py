"""`predict`: verdicts first, on the terminal and in the folder of --out, then the drawings.

Special: a picture that cannot be read costs its own verdict only, and a folder that cannot be read
never passes; names of drawings are unique, safe, inside the folder and never those of an input; the
same call after an interruption leaves the same files.
"""

import json
import sys
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ..files.escape import terminal
from ..files.keep import only_one
from ..files.notes import products
from . import _shared as shared
from ._verdicts import Kept, draw, resolved, small

CHUNK = 16  # pictures of each process between two writes
UNJUDGED = {"score": None, "threshold": None, "is_anomalous": None, "why": "it cannot be read"}
LOOKED_AT = 50  # pictures, where it is only noted that references are among them


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
    no_drawings: bool = False  # with --out: verdicts.jsonl alone, for many pictures
    fail_on_anomaly: bool = False  # exit code 1 if any picture is anomalous
    json: bool = False  # print JSON instead of the table
    bf16: bool = False  # faster on processors with avx512_bf16 or AMX; results move a little
    sound: shared.Sound = field(default_factory=shared.SoundParts)
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def refuse_unfit(self, given: set[str]) -> None:
        shared.some(self.pictures)
        shared.only_with(given, "--no-drawings", self.out is not None, "with --out")
        self.sound.refuse_unfit(given)

    def run(self) -> int:
        from ..service.processes import processes

        share = processes()
        paths, closed = self._paths()
        if self.out is None:
            rows = self._work(paths, share, None)
        else:
            out = shared.a_folder_to_write("--out", self.out)
            with only_one(out, ours=share.is_main_process):
                rows = self._work(paths, share, out)
        _refuse_unread(rows, closed)
        return int(self.fail_on_anomaly and any(row["is_anomalous"] for row in rows))

    def _work(self, paths: list[str], share, out: Path | None) -> list[dict]:
        """All rows, in order, once they are told, kept and drawn."""
        kept = Kept(out, paths) if out is not None and share.is_main_process else None
        sheets = self._sheets(paths, kept)
        detector = self._detector()
        if share.is_main_process:
            self._tell_references(detector, paths)
        if kept is not None:
            kept.begin(sheets)
        rows, drawn = self._judge(detector, paths, share, kept, sheets)
        if share.is_main_process and self.json:
            print(json.dumps(rows, allow_nan=False))
        elif share.is_main_process and rows and not self.any_product:
            judged = (row["why"] for row in rows if row["score"] is not None)
            print(next(judged, "") or detector.line(self.product))
        if out is not None and not self.no_drawings:
            try:
                draw(drawn, sheets)
                share.wait_for_everyone()
            finally:
                if kept is not None:
                    kept.settle()
        return rows

    def _paths(self) -> tuple[list[str], list[str]]:
        """(the pictures, in the order in which they were given, each file once; which folders
        cannot be read)
        """
        from ..files.forms import list_pictures, refuse_none

        paths, closed = {}, []
        for source in self.pictures:
            if Path(source).is_dir():
                pictures, _, unread = shared.looked_through(source)
                closed += unread
                if not unread:
                    refuse_none(source, pictures)
            else:
                pictures = list_pictures(source)
            for path in pictures:
                paths.setdefault(resolved(path), str(path))
        return list(paths.values()), closed

    def _sheets(self, paths: list[str], kept: Kept | None) -> dict[str, Path]:
        """Where each map is drawn; only the main process knows which names are free."""
        from accelerate.utils import broadcast_object_list

        if self.out is None or self.no_drawings:
            return {}
        return broadcast_object_list([None if kept is None else kept.plan(paths)])[0]

    def _tell_references(self, detector, paths: list[str]) -> None:
        """References look like themselves. A gate looks at all pictures, which costs decoding them
        twice; for a note, some from everywhere will do.
        """
        whole = self.fail_on_anomaly or len(paths) <= LOOKED_AT
        looked = paths if whole else paths[:: -(-len(paths) // LOOKED_AT)]
        known = shared.remembered(detector, self.product, looked)
        if not known:
            return
        which = "pictures" if looked is paths else "pictures looked at"
        told = (
            f"{known} of {len(looked)} {which} are the references of {terminal(self.product)}, "
            "which look like themselves and pass: inspect pictures that are not remembered"
        )
        if self.fail_on_anomaly:
            raise ValueError(f"--fail-on-anomaly: {told}")
        print(f"note: {told}", file=sys.stderr)

    def _detector(self):
        from ..decision import threshold_of

        detector = self.backbone.detector(self.detector, self.bf16)
        self.sound.teach(detector, self.product, self.words)
        known = products(detector.calibration)
        if known and self.product not in known and not self.any_product:
            raise ValueError(
                f"--product {self.product}: detector {self.detector} knows {', '.join(known)}; name "
                "one of them, or give sound parts of this product with --references FOLDER"
            )
        if self.any_product and self.product not in detector.calibration:
            print(
                f"note: judged by other products' line, on which most defects of a new product can "
                f"pass as normal; give sound parts of {terminal(self.product)}: --references FOLDER",
                file=sys.stderr,
            )
        constants = detector.calibration_of(self.product, self.any_product)
        threshold, why = threshold_of(detector, constants, self.product, self.words)
        if threshold is None and self.fail_on_anomaly:
            raise ValueError(
                f"--fail-on-anomaly: nothing would ever be anomalous, for {why}; add --references "
                "FOLDER with at least 5 sound parts"
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
            for row, anomaly_map in judged:
                if sheets and anomaly_map is not None:
                    row["sheet_planned"] = str(sheets[row["path"]])
                    drawn.append((row, *small(anomaly_map)))
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
        """Each picture's row and map."""
        for path, each in zip(paths, self._predictions(detector, paths), strict=True):
            about = {"path": path, "file": resolved(path)}
            about |= {"product": self.product, "detector": self.detector}
            if isinstance(each, Exception):
                yield about | UNJUDGED | {"error": _why_unread(path, each)}, None
            else:
                row = each._asdict()
                yield about | {name: row[name] for name in UNJUDGED}, each.map

    def _predictions(self, detector, paths: list[str]) -> list:
        """Predictions, one by one where a picture cannot be read; the error in that one's place."""
        from ..files.pictures import PictureError

        options = {"any_product": self.any_product}
        try:
            return detector.predict(paths, self.product, self.words, **options) if paths else []
        except (PictureError, OSError) as error:
            if len(paths) == 1:
                return [error]
            return [each for path in paths for each in self._predictions(detector, [path])]


def _line(row: dict) -> str:
    if "error" in row:
        return f"{'UNREADABLE':15} {terminal(row['error'])}"
    threshold = "" if row["threshold"] is None else f" (threshold {row['threshold']:.2f})"
    verdict = shared.VERDICTS[row["is_anomalous"]]
    return f"{verdict:15} {row['score']:8.2f}{threshold}  {terminal(row['path'])}"


def _why_unread(path: str, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{path}: cannot be read ({error.strerror}); make it readable or leave it out"
    return str(error)


def _refuse_unread(rows: list[dict], closed: list[str]) -> None:
    unread = [row["error"] for row in rows if "error" in row]
    told = []
    if unread:
        count = f"{len(unread)} of {len(rows)} pictures"
        told.append(f"{count} could not be read, the first: {terminal(unread[0])}")
    if closed:
        count = "1 folder" if len(closed) == 1 else f"{len(closed)} folders"
        told.append(f"{count} could not be read, the first: {terminal(closed[0])}")
    if told:
        raise ValueError("; ".join(told))
