"""Run the notebooks, keep their outputs, measure each, and write what stands at the head of every
chapter.

    python -m tests.notebooks.run_course                 # all, one after the other: `make course`
    python -m tests.notebooks.run_course 03_adapters     # one
    python -m tests.notebooks.run_course --heads         # only the heads: after new text or a fork
    python -m tests.notebooks.run_course --drawing       # only: how long a picture takes to draw

The head is two cells: badge, the drawing of the method with the chapter's place in it, minutes and
memory (from notebooks/measured.json), reading time, difficulty, neighbours; and the cell that
installs the package in Colab. Its address is the repository's in pyproject.toml, so a fork changes
one line and runs `--heads`.
"""

import json
import os
import re
import resource
import sys
import tempfile
import time
import tomllib
from datetime import date
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient

from tests.notebooks.drawing import file_of

FOLDER = Path(__file__).parents[2] / "notebooks"
MEASURED = FOLDER / "measured.json"
PEAK = "__import__('resource').getrusage(0).ru_maxrss // (1 if __import__('sys').platform == 'linux' else 1024)"
INSTALL = """\
# In Colab this installs the course beside Colab's own packages; everywhere else it does nothing.
import importlib.util
import os
import sys
from importlib.metadata import distributions

if "google.colab" in sys.modules and not importlib.util.find_spec("aaclip_lite"):
    with open("installed.txt", "w") as pins:  # what is there, PyTorch above all, stays as it is
        pins.writelines(sorted({{f"{{d.metadata['Name']}}=={{d.version}}\\n" for d in distributions()}}))
    source = os.environ.get(
        "AACLIP_LITE_SOURCE", "aaclip-lite[export] @ git+{address}"
    )
    %pip install --quiet --constraint installed.txt {{source!r}}"""


# by chapter: the part of the method that it treats, how hard it is, and the picture sets of the
# factory that it opens, which are drawn once on a machine
PLACES = {
    "00": (None, 1, ()),
    "01": ("clip", 2, ()),
    "02": ("words", 2, ("val_wild",)),
    "03": ("adapters", 2, ()),
    "04": ("losses", 3, ()),
    "05": ("data", 1, ("train", "val", "test")),
    "06": ("stage 1", 2, ("train", "val")),
    "07": ("stage 2", 2, ("train", "val")),
    "08": ("maps", 3, ("train", "test")),
    "09": ("maps", 1, ("test",)),
    "10": ("data", 2, ()),
    "11": ("adapters", 2, ("train",)),
    "12": ("clip", 3, ("train", "val")),
    "13": ("losses", 2, ("train", "val")),
    "14": ("clip", 2, ()),
    "15": ("stage 2", 3, ("test",)),
    "16": ("words", 2, ()),
    "17": (None, 1, ()),
    "18": ("clip", 2, ("train",)),
}
LIT = {
    "data": "the data that go in",
    "clip": "the frozen towers of CLIP",
    "words": "sentences and their two anchors",
    "adapters": "the adapters",
    "losses": "the losses",
    "stage 1": "stage 1, the words",
    "stage 2": "stage 2, the patches",
    "maps": "maps, scores and verdicts",
}
PICTURES = {"train": 8046, "val": 640, "val_wild": 640, "test": 1920}  # of each set
WORDS_A_MINUTE = 110  # of text; code is read more slowly
LINES_A_MINUTE = 18
BAR = re.compile(r"\d+%\|")  # of a progress bar, which is dead once its kernel is gone


def chapters() -> list[Path]:
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def address() -> str:
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return project["urls"]["Repository"].removesuffix(".git")


def head(path: Path) -> tuple[str, str]:
    """(markdown, code) of a chapter's two head cells."""
    found = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    repository, all_of_them = address(), chapters()
    place = all_of_them.index(path)
    link = f"https://colab.research.google.com/github/{repository.split('github.com/')[-1]}/blob/main/notebooks/{path.name}"
    parts = [f"[![Open in Colab](colab.svg)]({link})"]
    lit, stars, sets = PLACES.get(path.stem[:2], (None, 2, ()))
    if lit:
        alt = f"The method in one drawing; you are here: {LIT[lit]}"
        parts.append(f"![{alt}](../data/sheets/{file_of(lit)})")
    if row := found.get(path.stem):
        once = found.get("drawing", 0) * sum(PICTURES[name] for name in sets)
        spent = f"runs in {told(row['seconds'])}"
        spent += f", the first time in {told(row['seconds'] + once)} (pictures drawn)" * bool(once)
        parts.append(
            f"{spent}, {row['peak_mb'] / 1000:.1f} GB (measured: {row['machine']}, {row['date']})"
        )
    minutes = reading_minutes(json.loads(path.read_text(encoding="utf-8"))["cells"])
    parts.append(f"about {minutes} minutes to read; difficulty {'★' * stars}{'☆' * (3 - stars)}")
    for word, other in (("previous", place - 1), ("next", place + 1)):
        if 0 <= other < len(all_of_them):
            name = all_of_them[other].name
            parts.append(f"{word}: [{name.removesuffix('.ipynb').replace('_', ' ')}]({name})")
    return "  \n".join(parts), INSTALL.format(address=repository)


