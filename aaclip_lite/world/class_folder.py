"""All pictures of one product in a data set: drawn in a hidden folder, put in place in one step."""

import json
import os
import tempfile
from pathlib import Path

from PIL import Image

from .defects import kinds_for
from .draw import NotShown, Picture, draw
from .filing import WORK, settle
from .plans import PLANS


class _Folder:
    """A class in the making: pictures on disk, their manifest's lines in memory."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.work = Path(tempfile.mkdtemp(prefix=f"{WORK}{name}-", dir=folder))
        self.lines: list[dict] = []

    def put(self, picture: Picture, part: str, number: int, severity: int = 0) -> None:
        name = self.name
        kind = picture.defect or "good"
        pixels = {f"{name}/{part}/{kind}/{number:03d}.png": picture.image}
        mask_path = f"{name}/ground_truth/{kind}/{number:03d}_mask.png" if picture.defect else ""
        if mask_path:
            pixels[mask_path] = picture.mask * 255
        inside_path = f"{name}/inside/{part}_{kind}/{number:03d}.png"
        pixels[inside_path] = picture.inside * 255
        for path, values in pixels.items():
            target = self.work / Path(path).relative_to(name)
            # one level at a time: where the work's own folder was removed, this fails
            target.parent.parent.mkdir(exist_ok=True)
            target.parent.mkdir(exist_ok=True)
            Image.fromarray(values).save(target, compress_level=1)
        self.lines.append(
            {
                "image_path": next(iter(pixels)),
                "label": int(kind != "good"),
                "class_name": name,
                "mask_path": mask_path,
                "inside_path": inside_path,
                "defect": kind,
                "severity": severity,
                "split": part,
            }
        )

    def finish(self, target: Path) -> None:
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        (self.work / "manifest.jsonl").write_text(text)
        os.chmod(self.work, 0o755)
        settle(self.work, target)


def draw_class(
    split: str, name: str, folder: Path, size: int, counts: tuple[int, int, int]
) -> None:
    """Draw one class into a hidden folder, then put it in place in one step."""
    references, normal, defective = counts
    plan = PLANS[split]
    where = {"split": plan.key, "station": plan.station}
    kinds = kinds_for(name, plan.structural)
    into = _Folder(name, folder)
    index = 0
    numbers = dict.fromkeys(kinds, 0)
    for part, count in (("train", references), ("test", normal)):
        for number in range(count):
            into.put(draw(name, index, size, **where), part, number)
            index += 1
    for i in range(defective):
        severity = (i // len(kinds)) % 3
        for attempt in range(40):
            kind = kinds[(i + attempt) % len(kinds)]
            index += 1
            try:
                picture = draw(name, index, size, kind, severity, **where)
            except NotShown:
                continue
            into.put(picture, "test", numbers[kind], severity)
            numbers[kind] += 1
            break
        else:
            raise RuntimeError(f"could not draw defect {i} of {split}/{name}")
    into.finish(folder / name)
