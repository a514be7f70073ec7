"""Files of a detector and of a run: detector.json, adapters, resume files, configs, weights."""

import json
import shutil

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from tests.faults.judge import Case, command

NAN, INFINITE = float("nan"), float("inf")


def copy_of(place, folder):
    return shutil.copytree(place.folder, folder / "kept")


# ---- detector.json -------------------------------------------------------------------------------


def with_value(path: str, value: object):
    """One value of detector.json replaced, its path as a.b.c; a missing key is added."""

    def run(place, folder):
        kept = copy_of(place, folder)
        notes = json.loads((kept / "detector.json").read_text())
        *way, last = path.split(".")
        at = notes
        for name in way:
            at = at[name]
        at[last] = value
        (kept / "detector.json").write_text(json.dumps(notes))
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


def with_bytes(data: bytes):
    def run(place, folder):
        kept = copy_of(place, folder)
        (kept / "detector.json").write_bytes(data)
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


def with_encoding(encoding: str):
    def run(place, folder):
        kept = copy_of(place, folder)
        text = (kept / "detector.json").read_text()
        (kept / "detector.json").write_text(text, encoding=encoding)
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


VALUES = {
    "calibration.bolt.threshold": (NAN, INFINITE, -INFINITE, -1000, True, "2", [2], 1e300),
    "calibration.bolt.score": ([0, 0], [0, -1], [NAN, 1], [0, INFINITE], [0], 3, None, ["0", "1"]),
    "calibration.bolt.map": ([0, 0], [0, -2.5], [0, NAN], {}, [0, 1, 2], [True, 1]),
    "calibration.bolt.false_alarms": (5, 0, -0.1, NAN, True, "0.05", 1),
    "calibration.bolt.pictures": (0, -3, 2.5, True, "20"),
    "calibration.bolt.nonsense": (1,),
    "calibration.bolt": (None, [], 3),
    "calibration": ([], "none", 7),
    "nonsense": (1,),
    "domain": ("space", 3, None, ""),
    "words": ([], {"bolt": 3}, {"bolt": ""}, {"bolt": "x" * 131_072}),
    "backbone": ([], "lite", 3, {"sauce": "lite"}, {"source": 3}, {"source": "lite", "device": 1}),
    "backbone.image_size": (0, -32, 2.5, 10**9, "32", True),
    "backbone.weights": (3, ["a"]),
}
TEXTS = {
    "empty": b"",
    "cut": b'{"domain": "indus',
    "list": b"[]",
    "number": b"3",
    "null": b"null",
    "binary": bytes(range(256)),
    "deep": b'{"words": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "twice": b'{"domain": "industrial", "domain": "medical"}',
    "digits": b'{"words": ' + b"9" * 10_000 + b"}",
    "python": b"{'domain': 'industrial'}",
    "latin": '{"words": {"bolt": "grün"}}'.encode("latin-1"),
}


# ---- adapters ------------------------------------------------------------------------------------


def flipped(name: str, share: float):
    """One byte of the numbers changed."""

    def run(place, folder):
        kept = copy_of(place, folder)
        data = bytearray((kept / name).read_bytes())
        head = 8 + int.from_bytes(data[:8], "little")
        data[head + int(share * (len(data) - head - 1))] ^= 64
        (kept / name).write_bytes(data)
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


def cut(name: str, share: float):
    def run(place, folder):
        kept = copy_of(place, folder)
        data = (kept / name).read_bytes()
        (kept / name).write_bytes(data[: int(share * len(data))])
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


def rewritten_in(path, change) -> None:
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


def rewritten(name: str, change):
    """Tensors and metadata changed by change(tensors, metadata), checksum left as it was."""

    def run(place, folder):
        kept = copy_of(place, folder)
        rewritten_in(kept / name, change)
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


def no_number(tensors, metadata):
    first = sorted(tensors)[0]
    tensors[first] = torch.full_like(tensors[first], NAN)
    metadata.pop("checksum", None)


def one_gone(tensors, metadata):
    tensors.pop(sorted(tensors)[0])
    metadata.pop("checksum", None)


def meta(key: str, value: str):
    def change(tensors, metadata):
        metadata[key] = value

    return change


def without_text(place, folder):
    kept = copy_of(place, folder)
    (kept / "text.safetensors").unlink()
    place.mark()
    AnomalyDetector.load(kept, clip=place.clip)


def of_another_training(place, folder):
    """The text adapters of one detector, the image adapters of another."""
    kept = copy_of(place, folder)
    torch.manual_seed(9)
    other = AnomalyDetector.load(place.folder, clip=place.clip)
    for weight in other.model.text_adapter.parameters():
        weight.data.add_(0.1)
    other.save(folder / "other")
    shutil.copy(folder / "other" / "text.safetensors", kept / "text.safetensors")
    place.mark()
    AnomalyDetector.load(kept, clip=place.clip)


def swapped(place, folder):
    kept = copy_of(place, folder)
    shutil.copy(kept / "text.safetensors", kept / "image.safetensors")
    place.mark()
    AnomalyDetector.load(kept, clip=place.clip)


def endless_weights(place, folder):
    """Weights that make every score NaN are refused before a verdict."""
    detector = AnomalyDetector.load(place.folder, clip=place.clip)
    for weight in detector.model.image_adapter.parameters():
        weight.data.fill_(NAN)
    detector.predict(folder.joinpath("none").parent and torch.rand(3, 32, 32), "bolt")


