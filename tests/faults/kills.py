"""Kill commands at moments that hurt, run them again, and compare with a run that nobody disturbed.

Special: this process loads everything once and forks a child for each run, so that a kill costs a
fraction of a second; a child sends itself SIGKILL, SIGTERM or SIGINT at a given one of its writes
to the disk (a flush, a rename, a removal), before or after it, or after a given time. What it leaves
must be readable to its end, and a detector among it that gives verdicts must be the older one or the
new one, never of both.
Use: `python -m tests.faults.kills --number 100`, which prints a table and exits 1 if a file differs.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# before torch: a child forked from a process with several compute threads can wait for them for ever
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

EVENTS = ("replace", "fsync", "unlink", "rename", "rmdir")
# what may differ between two runs: measured times and memory, locks
MEASURED = ("pictures_per_second", "memory_mb")
IGNORED = (".lock",)


SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Shot:
    """When a child ends itself: at one of its writes, before or after it, or after some seconds."""

    at: int | None = None
    after: bool = False
    seconds: float = 0
    by: signal.Signals = signal.SIGKILL


class Killer:
    """Counts a child's writes and ends it as the shot says."""

    def __init__(self, shot: Shot) -> None:
        self.shot = shot
        self.count = 0
        for name in EVENTS:
            setattr(os, name, self.wrapped(getattr(os, name)))
        if shot.seconds:
            signal.signal(signal.SIGALRM, self.fire)
            signal.setitimer(signal.ITIMER_REAL, shot.seconds)

    def fire(self, *_) -> None:
        os.kill(os.getpid(), self.shot.by)

    def wrapped(self, function: Callable) -> Callable:
        def counted(*given, **named):
            self.count += 1
            mine = self.count == self.shot.at
            if mine and not self.shot.after:
                self.fire()
            result = function(*given, **named)
            if mine and self.shot.after:
                self.fire()
            return result

        return counted


