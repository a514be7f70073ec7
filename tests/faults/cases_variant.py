"""The cross-attention variant at the command line and on disk, and trainings that say beforehand
what they will take.
"""

import json
import shutil

import aaclip_lite as aa
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.recipe import Recipe
from aaclip_lite.service import scaling
from aaclip_lite.variants.cross_attention import CrossAttentionCLIP, load_base
from tests.faults import places
from tests.faults.cases_calls import wrong
from tests.faults.cases_detector import rewritten_in
from tests.faults.cases_options import TRAIN, refused
from tests.faults.judge import Case, command

NAN, INFINITE = float("nan"), float("inf")
ATTENTIVE = [*TRAIN, "--variant", "cross_attention"]
XAVIER = ["--recipe.adapter-init", "xavier"]  # as the detector that serves as a base has it


def folder_of(place):
    """A calibrated detector of the variant, made once."""
    made = place.root / "variant"
    if not made.exists():
        model = CrossAttentionCLIP(place.clip, Recipe.course().replace(adapter_init="xavier"))
        source = {"source": str(place.root / "clip.json"), "weights": str(place.root / "clip.pt")}
        detector = AnomalyDetector(model, backbone=source)
        detector.calibrate([places.pixels(100 + i) for i in range(20)], "bolt")
        detector.save(made)
    return made


def header(value: object, name: str = "image.safetensors"):
    """The variant's folder with another value in the header of one file."""

    def change(tensors, metadata):
        metadata["variant"] = json.dumps(value)

    def run(place, folder):
        kept = shutil.copytree(folder_of(place), folder / "kept")
        rewritten_in(kept / name, change)
        place.mark()
        AnomalyDetector.load(kept, clip=place.clip)

    return run


NAMED = {"name": "cross_attention", "version": "v3", "heads": 8}
HEADERS = {
    "unknown": {"name": "telepathy"},
    "no_name": {"version": "v3"},
    "number": {"name": 3},
    "another": {"name": "distillation"},
    "list": [NAMED],
    "text": "cross_attention",
    "empty": {},
    "version": NAMED | {"version": "v9"},
    "version_number": NAMED | {"version": 3},
    "other_version": NAMED | {"version": "v1"},
    "heads_0": NAMED | {"heads": 0},
    "heads_negative": NAMED | {"heads": -1},
    "heads_text": NAMED | {"heads": "8"},
    "heads_float": NAMED | {"heads": 8.0},
    "heads_many": NAMED | {"heads": 10**9},
    "heads_other": NAMED | {"heads": 2},
    "key": NAMED | {"nonsense": 1},
    "clip": NAMED | {"clip": "lite"},
    "path": {"name": "../lab"},
}


def no_header(place, folder):
    kept = shutil.copytree(folder_of(place), folder / "kept")
    rewritten_in(kept / "image.safetensors", lambda tensors, metadata: metadata.pop("variant"))
    AnomalyDetector.load(kept, clip=place.clip)


def mixed(place, folder):
    """Words of the method, pictures of the variant."""
    kept = shutil.copytree(folder_of(place), folder / "kept")
    shutil.copy(place.folder / "text.safetensors", kept / "text.safetensors")
    AnomalyDetector.load(kept, clip=place.clip)


def torn_apart(place, folder):
    """A save that was stopped between the adapters and the notes."""
    kept = shutil.copytree(place.folder, folder / "kept")
    detector = AnomalyDetector.load(kept, clip=place.clip)
    for weight in detector.model.image_adapter.parameters():
        weight.data.mul_(1.5)
    detector.save(folder / "new")
    shutil.copy(folder / "new" / "image.safetensors", kept / "image.safetensors")
    place.mark()
    AnomalyDetector.load(kept, clip=place.clip)


def other_references(place, folder):
    kept = shutil.copytree(place.folder, folder / "kept")
    detector = AnomalyDetector.load(kept, clip=place.clip)
    detector.remember([places.pixels(i) for i in range(6)], "bolt").save(kept)
    detector.remember([places.pixels(9 + i) for i in range(6)], "bolt").save(folder / "new")
    shutil.copy(folder / "new" / "references.safetensors", kept / "references.safetensors")
    place.mark()
    AnomalyDetector.load(kept, clip=place.clip)


def works(*words: str):
    """A command on the variant's folder that has to work; {variant} stands for it."""

    def run(place, folder):
        for i in range(6):
            places.picture(folder / "good" / f"{i}.png", i)
        known = {"variant": folder_of(place), "set": place.data}
        assert "traceback" not in command(*(w.format(**known) for w in words)).lower()

    return run


def doctor(place, folder):
    """It has not been trained, which the doctor says; it is not broken, nor of another model."""
    said = json.loads(command("doctor", folder_of(place), "--json", *place.options))
    verdicts = {each["kind"]: each["verdict"] for each in said}
    assert verdicts["checkpoint"] == "untrained" and "anchors" in verdicts, verdicts


def bases(folder):
    (folder / "half").mkdir()
    shutil.copy(folder / "kept" / "text.safetensors", folder / "half")


def on_base(*words: str):
    """--base {half}: a run's folder without its image adapters; {variant}: of the variant."""

    def run(place, folder):
        shutil.copytree(place.folder, folder / "kept")
        bases(folder)
        filled = [w.format(variant=folder_of(place)) if "{v" in w else w for w in words]
        refused(*ATTENTIVE, *XAVIER, *filled)(place, folder)

    return run


