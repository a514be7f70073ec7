"""Run the notebooks, keep their outputs, measure each, and write what stands at the head of every
chapter.

    python -m tests.notebooks.run_course                    # all, one after the other: `make
    course` python -m tests.notebooks.run_course 03_adapters        # one python -m
    tests.notebooks.run_course --heads            # only the heads: after a new chapter, a fork or a
    rename

The head is two cells: badge, neighbours, minutes and memory (from notebooks/measured.json), and the
cell that installs the package in Colab. Its address is the repository's in pyproject.toml, so a
fork changes one line and runs `--heads`.
"""

import json
import os
import sys
import time
import tomllib
from datetime import date
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient

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
    if row := found.get(path.stem):
        spent = f"{row['seconds']} s" if row["seconds"] < 100 else f"{row['seconds'] / 60:.0f} min"
        parts.append(
            f"measured: {spent}, {row['peak_mb'] / 1000:.1f} GB ({row['machine']}, {row['date']})"
        )
    for word, other in (("previous", place - 1), ("next", place + 1)):
        if 0 <= other < len(all_of_them):
            name = all_of_them[other].name
            parts.append(f"{word}: [{name.removesuffix('.ipynb').replace('_', ' ')}]({name})")
    return "  \n".join(parts), INSTALL.format(address=repository)


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
    for (
        cell
    ) in notebook.cells:  # live views without a kernel show an error; their text stands in for them
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    write(notebook, path)
    peak = int(reply["content"]["user_expressions"]["peak"]["data"]["text/plain"])
    machine = f"{os.cpu_count()} CPU cores"
    return {
        "seconds": round(seconds),
        "peak_mb": round(peak / 1000),
        "machine": machine,
        "date": str(date.today()),
    }


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if name != "--heads"]
    if unknown := set(names) - {path.stem for path in chapters()}:
        print(
            f"no chapter {', '.join(sorted(unknown))}; there are "
            f"{', '.join(p.stem for p in chapters())}"
        )
        return 2
    for path in chapters() if "--heads" not in arguments else ():
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
