"""The factory's data sets: which pictures they hold, and `ensure`, which draws them on first use.

The sets: `train` (54 products), `val` (5) and `test` (15) at inspection stations, `val_wild` and
`test_wild` (the same products, each picture with another design, ground and light) and `test_hard`
(structural defects, wild). A station has one design, one ground and one light; its parts differ in
what a fixture and nature leave open: pose within the product's tolerance, grain, exposure, focus,
noise. Of each product 20 sound parts are references, never judged: split "train" of the set.

Drawing is restartable and uses several processes, which end with their parent. `world.json` says
from the start which world a folder's pictures are of; the set's manifest comes last, and the set is
called complete only when every file of it is there.

    python -m aaclip_lite factory --out data/factory
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from ..files import keep
from ..files.environment import generated_path
from ..files.keep import in_turn
from .class_folder import draw_class, is_whole, remove_own
from .draw import check_size
from .plans import COUNTS, PLANS, SPLITS, jobs
from .products import PRODUCTS


def work(arguments: str) -> None:
    """What a worker process runs: draw its share of the classes that are not there yet, and end at
    once when the parent has ended.

    The parent holds the other end of our standard input and never writes: it ends when the parent
    does, however that came about (a killed parent can't tell its workers).
    """

    def end_with_parent():
        os.read(0, 1)  # not sys.stdin: its lock would be held when the worker ends by itself
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    split, folder, size, classes, counts = json.loads(arguments)
    for name in classes:
        if not is_whole(Path(folder) / name, counts):
            draw_class(split, name, Path(folder), size, counts)


def world_key(split: str, size: int) -> str:
    """Says in a set's `world.json` which world it was drawn in; a test holds each set's world to its
    pictures' digest.
    """
    return json.dumps({"world": f"world {PLANS[split].world}, {size} px", "split": split})


def ensure(
    split: str,
    root: str | Path | None = None,
    size: int = 128,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """The folder of a factory data set, drawn first if it is not there yet (restartable, several
    processes).
    """
    if split not in SPLITS:
        raise ValueError(f"no factory data set {split!r}; there are {', '.join(SPLITS)}")
    check_size(size)
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}: at least 1 process draws; leave it out for all cores")
    folder = Path(root or generated_path("factory")) / split
    if not _is_complete(split, folder, size):
        with in_turn(folder.parent / f".{split}.lock"):  # a second process waits, then finds it
            if not _is_complete(split, folder, size):
                _draw_set(split, folder, size, workers or os.cpu_count() or 1, progress)
    return folder


def open_set(split: str, root: str | Path | None = None) -> tuple[Path, dict[str, str]]:
    """What open_dataset("factory/...") asks for: the folder, and which classes are textures."""
    groups = {name: "textures" if p.texture else "objects" for name, p in PRODUCTS.items()}
    return ensure(split, root), groups


def _missing(split: str, folder: Path) -> list[str]:
    """The classes of a set that are not drawn, or of which files are missing."""
    return [name for name in jobs(split) if not is_whole(folder / name, COUNTS[split])]


def _is_complete(split: str, folder: Path, size: int) -> bool:
    """Of this world, and no file is missing."""
    ours = _reads(folder / "world.json", world_key(split, size))
    return ours and (folder / "manifest.jsonl").is_file() and not _missing(split, folder)


def _reads(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(errors="replace") == text


def _make_room(folder: Path, key: str) -> None:
    """Leave in the folder what counts for the set `key`: its finished classes, and others' files."""
    stamp = folder / "world.json"
    if not stamp.is_file() and folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds files that are not a factory data set; choose another folder"
        )
    (folder / "manifest.jsonl").unlink(missing_ok=True)
    if not _reads(stamp, key):  # pictures of another world, if any
        for name in PRODUCTS:
            remove_own(folder / name)
        keep.write_text(stamp, key)


def _start_workers(split: str, folder: Path, size: int, workers: int) -> list[subprocess.Popen]:
    # plain subprocesses, not multiprocessing: works alike in scripts, notebooks and on every
    # platform
    code = "import sys; from aaclip_lite.world import sets; sets.work(sys.argv[1])"
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
    classes = jobs(split)
    running = []
    for i in range(min(workers, len(classes))):
        share = json.dumps([split, str(folder), size, classes[i::workers], COUNTS[split]])
        call = [sys.executable, "-c", code, share]
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(call, env=env, **pipes))
    return running


def _draw_set(split: str, folder: Path, size: int, workers: int, progress: bool) -> None:
    """Draw what is missing, in several processes; what an interrupted run has finished is kept."""
    _make_room(folder, world_key(split, size))
    running = _start_workers(split, folder, size, workers)
    try:
        _watch(running, split, folder, progress)
    finally:
        for process in running:
            process.terminate()
            process.communicate()
    if missing := _missing(split, folder):
        raise RuntimeError(
            f"drawing {split} in {folder}: files of {', '.join(missing)} have gone meanwhile; "
            "the same call again goes on"
        )
    parts = [(folder / name / "manifest.jsonl").read_text() for name in jobs(split)]
    keep.write_text(folder / "manifest.jsonl", "".join(parts))


def _watch(running: list[subprocess.Popen], split: str, folder: Path, progress: bool) -> None:
    """Show how far the workers are until all have ended; the first that failed ends the others."""
    from tqdm.auto import tqdm

    classes = jobs(split)
    with tqdm(
        total=len(classes), desc=f"drawing {split}", unit="class", disable=not progress
    ) as bar:
        while True:
            ended = [process.poll() for process in running]
            done = sum((folder / name / "manifest.jsonl").is_file() for name in classes)
            bar.update(done - bar.n)
            for failed in (process for process in running if process.returncode):
                said = failed.stderr.read().strip() or f"exit code {failed.returncode}"
                raise RuntimeError(
                    f"drawing {split} in {folder} failed: {said.splitlines()[-1]}; the same call "
                    "again goes on"
                )
            if None not in ended:
                return
            time.sleep(0.1)
