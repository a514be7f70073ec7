"""Options of the command line that cannot be meant, and places where nothing can be written."""

import os

from tests.faults import places
from tests.faults.judge import Case, command


def refused(*words: str):
    """Words in which {set}, {detector}, {raw}, {part}, {clip} stand for what is there."""

    def run(place, folder):
        part = places.picture(folder / "part.png")
        (folder / "file").write_text("mine")
        (folder / "empty").mkdir()
        known = {"set": place.data, "detector": place.folder, "raw": place.raw, "part": part}
        known |= {"folder": folder, "clip": place.root / "clip.json"}
        filled = []
        for word in words:
            filled += place.options if word == "{options}" else [word.format(**known)]
        place.mark()
        command(*filled)

    return run


PREDICT = ["predict", "{part}", "--detector", "{detector}", "--product", "bolt"]
TRAIN = ["train", "--data", "{set}", "--out", "run", "{options}", *places.SHORT]
EVAL = ["eval", "{detector}", "--data", "{set}", "--no-baselines"]
NUMBERS = ("-1", "nan", "inf", "1e400", "ten", "0x10", "1.5", "99999999999999999999")


def table() -> list[tuple[list[str], str]]:
    """(words, what the message names)"""
    rows = [
        (["predict"], "file or folder"),
        (["predict", ""], "empty|''"),
        (["predict", "gone.png"], r"gone\.png"),
        (["predict", "empty"], "empty"),
        (["predict", "file"], "file"),
        ([*PREDICT[:2], "--detector", ""], "--detector"),
        ([*PREDICT[:2], "--detector", "gone"], "gone"),
        ([*PREDICT[:2], "--detector", "runs/nope"], "runs/nope"),
        ([*PREDICT[:2], "--detector", "owner/name"], "owner/name"),
        ([*PREDICT[:2], "--detector", "hf:owner/name"], "owner/name"),
        ([*PREDICT[:2], "--detector", "hf:"], "hf:"),
        ([*PREDICT[:2], "--detector", "file"], "file"),
        ([*PREDICT[:2], "--detector", "empty"], "empty"),
        ([*PREDICT[:4], "--product", ""], "--product"),
        ([*PREDICT[:4], "--product", " "], "--product|class name|' '"),
        ([*PREDICT[:4], "--product"], "--product"),
        ([*PREDICT, "--product", "nut"], "--product"),
        ([*PREDICT, "--words", ""], "--words"),
        ([*PREDICT, "--out", ""], "--out"),
        ([*PREDICT, "--out", "file"], "file"),
        ([*PREDICT, "--out", "file/below"], "file/below"),
        ([*PREDICT, "--out", "{part}"], r"part\.png"),
        ([*PREDICT, "--out", "a\0b"], "zero byte"),
        ([*PREDICT, "--out", "/proc/nothing"], "/proc/nothing"),
        ([*PREDICT, "--calibrate", "gone"], "gone"),
        ([*PREDICT, "--calibrate", "{part}"], r"part\.png"),
        ([*PREDICT, "--calibrate", "empty"], "empty"),
        ([*PREDICT, "--calibrate", "."], "1 sound"),
        ([*PREDICT, "--false-alarms", "0.1"], "--false-alarms"),
        ([*PREDICT[:2], "--detector", "{raw}", "--fail-on-anomaly"], "--fail-on-anomaly"),
        ([*PREDICT, "--device", "tpu"], "tpu"),
        ([*PREDICT, "--device", "cuda:99"], "cuda"),
        ([*PREDICT, "--nonsense"], "nonsense"),
        ([*PREDICT, "--nonsense", "3"], "nonsense"),
        ([*PREDICT, "--clip", "gone"], "gone"),
        ([*PREDICT, "--clip", "{part}"], r"part\.png"),
        ([*PREDICT, "--weights", "gone.pt"], r"gone\.pt|weights"),
        ([*TRAIN, "--data", "{set}"], "--data"),
        ([*TRAIN, "extra"], "extra"),
        (["train", "--data", "gone"], "gone"),
        (["train", "--data", "{part}"], r"part\.png"),
        (["train", "--data", "file"], "file"),
        (["train", "--data", "empty", "--out", "run"], "empty"),
        (["train", "--data", ""], "--data"),
        (["train", "--data", "factory/nothing"], "factory/nothing"),
        ([*TRAIN, "--stage", "all"], "all|--stage"),
        ([*TRAIN, "--stage", "text", "--calibrate", "{set}"], "--calibrate"),
        ([*TRAIN, "--stage", "text", "--false-alarms", "0.1"], "--false-alarms"),
        ([*TRAIN, "--stage", "image", "--views", "2"], "--views"),
        ([*TRAIN, "--calibrate", "gone"], "gone"),
        ([*TRAIN, "--calibrate", "file"], "file"),
        ([*TRAIN, "--false-alarms", "0.001"], "--false-alarms|false-alarm"),
        ([*TRAIN[:3], "--out", "file", "{options}"], "file"),
        ([*TRAIN[:3], "--out", "", "{options}"], "--out"),
        ([*TRAIN, "--shots", "3"], "--shots"),
        ([*TRAIN, "--shots", "0"], "--shots"),
        ([*TRAIN, "--shots", "5000"], "5000-shot|--shots"),
        ([*TRAIN, "--views", "0"], "--views"),
        ([*TRAIN, "--recipe.text-lr", "0"], "text-lr"),
        ([*TRAIN, "--recipe.image-lr", "10"], "image-lr"),
        ([*TRAIN, "--recipe.image-lr", "-1"], "image-lr|image_lr"),
        ([*TRAIN, "--recipe.levels", "9"], "levels"),
        ([*TRAIN, "--recipe.levels", "2", "1"], "levels"),
        ([*TRAIN, "--recipe.image-mix", "2"], "image_mix|image-mix"),
        ([*TRAIN, "--recipe.nothing", "2"], "nothing"),
        ([*TRAIN, "--preset", "best"], "best|preset"),
        ([*TRAIN, "--image-size", "33"], "33|image_size"),
        ([*EVAL, "--data", "{set}"], "--data"),
        (["eval", "{detector}", "--data", "gone"], "gone"),
        (["eval", "{detector}", "--data", "{part}"], r"part\.png"),
        (["eval", "gone", "--data", "{set}"], "gone"),
        (["eval", "{detector}", "--data", "empty"], "empty"),
        ([*EVAL, "--out", "file"], "file"),
        ([*EVAL, "--out", ""], "--out"),
        ([*EVAL, "--probe-data", "{set}"], "--probe-data"),
        (["eval", "{detector}", "--data", "{set}", "--probe-data", "gone"], "gone"),
        ([*EVAL, "--domain", "space"], "space|--domain"),
        ([*EVAL, "--stage", "all"], "all|--stage"),
        ([*EVAL, "--shots", "1"], "--shots"),
        ([*EVAL, "--rounds", "10000000"], "--rounds"),
        (["doctor"], "file or folder"),
        (["doctor", "gone"], "gone"),
        (["doctor", "gone.safetensors"], r"gone\.safetensors"),
        (["doctor", "{part}"], r"part\.png"),
        (["doctor", "file"], "file"),
        (["doctor", ""], "empty"),
        (["factory", "--size", "63"], "--size"),
        (["factory", "--size", "5000"], "--size"),
        (["factory", "--splits", "all"], "all|--splits"),
        (["factory", "--splits"], "--splits"),
        (["factory", "--out", "file"], "file"),
        (["factory", "--out", ""], "--out"),
        (["demo", "--out", "empty"], "empty"),
        (["demo", "--out", ""], "--out"),
        (["demo", "--out", "file/x.png"], "file/x|--out"),
        (["demo", "--good-parts", "3"], "--good-parts"),
        (["demo", "--good-parts", "100000"], "--good-parts"),
        (["demo", "--detector", "gone"], "gone"),
        (["recipes", "--nonsense"], "nonsense"),
        (["recipes", "extra"], "extra"),
        (["sing"], "sing"),
        (["bench"], "bench"),
        (["lab", "sing"], "sing"),
        (["lab", "bench", "--nonsense"], "nonsense"),
    ]
    for number in NUMBERS:
        rows += [
            ([*TRAIN, "--seed", number], "--seed"),
            ([*EVAL, "--rounds", number], "--rounds"),
            ([*TRAIN, "--shots", number], "--shots"),
        ]
        if number not in ("1.5",):
            calibrated = ["--calibrate", "{set}", "--false-alarms", number]
            rows.append(([*PREDICT, *calibrated], "--false-alarms"))
    rows += [
        ([*PREDICT, "--calibrate", "{set}", "--false-alarms", rate], "--false-alarms")
        for rate in ("0", "1", "5")
    ]
    rows += [([*EVAL, "--rounds", "0"], "--rounds"), (["factory", "--size", "0"], "--size")]
    return rows


def not_writable(place, folder):
    part = places.picture(folder / "part.png")
    if os.geteuid() == 0:  # root may write anywhere but here
        command("predict", part, "--detector", place.folder, "--out", "/proc/self/fd/none")
    (folder / "closed").mkdir(mode=0o500)
    command("predict", part, "--detector", place.folder, "--out", "closed/heat")


def full_disk(place, folder):
    part = places.picture(folder / "part.png")
    command("predict", part, "--detector", place.folder, "--out", "/dev/full")


def cases() -> list[Case]:
    found = []
    for i, (words, subject) in enumerate(table()):
        name = "-".join([f"{i:03}", *(word.strip("-{}") for word in words[-2:])])
        name = name.replace("\0", "0").replace("/", "_")
        found.append(Case("options", name, refused(*words), subject))
    found.append(Case("outputs", "not_writable", not_writable, "closed|/proc"))
    found.append(Case("outputs", "full", full_disk, "/dev/full"))
    return found
