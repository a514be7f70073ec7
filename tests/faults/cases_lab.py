"""Laboratory commands: sizes that cannot be meant and places that cannot be written, before any
work; and walks, pipes and archives at doors that read.
"""

import os
import zipfile

from tests.faults import places
from tests.faults.cases_options import refused
from tests.faults.judge import Case, command

ABSURD = ("0", "-1", "nan", "1000000000")
NUMBERS = {  # tool: options that take a number
    "pretrain": ("--workers", "--batch", "--pool", "--layers", "--lr", "--save-every"),
    "levers": ("--batch", "--pool"),
    "yardsticks": ("--unet-steps", "--threads"),
    "deviations": ("--text-steps", "--every"),
    "crossing": ("--seeds", "--every"),
    "improvements": ("--seeds", "--every"),
    "bench": ("--rounds",),
    "real": ("--sizes", "--steps", "--count", "--shots"),
}
SECONDS = ("pretrain", "levers", "deviations", "crossing", "improvements", "real")
OTHERS = [  # words after `lab`, what the message names
    (["pretrain", "--device", "tpu"], "tpu"),
    (["pretrain", "--minutes", "0", "--out", "run"], "minutes"),
    (["pretrain", "--warm-start", "gone", "--out", "run"], "gone"),
    (["pretrain", "--patch-size", "400"], "patch-size"),
    (["pretrain", "--out", "file"], "file"),
    (["levers", "--only", "nothing"], "nothing"),
    (["levers", "--out", "file/below"], "file"),
    (["gates", "--folder", "gone"], "gone"),
    (["gates", "--folder", "empty", "--report"], "empty"),
    (["gates", "--folder", "{detector}"], "detector"),
    (["yardsticks", "--out", "file"], "file"),
    (["yardsticks", "--out", "empty", "--report"], r"yardsticks\.json"),
    (["deviations", "--fields", "nothing"], "nothing"),
    (["deviations", "--seeds", "-1"], "--seeds"),
    (["deviations", "--runs", "file"], "file"),
    (["crossing", "--out", "empty"], "empty"),
    (["crossing", "--out", "file/below.jsonl"], "file"),
    (["crossing", "--out", "{broken}"], r"broken\.jsonl"),
    (["improvements", "--out", "empty"], "empty"),
    (["improvements", "--only", "nothing"], "nothing"),
    (["improvements", "--out", "/dev/full/x.jsonl"], "/dev/full"),
    (["bench", "--seconds", "-1"], "--seconds"),
    (["bench", "--what", "nothing"], "nothing"),
    (["bench", "--public", "gone"], "--public"),
    (["bench", "--full", "--public", "gone"], "gone"),
    (["bench", "--out", "file"], "file"),
    (["real"], "--root"),
    (["real", "--root", "gone"], "gone"),
    (["real", "--root", "empty"], "empty"),
    (["real", "--root", "/proc"], "/proc"),
    (["real", "--root", "empty", "--data", "empty"], "empty"),
    (["real", "--root", "empty", "--seeds", "-5"], "--seeds"),
]


def walks(place, folder):
    """Everything that walks a folder refuses the system's own."""
    places.picture(folder / "part.png")
    for words in (["predict", "/proc"], ["eval", place.folder, "--data", "/proc"]):
        try:
            command(*words)
        except Exception as error:
            assert "/proc" in str(error), error
    command("predict", folder / "part.png", "--references", "/proc", "--product", "bolt")


def loop(place, folder):
    places.picture(folder / "photos" / "part.png")
    (folder / "photos" / "again").symlink_to(folder / "photos")
    (folder / "photos" / "more").symlink_to(folder)
    found = command("predict", "photos", "--detector", place.folder, "--product", "bolt")
    assert found.count("part.png") == 1


def piped(name: str, *words: str):
    """The command meets a pipe that nobody writes to, in place of the file `name`."""

    def run(place, folder):
        places.picture(folder / "part.png")
        (folder / "run").mkdir()
        os.mkfifo(folder / name)
        known = {"set": place.data, "detector": place.folder, "clip": place.root / "clip.json"}
        command(*(word.format(**known) for word in words))

    return run


PIPES = {
    "weights": ("own.pt", "predict", "part.png", "--clip", "{clip}", "--weights", "own.pt"),
    "config": ("own.json", "predict", "part.png", "--clip", "own.json"),
    "manifest": ("set.jsonl", "eval", "{detector}", "--data", "set.jsonl"),
    "calibrate": ("set.jsonl", "train", "--data", "{set}", "--calibrate", "set.jsonl"),
    "adapters": ("run/image.safetensors", "eval", "run", "--data", "{set}"),
    "doctor_log": ("run.jsonl", "doctor", "run.jsonl"),
    "doctor_weights": ("own.pth", "doctor", "own.pth"),
    "doctor_folder": ("run/text.safetensors", "doctor", "run"),
    "doctor_runlog": ("run/text.jsonl", "doctor", "run"),
    "predicted": ("part2.png", "predict", "part2.png", "--detector", "{detector}"),
    "base": ("run/text.safetensors", "train", "--base", "run", "--variant", "cross_attention"),
}


def bomb(name: str, inner: str, size: int):
    """An archive of zeros that takes a thousand times its size."""

    def run(place, folder):
        archive = zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED)
        with archive, archive.open(inner, "w") as file:
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))
        places.picture(folder / "part.png")
        place.mark()
        words = ["predict", "part.png", "--clip", place.root / "clip.json", "--weights", name]
        command(*words)

    return run


def broken_log(words: list[str]):
    inner = refused("lab", *(word.replace("{broken}", "broken.jsonl") for word in words))

    def run(place, folder):
        (folder / "broken.jsonl").write_text('{"name": \n{"name": "base"}\n')
        inner(place, folder)

    return run


def cases() -> list[Case]:
    found = []
    for tool, options in NUMBERS.items():
        for option in options:
            for number in ABSURD:
                run = refused("lab", tool, option, number)
                found.append(Case("laboratory", f"{tool}{option}-{number}", run, option))
    for tool in SECONDS:
        for number in ("-1", "nan", "inf", "1e9"):
            run = refused("lab", tool, "--minutes", number)
            found.append(Case("laboratory", f"{tool}--minutes-{number}", run, "--minutes"))
    for words, subject in OTHERS:
        name = "-".join(word.strip("-{}").replace("/", "_") for word in words)
        found.append(Case("laboratory", name, broken_log(words), subject))
    found.append(Case("walks", "proc", walks, "/proc"))
    found.append(Case("walks", "doctor_proc", refused("doctor", "/proc"), "/proc"))
    found.append(Case("walks", "train_proc", refused("train", "--data", "/proc"), "/proc"))
    found.append(Case("walks", "loop", loop, accepted=True))
    for what, (name, *words) in PIPES.items():
        subject = rf"{name.rpartition('/')[2].rpartition('.')[0]}|run"
        found.append(Case("walks", f"pipe_{what}", piped(name, *words), subject))
    zeros = 300 << 20
    found.append(Case("archives", "pickle", bomb("own.pt", "own/data.pkl", zeros), r"own\.pt"))
    script = bomb("own.pt", "own/code/data.pkl", zeros)
    found.append(Case("archives", "script", script, r"own\.pt"))
    return found