def endless_saved(place, folder):
    detector = AnomalyDetector.load(place.folder, clip=place.clip)
    entry = dict(detector.calibration["bolt"], threshold=NAN)
    detector.calibration = {"bolt": entry}
    detector.save(folder / "out")


# ---- configs and weights of a CLIP ---------------------------------------------------------------


def config(text: str | bytes):
    def run(place, folder):
        data = text.encode() if isinstance(text, str) else text
        (folder / "clip.json").write_bytes(data)
        place.mark()
        load_clip(str(folder / "clip.json"), weights=None)

    return run


def weights(data: bytes, name: str = "own.pt"):
    def run(place, folder):
        (folder / name).write_bytes(data)
        place.mark()
        load_clip(str(place.root / "clip.json"), weights=str(folder / name))

    return run


def endless_clip(place, folder):
    state = torch.load(place.root / "clip.pt", weights_only=True)
    state["logit_scale"] = torch.tensor(NAN)
    state["visual.proj"] = torch.full_like(state["visual.proj"], NAN)
    torch.save(state, folder / "own.pt")
    load_clip(str(place.root / "clip.json"), weights=str(folder / "own.pt"))


CONFIGS = {
    "empty": "",
    "list": "[]",
    "cut": '{"embed_dim": 16',
    "nan": '{"embed_dim": NaN, "vision_cfg": {}, "text_cfg": {}}',
    "deep": "[" * 100_000,
    "nothing": "{}",
    "texts": '{"embed_dim": "16", "vision_cfg": {}, "text_cfg": {}}',
    "lists": '{"embed_dim": 16, "vision_cfg": [], "text_cfg": []}',
    "negative": '{"embed_dim": -16, "vision_cfg": {"layers": 2}, "text_cfg": {"layers": 2}}',
    "layers": '{"embed_dim": 16, "vision_cfg": {"layers": 1000000}, "text_cfg": {"layers": 2}}',
    "width": '{"embed_dim": 16, "vision_cfg": {"width": 100000000}, "text_cfg": {"layers": 2}}',
    "utf16": '{"embed_dim": 16}'.encode("utf-16"),
}


# ---- a run's files -------------------------------------------------------------------------------


def doctor_of(name: str, data: bytes):
    def run(place, folder):
        (folder / name).write_bytes(data)
        place.mark()
        found = command("doctor", folder / name, "--json")
        assert "broken" in found or "sound" not in found

    return run


def cases() -> list[Case]:
    found = []
    for path, values in VALUES.items():
        for i, value in enumerate(values):
            named = rf"detector\.json(.|\n)*{path.split('.')[-1]}"
            name = f"{path}-{i}-{str(value)[:12]}"
            found.append(Case("detector.json", name, with_value(path, value), named))
    for name, data in TEXTS.items():
        found.append(Case("detector.json", name, with_bytes(data), r"detector\.json"))
    found.append(Case("detector.json", "utf16", with_encoding("utf-16"), r"detector\.json"))
    mark = with_encoding("utf-8-sig")
    found.append(Case("detector.json", "byte_order_mark", mark, accepted=True))
    for name in ("text.safetensors", "image.safetensors"):
        ending = name.replace(".", r"\.")
        for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
            case = Case("adapters", f"flipped-{name}-{share}", flipped(name, share), ending)
            found.append(case)
        for share in (0.0, 0.001, 0.2, 0.99):
            found.append(Case("adapters", f"cut-{name}-{share}", cut(name, share), ending))
        changes = {
            "nan": no_number,
            "gone": one_gone,
            "format": meta("format", "mine"),
            "stage": meta("stage", '"both"'),
            "recipe": meta("recipe", "[]"),
            "recipe_field": meta("recipe", '{"nonsense": 1}'),
            "recipe_json": meta("recipe", "{"),
            "backbone": meta("backbone", "null"),
            "checksum": meta("checksum", '"00"'),
            "step": meta("step", "NaN"),
        }
        for what, change in changes.items():
            found.append(Case("adapters", f"{what}-{name}", rewritten(name, change), ending))
    found += [
        Case("adapters", "without_text", without_text, r"text\.safetensors"),
        Case("adapters", "of_another_training", of_another_training, r"text adapters"),
        Case("adapters", "swapped", swapped, r"image\.safetensors|stage"),
        Case("not finite", "weights", endless_weights, "finite|nan"),
        Case("not finite", "threshold", endless_saved, r"detector\.json"),
        Case("not finite", "clip", endless_clip, r"own\.pt"),
        Case("weights", "empty", weights(b""), r"own\.pt"),
        Case("weights", "text", weights(b"hello"), r"own\.pt"),
        Case("weights", "zip", weights(b"PK\x03\x04" + bytes(100)), r"own\.pt"),
        Case("weights", "safetensors", weights(bytes(8), "own.safetensors"), r"own\.safetensors"),
        Case(
            "weights",
            "header",
            weights(b"\xff" * 8 + b"{}", "own.safetensors"),
            r"own\.safetensors",
        ),
    ]
    for name, text in CONFIGS.items():
        found.append(Case("config", name, config(text), r"clip\.json"))
    return found