def damaged_base(place, folder):
    kept = shutil.copytree(place.folder, folder / "kept")
    data = (kept / "text.safetensors").read_bytes()
    (kept / "text.safetensors").write_bytes(data[:-40])
    refused(*ATTENTIVE, "--base", "kept")(place, folder)


def other_recipe(place, folder):
    shutil.copytree(place.folder, folder / "kept")
    refused(*ATTENTIVE, "--base", "kept")(place, folder)


def base_in_out(place, folder):
    """The base's own folder as --out: its files are another system's."""
    shutil.copytree(place.folder, folder / "run")
    refused(*ATTENTIVE, *XAVIER, "--base", "run")(place, folder)


OPTIONS = [  # words behind a training, what the message names
    ([*TRAIN, "--variant", "telepathy"], "telepathy"),
    ([*TRAIN, "--variant", ""], "--variant"),
    ([*TRAIN, "--residual", "v1"], "--residual"),
    ([*TRAIN, "--base", "empty"], "--base"),
    ([*ATTENTIVE, "--residual", "v4"], "v4|residual"),
    ([*ATTENTIVE, "--residual", ""], "--residual"),
    ([*ATTENTIVE, "--base", "gone"], "gone"),
    ([*ATTENTIVE, "--base", "file"], "file"),
    ([*ATTENTIVE, "--base", "empty"], "empty"),
    ([*ATTENTIVE, "--base", ""], "--base"),
    ([*ATTENTIVE, "--base", "hf:owner/name"], "owner/name"),
    ([*ATTENTIVE, "--variant", "cross_attention"], "--variant"),
]


def scaled(**given):
    """scale_up with these arguments, which it refuses before it measures or trains anything."""

    def run(place, folder):
        if not hasattr(place, "set"):
            place.set = aa.open_dataset(place.data, size=places.SIDE)
        (folder / "file").write_text("mine")
        place.mark()
        known = {"model": place.model, "data": place.set, "out": folder / "run"}
        known |= {
            k: folder / v if k == "out" and isinstance(v, str) else v for k, v in given.items()
        }
        aa.scale_up(**known)

    return run


SCALES = {
    "price": (NAN, INFINITE, -1, "free", None, True),
    "probe": (0, -1, 1.5, "ten", None, True, 10**9),
    "out": ("file", "file/below", None, 3),
    "steps": (0, -1, "many", 2.5),
    "seed": (-1, "one"),
    "batch": (4,),
    "checkpointing": (True,),
    "views": (2,),
    "nonsense": (1,),
}


def of_plan(place, folder):
    if not hasattr(place, "set"):
        place.set = aa.open_dataset(place.data, size=places.SIDE)
    scaling.plan(place.model, place.set, price=NAN)


def cases() -> list[Case]:
    found = []
    for name, value in HEADERS.items():
        found.append(Case("variant", f"header_{name}", header(value), r"\.safetensors"))
    text = header(HEADERS["unknown"], "text.safetensors")
    found += [
        Case("variant", "header_of_text_file", text, r"text\.safetensors"),
        Case("variant", "header_gone", no_header, r"safetensors"),
        Case("variant", "mixed", mixed, r"text\.safetensors"),
        Case("variant", "doctor", doctor, accepted=True),
        Case("adapters", "notes_of_others", torn_apart, r"detector\.json"),
        Case("adapters", "other_references", other_references, r"detector\.json"),
    ]
    predict = ["predict", "good", "--detector", "{variant}", "--product", "bolt"]
    evaluate = ["eval", "{variant}", "--data", "{set}", "--no-baselines", "--rounds", "2"]
    for name, words in {
        "predict": predict,
        "references": [*predict, "--references", "good"],
        "out": [*predict, "--out", "marked"],
        "eval": [*evaluate, "--out", "report"],
        "eval_image": [*evaluate, "--stage", "image"],
        "eval_text": [*evaluate, "--stage", "text"],
    }.items():
        found.append(Case("variant", name, works(*words), accepted=True))
    for i, (words, subject) in enumerate(OPTIONS):
        found.append(Case("variant", f"option_{i}-{words[-1]}"[:40], refused(*words), subject))
    found += [
        Case("variant", "base_half", on_base("--base", "half"), "half"),
        Case("variant", "base_of_other_recipe", other_recipe, r"kept/text\.safetensors"),
        Case("variant", "base_of_variant", on_base("--base", "{variant}"), "variant"),
        Case("variant", "base_damaged", damaged_base, r"kept/text\.safetensors"),
        Case("variant", "base_in_out", base_in_out, r"run/text\.safetensors|run"),
        Case("variant", "plan_price", of_plan, "price"),
    ]
    for argument, values in SCALES.items():
        for i, value in enumerate(values):
            run = scaled(**{argument: value})
            found.append(Case("scale_up", f"{argument}-{i}-{value}"[:40], run, argument))
    for argument in ("model", "data"):
        for kind, value in wrong().items():
            run = scaled(**{argument: value})
            found.append(Case("scale_up", f"{argument}-{kind}", run, argument))
    for kind, value in wrong("none").items():

        def run(place, folder, value=value):
            load_base(CrossAttentionCLIP(place.clip, Recipe.course()), value)

        found.append(Case("variant", f"load_base-{kind}", run, "text|base"))
    return found