def run(action: Callable, shot: Shot = Shot()) -> tuple:
    """(ended by itself, its writes to the disk, seconds) of a child that does `action`."""
    reading, writing = os.pipe()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        # a shell that starts this in the background has it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        killer = Killer(shot)
        code = 1
        try:
            code = action() or 0
        finally:
            os.write(writing, str(killer.count).encode())
            os._exit(code if isinstance(code, int) else 0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    number = os.read(reading, 100).decode()
    os.close(reading)
    done = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    return done, int(number or 0), time.perf_counter() - began


def contents(folder: Path) -> dict[str, str]:
    """Every file's digest; of logs without what is measured."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in IGNORED:
            continue
        data = path.read_bytes()
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in data.decode().splitlines()]
            rows = [{k: v for k, v in row.items() if k not in MEASURED} for row in rows]
            data = json.dumps(rows).encode()
        if path.suffix == ".safetensors":
            size = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + size])
            header["__metadata__"].pop("losses", None)  # with speed and memory
            data = json.dumps(header, sort_keys=True).encode() + data[8 + size :]
        # curves draw what is measured, too
        data = b"" if path.name in ("text.png", "image.png") else data
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def torn(folder: Path) -> list[str]:
    """Files under their final names that cannot be read to their end."""
    import onnx
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    from aaclip_lite.files.keep import read_jsonl

    readers = {
        ".json": lambda path: json.loads(path.read_text()),
        ".jsonl": read_jsonl,
        ".onnx": lambda path: onnx.checker.check_model(onnx.load(path)),
        ".png": lambda path: Image.open(path).load(),
        ".resume": lambda path: torch.load(path, weights_only=True),
        ".safetensors": load_file,
    }
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix in readers and not hidden:
            try:
                readers[path.suffix](path)
            except Exception as error:  # each reader has its own
                found.append(f"{path.name} is torn ({type(error).__name__}: {error})")
    return found


def verdict(folder: Path) -> float | None:
    """The score with which a folder's detector gives a verdict; None if it gives none."""
    from aaclip_lite.detector import AnomalyDetector
    from tests.faults import places

    try:
        detector = AnomalyDetector.load(folder)
    except (ValueError, OSError):  # refused: nobody takes it for whole
        return None
    found = detector.predict(places.pixels(0), "bolt", any_product=True)
    return None if found.is_anomalous is None else round(found.score / found.threshold, 4)


@dataclass(frozen=True)
class Action:
    """What a child does in the folder it stands in, and the folder that already lies there as out."""

    do: Callable
    older: Path | None = None
    detector: bool = True  # out becomes a detector


def actions(place: Path) -> dict[str, Action]:
    from aaclip_lite.__main__ import main
    from tests.faults import places

    data, detector, clip = str(place / "set"), str(place / "detector"), places.clip_options(place)

    def export():
        from aaclip_lite.detector import AnomalyDetector

        AnomalyDetector.load(detector).to_onnx("out/bolt.onnx", "bolt")

    def save():
        from aaclip_lite.detector import AnomalyDetector

        AnomalyDetector.load(detector).save("out")

    def command(*words: str) -> Callable:
        return lambda: main([*words, "--out", "out"])

    predict = ["predict", str(place / "photos"), "--detector", detector, "--product", "bolt"]
    evaluate = ["eval", detector, "--data", data, "--no-baselines", "--rounds", "2"]
    train = ["train", "--data", data, *clip, *places.SHORT]
    return {
        "train": Action(command(*train)),
        "anew": Action(command(*train, "--no-resume"), place / "older"),
        "variant": Action(command(*train, "--variant", "cross_attention")),
        "save": Action(save, place / "older"),
        "predict": Action(command(*predict), detector=False),
        "eval": Action(command(*evaluate), detector=False),
        "factory": Action(command("factory", "--size", "64", "--splits", "val"), detector=False),
        "export": Action(export, detector=False),
    }


def shots(number: int, writes: int, seconds: float) -> list[Shot]:
    """Half of them at writes, the others at times, each signal in turn."""
    times = np.linspace(0.1, 0.95, number)
    found = []
    for i in range(number):
        by = SIGNALS[i // 2 % len(SIGNALS)]
        if i % 2 and writes:
            found.append(Shot(1 + i * writes // number, after=i % 4 == 1, by=by))
        else:
            found.append(Shot(seconds=float(times[i]) * seconds, by=by))
    return found


def trial(action: Action, number: int, folder: Path) -> tuple[Counter, list[str]]:
    """(kills by signal, what was wrong at once or differed afterwards)"""

    def fresh(name: str) -> Path:
        place = folder / name
        place.mkdir(parents=True)
        os.chdir(place)
        if action.older:
            shutil.copytree(action.older, place / "out")
        return place

    place = fresh("whole")
    done, writes, seconds = run(action.do)
    if not done:
        return Counter(), ["the undisturbed run failed"]
    wanted = contents(place)
    known = {None, verdict(place / "out"), action.older and verdict(action.older)}
    kills, wrong = Counter(), []
    for i, shot in enumerate(shots(number, writes, seconds)):
        place = fresh(f"killed{i}")
        if not run(action.do, shot)[0]:
            kills[shot.by] += 1
        said = torn(place)
        if action.detector and (taken := verdict(place / "out")) not in known:
            said.append(f"a detector of two trainings gives verdicts ({taken}, {known})")
        again = run(action.do)[0]
        found = contents(place)
        if not again or found != wanted:
            files = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            said.append(", ".join(files) or "failed")
        wrong += [f"{shot} of {writes} writes: {each}" for each in said]
        os.chdir(folder)
        shutil.rmtree(place)
    return kills, wrong


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--number", type=int, default=10)
    options.add_argument("--only", nargs="*", default=())
    options = options.parse_args()
    from aaclip_lite.course import plots  # noqa: F401  loaded once, before any fork
    from tests.faults import places

    with tempfile.TemporaryDirectory() as folder:
        place = places.write_clip(Path(folder))
        places.write_detector(place)
        places.write_older(place)
        places.write_set(place / "set")
        for i in range(6):
            places.picture(place / "photos" / f"{i}.png", i)
        chosen = {n: a for n, a in actions(place).items() if not options.only or n in options.only}
        share = -(-options.number // len(chosen))
        failed = False
        names = [by.name for by in SIGNALS]
        print(f"{'command':10}" + "".join(f"{n:>9}" for n in (*names, "wrong", "seconds")))
        for name, action in chosen.items():
            began = time.perf_counter()
            kills, wrong = trial(action, share, place / "runs" / name)
            os.chdir(folder)
            numbers = [*(kills[by] for by in SIGNALS), len(wrong)]
            numbers.append(round(time.perf_counter() - began))
            print(f"{name:10}" + "".join(f"{n:9}" for n in numbers), flush=True)
            for line in wrong:
                print(f"  {line}")
            failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
