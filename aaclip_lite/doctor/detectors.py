"""What a detector's folder knows: which products have a line, which it remembers.

Special: whether notes, adapters and references belong together is asked as loading asks it.
Use: `print(doctor.detector("runs/bolt"))`.
"""

import os
from collections import defaultdict
from pathlib import Path

from torch import Tensor

from ..detector import ANY
from ..files import notes
from ..files.weights import read_safetensors
from .finding import Finding, conclude


def detector(folder: str | os.PathLike) -> Finding:
    """line: the threshold, in deviations above sound parts; patches: of its references."""
    folder = Path(folder)
    stored = folder / notes.REFERENCES
    try:
        noted = notes.read(folder)
        banks = read_safetensors(stored) if stored.is_file() else {}
    except ValueError as error:
        return conclude("detector", folder, {"broken": [str(error)]})
    entries = noted.get("calibration", {})
    reasons = defaultdict(list)
    reasons["broken"] = [
        f"{stored.name}: {name} holds numbers that are not finite: {notes.REMEDY}"
        for name, bank in banks.items()
        if not bank.isfinite().all()
    ]
    reasons["half"] = _half(folder, entries, banks)
    rows = []
    for name in sorted({*entries, *banks} - {ANY}):
        entry = entries.get(name, {})
        row = {"product": name, "sound parts": entry.get("pictures")}
        row |= {"line": entry.get("threshold"), "false alarms": entry.get("false_alarms")}
        rows.append(row | {"patches": len(banks[name]) if name in banks else None})
    lines, remembered = (
        ", ".join(row["product"] for row in rows if row[what] is not None) or "no product"
        for what in ("line", "patches")
    )
    said = [f"with a line: {lines}; remembered: {remembered}"]
    if ANY in entries:
        parts = entries[ANY]["pictures"]
        said.append(f"other products get the scale of {parts} parts, and no line")
    return conclude("detector", folder, reasons, rows, said)


def _half(folder: Path, entries: dict, banks: dict[str, Tensor]) -> list[str]:
    """What one of the two files names and the other lacks."""
    if banks and not (folder / notes.NAME).is_file():
        return [f"{notes.REFERENCES} lies here without {notes.NAME}: {notes.REMEDY}"]
    remembered = {name for name, entry in entries.items() if entry.get("seen")}
    told = [f"{name} is remembered, but has no references" for name in remembered - banks.keys()]
    told += [f"{name} has references, but is not noted" for name in banks.keys() - entries.keys()]
    return [f"{each}: {notes.REMEDY}" for each in sorted(told)]
