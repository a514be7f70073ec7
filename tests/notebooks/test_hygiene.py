"""Every notebook as it lies in the repository: run top to bottom, free of this machine's traces,
readable by all.
"""

import copy
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.notebooks.run_course import BAR, head

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SIZE_LIMIT = 1_500_000
TAGS = {
    "head",
    "colab",
    "setup",
    "scale",
    "exercise",
    "solution",
    "raises-exception",
    "nbval-check-output",
}
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<~\])}])/(?:[\w.+-]+/)+[\w.+-]+|\b[A-Za-z]:\\+\w|file://")
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\(|<img\b(?P<attributes>[^>]*)>")
HTML_ALT = re.compile(r"""\balt\s*=\s*["']\s*[^"'\s]""")
LINK = re.compile(r"""\]\(\s*<?([^)\s>]+)|\b(?:href|src)\s*=\s*["']([^"']+)""")


def joined(text):
    return text if isinstance(text, str) else "".join(text)


def shown_text(output):
    """What an output says in words; pictures and HTML carry paths of their own kind."""
    return joined(output.get("text", "")) + joined(output.get("data", {}).get("text/plain", ""))


def problems(notebook, folder=FOLDER):
    """Everything wrong with a notebook, as sentences; empty when it is sound."""
    found = []
    metadata, cells = notebook["metadata"], notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    if metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernelspec is not python3")
    if "widgets" in metadata:
        found.append("widget state is kept in the metadata")
    if not code or [cell["execution_count"] for cell in code] != list(range(1, len(code) + 1)):
        found.append("not run top to bottom: execution counts are not 1..N")
    for number, cell in enumerate(cells, 1):
        source, tags = joined(cell["source"]), set(cell["metadata"].get("tags", []))
        outputs = cell.get("outputs", [])
        said = "".join(map(shown_text, outputs))
        if (
            any(output["output_type"] == "error" for output in outputs)
            and "raises-exception" not in tags
        ):
            found.append(f"cell {number} holds an error")
        if BAR.search(said):
            found.append(f"cell {number} holds a dead progress bar")
        if path := ABSOLUTE_PATH.search(f"{source}\n{said}"):
            found.append(f"cell {number} names an absolute path: {path[0]}")
        if place := re.search(r"no (?!data/)\S+/visa\b", said):
            found.append(f"cell {number} ran with somebody's own cache: {place[0]}")
        if cell["cell_type"] == "code" and re.search(r"\bsys\.path\b|PYTHONPATH", source):
            found.append(f"cell {number} edits sys.path")
        if tags - TAGS:
            found.append(f"cell {number} has unknown tags: {', '.join(sorted(tags - TAGS))}")
        if "NBVAL_" in source:
            found.append(f"cell {number} steers nbval by a comment: use a tag")
        if cell["cell_type"] == "markdown":
            found += [f"cell {number}: {what}" for what in markdown_problems(source, folder)]
    return found


def markdown_problems(source, folder):
    for image in IMAGE.finditer(source):
        if not ((image["alt"] or "").strip() or HTML_ALT.search(image["attributes"] or "")):
            yield f"an image without alt text: {image[0]}"
    for match in LINK.finditer(source):
        target = unquote((match[1] or match[2]).split("#")[0])
        remote = re.match(r"[a-z]+:", target)  # https:, data:, mailto:, attachment:
        if target and not remote and not (folder / target).exists():
            yield f"a link leads nowhere: {target}"


def anatomy_problems(path, notebook):
    """What a chapter lacks of the parts that every chapter has."""
    cells = notebook["cells"]
    words = "\n".join(joined(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    tags = [tag for cell in cells for tag in cell["metadata"].get("tags", [])]
    number = path.stem[:2]
    if not words.startswith(f"# {number} · "):
        yield f"the title does not begin with '# {number} · '"
    for part in (
        "**The promise:**",
        "**You need:**",
        "## Goals",
        "Self-test",
        "## Summary",
        "**References.**",
    ):
        if part not in words:
            yield f"there is no {part}"
    if tags.count("setup") != 1:
        yield f"{tags.count('setup')} cells are tagged setup, not one"
    if [joined(cell["source"]) for cell in cells[1:3]] != list(head(path)):
        yield "the head is stale: python -m tests.notebooks.run_course --heads"
    code = [joined(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    if not any(re.search(r"^assert |assert_close", source, re.M) for source in code):
        yield "nothing is asserted"
    if number == "00":
        return
    set_here, solved = tags.count("exercise"), words.count("<summary>Solution</summary>")
    if set_here < 2 or set_here != solved:
        yield f"{set_here} exercises and {solved} folded solutions, not two or more of each"
    if not any("assert_close" in source for source in code):
        yield "nothing derived by hand is compared with the package"


def test_there_are_notebooks():
    assert (FOLDER / "00_start_here.ipynb") in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_chapter_has_every_part(path):
    assert not list(anatomy_problems(path, json.loads(path.read_text(encoding="utf-8"))))


def test_missing_parts_of_a_chapter_are_found():
    path = NOTEBOOKS[0]
    notebook = json.loads(path.read_text(encoding="utf-8"))
    del notebook["cells"][1]
    notebook["cells"][0]["source"] = "# Something"
    found = "; ".join(anatomy_problems(path, notebook))
    assert (
        "the title" in found
        and "**The promise:**" in found
        and "stale" in found
        and "## Summary" not in found
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_clean(path):
    assert path.stat().st_size < SIZE_LIMIT
    assert not problems(json.loads(path.read_text(encoding="utf-8")))


SOUND = {
    "metadata": {"kernelspec": {"name": "python3"}},
    "cells": [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": "[next](01.ipynb#top) [paper](https://a.b/c/d) ![a map](x.png) a/b and 3/4",
        },
        {
            "cell_type": "code",
            "metadata": {"tags": ["exercise"]},
            "execution_count": 1,
            "source": "data / 'a/b'",
            "outputs": [{"output_type": "stream", "text": "data/factory/test: 1/2"}],
        },
    ],
}
SPOILERS = {
    "kernelspec": lambda n: n["metadata"]["kernelspec"].update(name="mine"),
    "widget state": lambda n: n["metadata"].update(widgets={}),
    "execution counts": lambda n: n["cells"][1].update(execution_count=2),
    "dead progress bar": lambda n: n["cells"][1]["outputs"].append(
        {"output_type": "display_data", "data": {"text/plain": "text:   0%|          | 0/70"}}
    ),
    "holds an error": lambda n: n["cells"][1]["outputs"].append({"output_type": "error"}),
    "absolute path: /home/me": lambda n: n["cells"][1].update(source="open('/home/me/x.png')"),
    "absolute path: /home/you": lambda n: n["cells"][1]["outputs"][0].update(
        text=["saved ", "/home/you/x.png"]
    ),
    "somebody's own cache: no mine/visa": lambda n: n["cells"][1]["outputs"][0].update(
        text="full is not possible: no mine/visa, no mine/mvtec"
    ),
    "absolute path: C:": lambda n: n["cells"][1].update(source="open('C:\\\\Users\\\\x.png')"),
    "sys.path": lambda n: n["cells"][1].update(source="import sys; sys.path.append('..')"),
    "unknown tags: nbval-skip": lambda n: n["cells"][1]["metadata"].update(tags=["nbval-skip"]),
    "by a comment": lambda n: n["cells"][1].update(source="# NBVAL_SKIP\n1"),
    "without alt text: ![](": lambda n: n["cells"][0].update(source="![](x.png)"),
    "without alt text: <img": lambda n: n["cells"][0].update(source="<img src='x.png' alt=''>"),
    "leads nowhere: 02.ipynb": lambda n: n["cells"][0].update(source="[next](02.ipynb)"),
    "leads nowhere: y.png": lambda n: n["cells"][0].update(source='<img alt="a map" src="y.png">'),
}


@pytest.fixture
def folder(tmp_path):
    for name in ("01.ipynb", "x.png"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_sound_notebook_has_no_problem(folder):
    assert problems(SOUND, folder) == []


@pytest.mark.parametrize("problem", SPOILERS)
def test_each_problem_is_found(problem, folder):
    notebook = copy.deepcopy(SOUND)
    SPOILERS[problem](notebook)
    found = problems(notebook, folder)
    assert len(found) == 1 and problem in found[0]
