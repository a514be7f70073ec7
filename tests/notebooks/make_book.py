"""The course as a book of web pages with search: the chapters as they stand, outputs and all, to
read on a phone.

    python -m tests.notebooks.make_book                     # or `make book`; writes
    build/book/index.html

Nothing runs and nothing is fetched: Sphinx and the theme come from the package index, the pages
need no network.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from aaclip_lite.course import ledger

from .run_course import FOLDER, address, chapters

ROOT = FOLDER.parent
SETTINGS = {
    "project": "Anomaly detection with CLIP",
    "extensions": "myst_nb",
    "html_theme": "furo",
    "html_title": "Anomaly detection with CLIP",
    "nb_execution_mode": "off",
    "myst_heading_anchors": "3",
    "html_show_copyright": "0",
    "html_copy_source": "0",
}
PICTURE = "data/sheets/detections.png"


def index() -> str:
    """The first page: what the README says first, and the chapters with their questions, from the
    README's table.
    """
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = readme.split("\n\n!", 1)[0].removeprefix("# aaclip-lite").strip()
    questions = dict(
        re.findall(r"^\| \[`(\w+)`\]\(notebooks/\w+\.ipynb\) \| (.+?) \|", readme, re.M)
    )
    rows = "\n".join(
        f"- [{name.replace('_', ' ')}]({name}.ipynb): {questions[name]}" for name in questions
    )
    pages = "\n".join(questions)
    return (
        f"# Anomaly detection with CLIP\n\n{words}\n\n![Products that training never "
        f"sees]({Path(PICTURE).name})\n\n"
        f"## Chapters\n\n{rows}\n- [The ledger](ledger.md): every claim of the five reference "
        f"documents, its check and its verdict\n\nTo run them: "
        f"[{address().removeprefix('https://')}]({address()}).\n\n"
        f"```{{toctree}}\n:hidden:\n\n{pages}\nledger\n```\n"
    )


def page(path: Path) -> nbformat.NotebookNode:
    """A chapter for reading: the install cell goes, solutions and set-up fold."""
    notebook = nbformat.read(path, 4)
    notebook.cells = [
        cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", ())
    ]
    for cell in notebook.cells:
        cell.source = cell.source.replace("](../data/sheets/", "](")
        # what is no page of the book is read in the repository
        cell.source = cell.source.replace("](../", f"]({address()}/blob/main/")
        tags = cell.metadata.setdefault("tags", [])
        if "solution" in tags or "setup" in tags:
            tags.append("hide-input")
    return notebook


def write_sources(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for picture in (PICTURE, "data/sheets/method.png", "notebooks/colab.svg"):
        shutil.copy(ROOT / picture, folder)
    (folder / "index.md").write_text(index(), encoding="utf-8")
    (folder / "ledger.md").write_text(ledger.page(), encoding="utf-8")
    for path in chapters():
        nbformat.write(page(path), folder / path.name)
    for picture in ROOT.glob("data/sheets/method_*.png"):
        shutil.copy(picture, folder)


def main(out: Path = ROOT / "build" / "book") -> int:
    sources = out.with_name(f".{out.name}-sources")
    write_sources(sources)
    settings = [
        argument for name, value in SETTINGS.items() for argument in ("-D", f"{name}={value}")
    ]
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-C",
        *settings,
        str(sources),
        str(out),
    ]
    # -W: a link to a chapter that is not there fails here, not under a reader's thumb
    code = subprocess.call(command, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if not code:
        print(out / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
