"""Kill commands at moments that hurt, run them again, and compare with a run that nobody disturbed.

Special: this process loads everything once and forks a child for each run, so that a kill costs a
fraction of a second; a child kills itself (SIGKILL) at a given one of its writes to the disk (a
flush, a rename, a removal), before or after it, or after a given time.
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
from collections.abc import Callable
from pathlib import Path

# before torch: a child forked from a process with several compute threads can wait for them for ever
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

EVENTS = ("replace", "fsync", "unlink", "rename", "rmdir")
# what may differ between two runs: measured times and memory, locks
MEASURED = ("pictures_per_second", "memory_mb")
IGNORED = (".lock",)


class Killer:
    """Counts a child's writes and ends it at one of them."""

    def __init__(self, at: int | None, after: bool) -> None:
        self.at = at
        self.after = after
        self.count = 0
        for name in EVENTS:
            setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, function: Callable) -> Callable:
        def counted(*given, **named):
            self.count += 1
            mine = self.count == self.at
            if mine and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*given, **named)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


def run(action: Callable, at: int | None = None, after: bool = False, seconds: float = 0) -> tuple:
    """(ended by itself, its writes to the disk, seconds) of a child that does `action`."""
    reading, writing = os.pipe()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        killer = Killer(at, after)
        if seconds:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, seconds)
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


def actions(place: Path) -> dict[str, Callable[[], object]]:
    """{name: what a child does in the folder it stands in}"""
    from aaclip_lite.__main__ import main
    from tests.faults import places

    data, detector, clip = str(place / "set"), str(place / "detector"), places.clip_options(place)

    def export():
        from aaclip_lite.detector import AnomalyDetector

        AnomalyDetector.load(detector).to_onnx("out/bolt.onnx", "bolt")

    predict = ["predict", str(place / "photos"), "--detector", detector, "--product", "bolt"]
    evaluate = ["eval", detector, "--data", data, "--no-baselines", "--rounds", "2"]
    train = ["train", "--data", data, "--out", "out", *clip, *places.SHORT]
    return {
        "train": lambda: main(train),
        "predict": lambda: main([*predict, "--out", "out"]),
        "eval": lambda: main([*evaluate, "--out", "out"]),
        "factory": lambda: main(["factory", "--out", "out", "--size", "64", "--splits", "val"]),
        "export": export,
    }


def trial(action: Callable, number: int, folder: Path) -> tuple[int, list[str]]:
    """(kills, what differed afterwards); half of them at writes, the others at times."""

    def fresh(name: str) -> Path:
        place = folder / name
        place.mkdir(parents=True)
        os.chdir(place)
        return place

    place = fresh("whole")
    done, writes, seconds = run(action)
    if not done:
        return 0, ["the undisturbed run failed"]
    wanted = contents(place / "out")
    kills, wrong = 0, []
    times = np.linspace(0.1, 0.95, number)
    for i in range(number):
        place = fresh(f"killed{i}")
        at = 1 + i * writes // number
        if i % 2 and writes:
            killed = not run(action, at=at, after=i % 4 == 1)[0]
        else:
            killed = not run(action, seconds=float(times[i]) * seconds)[0]
        kills += killed
        again = run(action)[0]
        found = contents(place / "out")
        if not again or found != wanted:
            files = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            wrong.append(f"kill {i} (write {at} of {writes}): {', '.join(files) or 'failed'}")
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
        places.write_set(place / "set")
        for i in range(6):
            places.picture(place / "photos" / f"{i}.png", i)
        chosen = {n: a for n, a in actions(place).items() if not options.only or n in options.only}
        share = -(-options.number // len(chosen))
        failed = False
        print(f"{'command':10}{'kills':>7}{'differ':>8}{'seconds':>9}")
        for name, action in chosen.items():
            began = time.perf_counter()
            kills, wrong = trial(action, share, place / "runs" / name)
            os.chdir(folder)
            print(f"{name:10}{kills:7}{len(wrong):8}{time.perf_counter() - began:9.0f}")
            for line in wrong:
                print(f"  {line}")
            failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
