"""The book's page that works without Python: the shipped detector, parts to click, and the runtime
that runs it in a browser, as scripts beside the pages.

Special: a page opened from a disk may not read files, so each file is base64 inside a script. The
runtime is onnxruntime-web, from npm.
Use: `write(out)` -> out/page/
"""

import base64
import gzip
import io
import json
import shutil
import tempfile
from pathlib import Path

import open_clip.tokenizer
from PIL import Image

from aaclip_lite import decision, scoring
from aaclip_lite.course import plots
from aaclip_lite.detector import ANY, AnomalyDetector
from aaclip_lite.prompts import plain_name, sentences
from aaclip_lite.world import factory

from . import from_npm, page_graphs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "page"
SCRIPT = "ort.wasm.min.js"
PARTS = {"ort.mjs": "ort-wasm-simd-threaded.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}
MOST = 10  # sound parts on the page: more would draw the line by rank, which it does not know
READINGS = 48  # of all references together: a browser takes its time over each
SOUND = 20  # number of the first judged part in factory/test; those before it are references
DEFECTIVE = 100
OPENING = 2  # of the parts, the one that is on the table when the page opens


def write(out: Path, runs: bool = True) -> None:
    """runs: whether the runtime is to be had."""
    folder = out / "page"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (*PAGE.glob("*.css"), *PAGE.glob("*.js")):
        shutil.copy(source, folder)
    if runs:
        write_detector(folder)


def write_detector(folder: Path) -> None:
    dist = [f"dist/{name}" for name in (SCRIPT, *PARTS.values())]
    found = from_npm.files("onnxruntime-web", *dist)
    (folder / SCRIPT).write_bytes(found[f"dist/{SCRIPT}"])
    for name, file in PARTS.items():
        put(folder, name, found[f"dist/{file}"])
    put(folder, "merges", gzip.decompress(Path(open_clip.tokenizer.default_bpe()).read_bytes()))
    detector = AnomalyDetector.load("course")
    with tempfile.TemporaryDirectory() as graphs:
        page_graphs.write(detector, Path(graphs))
        for graph in Path(graphs).glob("*.onnx"):
            put(folder, graph.stem, graph.read_bytes())
    text = json.dumps(facts(detector))
    (folder / "facts.js").write_text(f"aaclip.facts = {text};\n", encoding="utf-8")


def put(folder: Path, name: str, content: bytes) -> None:
    packed = base64.b64encode(gzip.compress(content, 4)).decode()
    (folder / f"{name}.js").write_text(f'aaclip.files["{name}"] = "{packed}";\n', encoding="ascii")


def facts(detector: AnomalyDetector) -> dict:
    """What the page has to know beside the graphs, each from its own place in the package."""
    clip, recipe = detector.model.clip, detector.model.recipe
    # what the page's own steps are written for
    assert recipe.image_score == "map_detection" and recipe.names == "plain"
    assert not recipe.align_corners and not detector.words
    assert decision.needed(decision.RATE) > MOST
    normal, abnormal = sentences("{}", recipe.states, recipe.templates)
    _, rows, other_row = page_graphs.known_rows(detector)
    products = factory.names("test")[::4]
    return {
        "image_size": clip.image_size,
        "grid": clip.grid,
        "context": clip.context,
        "sentences": normal + abnormal,
        "rows": rows,
        "other_row": other_row,
        "hottest": scoring.HOTTEST,
        "detection_factor": scoring.DETECTION,
        "any_product": detector.calibration[ANY],
        "spread": detector.few("references")["spread"],
        "fewest": decision.FEWEST,
        "most": MOST,
        "readings": READINGS,
        "trust": decision.TRUST,
        "reach": decision.REACH,
        "overlay": {"low": plots.LOW, "high": plots.HIGH},
        "opening": OPENING,
        "parts": [part for row, name in enumerate(products) for part in parts(name, row)],
        "references": {
            name: [address(drawn(name, number)) for number in range(decision.FEWEST)]
            for name in products
        },
    }


def parts(name: str, row: int) -> list[dict]:
    """A sound part and two defective ones; the kinds of defect take turns."""
    kinds = factory.kinds_for(name, False)
    pictures = [drawn(name, SOUND)]
    for turn in range(2):
        kind = kinds[(2 * row + turn) % len(kinds)]
        pictures.append(first_shown(name, DEFECTIVE + turn, kind))
    return [
        {
            "product": name,
            "words": plain_name(name),
            "defect": plain_name(p.defect or "sound"),
            "image": address(p),
        }
        for p in pictures
    ]


def first_shown(name: str, number: int, kind: str) -> factory.Picture:
    """The first part from this number on that can carry the defect."""
    while True:
        try:
            return drawn(name, number, kind)
        except factory.NotShown:
            number += 2


def drawn(name: str, number: int, defect: str | None = None) -> factory.Picture:
    return factory.draw(name, number, defect=defect, split="test", station=0)


def address(picture: factory.Picture) -> str:
    file = io.BytesIO()
    Image.fromarray(picture.image).save(file, "png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