def told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def reading_minutes(cells: list[dict]) -> int:
    """To the next five; what is folded and the cells at the head are not counted."""
    words, lines = 0, 0
    for cell in cells:
        source = "".join(cell["source"])
        if {"head", "colab", "solution"} & set(cell["metadata"].get("tags", ())):
            continue
        if cell["cell_type"] == "markdown":
            words += len(re.sub(r"<details>.*?</details>", "", source, flags=re.S).split())
        else:
            lines += len(source.splitlines())
    return max(5, 5 * round((words / WORDS_A_MINUTE + lines / LINES_A_MINUTE) / 5))


def write_head(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    body = [
        cell
        for cell in notebook.cells
        if not {"head", "colab"} & set(cell.metadata.get("tags", ()))
    ]
    words, code = head(path)
    old = {cell.id: cell for cell in notebook.cells}
    cells = [
        nbformat.v4.new_markdown_cell(words, id="head"),
        nbformat.v4.new_code_cell(code, id="colab"),
    ]
    for cell, tag in zip(cells, ("head", "colab"), strict=True):
        cell.metadata["tags"] = [tag]
    cells[1].metadata["jupyter"] = {"source_hidden": True}
    cells[1].execution_count = 1
    if "colab" not in old:  # counts move up by one
        for cell in body:
            if cell.cell_type == "code" and cell.execution_count:
                cell.execution_count += 1
                for output in cell.outputs:
                    if "execution_count" in output:
                        output["execution_count"] = cell.execution_count
    notebook.cells = [body[0], *cells, *body[1:]]
    write(notebook, path)


def write(notebook, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)


async def peak_of(kernel) -> dict:
    return await kernel.execute(
        "", silent=True, user_expressions={"peak": PEAK}, reply=True, timeout=60
    )


def run(path: Path) -> dict:
    """Run a chapter, keep its outputs; seconds from an empty kernel to the end, and the kernel's
    greatest memory.
    """
    notebook, began = nbformat.read(path, 4), time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=600,
        resources={"metadata": {"path": str(FOLDER)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - began
        reply = run_sync(peak_of)(client.kc)
    drop_dead(notebook)
    write(notebook, path)
    peak = int(reply["content"]["user_expressions"]["peak"]["data"]["text/plain"])
    machine = f"{os.cpu_count()} CPU cores"
    return {
        "seconds": round(seconds),
        "peak_mb": round(peak / 1000),
        "machine": machine,
        "date": str(date.today()),
    }


def drop_dead(notebook) -> None:
    """Live views show an error without a kernel, so their text stands in; progress bars just go."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "outputs" in cell:
            alive = [
                o for o in cell.outputs if not BAR.search(o.get("data", {}).get("text/plain", ""))
            ]
            cell.outputs = alive


def measure_drawing() -> float:
    """Seconds a picture, drawn of factory/test: the workers' CPU time over the cores, so that a
    busy machine measures the same.
    """
    from aaclip_lite.world.sets import open_set

    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        open_set("test", folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(spent / os.cpu_count() / PICTURES["test"], 4)


def main(arguments: list[str]) -> int:
    os.environ.pop("AACLIP_LITE_CACHE", None)  # outputs name folders as a reader has them
    if "--drawing" in arguments:
        table = json.loads(MEASURED.read_text(encoding="utf-8")) | {"drawing": measure_drawing()}
        MEASURED.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    names = [name for name in arguments if not name.startswith("--")]
    if unknown := set(names) - {path.stem for path in chapters()}:
        print(
            f"no chapter {', '.join(sorted(unknown))}; there are "
            f"{', '.join(p.stem for p in chapters())}"
        )
        return 2
    for path in chapters() if not {"--heads", "--drawing"} & set(arguments) else ():
        if names and path.stem not in names:
            continue
        write_head(path)
        row = run(path)
        table = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
        table[path.stem] = row
        MEASURED.write_text(
            json.dumps(dict(sorted(table.items())), indent=1) + "\n", encoding="utf-8"
        )
        print(f"{path.stem:24} {row['seconds']:4} s {row['peak_mb']:6} MB", flush=True)
    for path in chapters():
        write_head(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
