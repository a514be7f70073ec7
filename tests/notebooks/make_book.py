"""The course as a book of web pages with search: the chapters as they stand, outputs and all, to
read on a phone.

    python -m tests.notebooks.make_book                     # or `make book`; writes
    build/book/index.html

Nothing of the chapters runs. Sphinx and the theme come from the package index, the runtime of the
page that works without Python from npm, once; the pages need no network.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat

from aaclip_lite import decision, references, scoring
from aaclip_lite.course import ledger
from aaclip_lite.recipe import comparison

from . import book_page, from_npm
from .run_course import FOLDER, address, chapters

ROOT = FOLDER.parent
SETTINGS = {
    "project": "Anomaly detection with CLIP",
    "extensions": ["myst_nb"],
    "html_theme": "furo",
    "html_title": "Anomaly detection with CLIP",
    "nb_execution_mode": "off",
    "myst_heading_anchors": 3,
    "myst_enable_extensions": ["dollarmath"],
    "mathjax_path": "mathjax.js",
    "html_static_path": ["_static"],
    "html_css_files": ["book.css"],
    "html_js_files": ["book.js"],
    "html_show_copyright": False,
    "html_copy_source": False,
}
# room for a line of 100 characters; prose keeps its measure; a fold keeps off what follows
CSS = """\
@media screen and (max-width: 82em), screen and (min-width: 92em) { .content { width: 56em; } }
@media screen { article :is(p, li, h1, h2, h3) { max-width: 46em; } }
details { margin-bottom: 0.8em; }
PRINTED { white-space: pre-wrap; overflow-wrap: anywhere; }
.printed { display: block; --in: calc(1.5em + var(--depth, 0ch)); }
.printed { padding-left: var(--in); text-indent: calc(-1 * var(--in)); }
FIGURES { cursor: zoom-in; }
article img.large { cursor: zoom-out; max-width: none; }
.cell_output .output, .image-reference, p:has(> img.large) { display: block; overflow-x: auto; }
.cell_output th[style*="sticky"] { background: var(--color-background-primary); }
.hint { display: none; margin: 0; font-size: 75%; color: var(--color-foreground-muted); }
/* white figures are lamps at night */
@media screen { body[data-theme="dark"] article img { filter: brightness(0.85); } }
@media screen and (prefers-color-scheme: dark) {
  body:not([data-theme="light"]) article img { filter: brightness(0.85); }
}
@media screen and (max-width: 46em) {
  article h1 { font-size: 1.9em; }
  article h2 { font-size: 1.45em; }
  article h3 { font-size: 1.2em; }
  article pre, article .cell_output table { font-size: 75%; }
  article table.docutils { font-size: 73%; }
  div.math { font-size: 93%; }
  article table.docutils :is(td, th) { padding: 0.2em 0.35em; }
  /* a shade at the edge where a line goes on */
  article pre {
    background:
      linear-gradient(var(--color-code-background) 0 0) right / 1em 100% no-repeat local,
      linear-gradient(to left, rgb(128 128 128 / 60%), transparent) right / 0.7em 100% no-repeat;
  }
  /* PHONE */
  article img.large { width: max(260%, var(--own, 0px)); }
  .hint { display: block; }
}
"""
# not the badge, and not the pictures of the page that works without Python
FIGURES = "article :is(p, .cell_output) img:not([src$='.svg'])"
PRINTED = ":is(.tag_wraps .cell_output, .highlight-text) pre"
# a figure is as wide as the page, and larger at a tap
JS = """\
addEventListener("DOMContentLoaded", () => {
  const figures = document.querySelectorAll(FIGURES);
  for (const figure of figures) {
    figure.style.setProperty("--own", `${figure.getAttribute("width") ?? 0}px`);
    figure.addEventListener("click", (event) => {
      event.preventDefault();
      figure.classList.toggle("large");
    });
  }
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = "Tap a picture to enlarge it, and again to shrink it.";
  figures[0]?.after(hint);
  // each printed line by itself, so that what wraps is set in
  for (const text of document.querySelectorAll(PRINTED)) {
    if (text.querySelector("span[class]:not(.w)")) continue;
    const lines = text.textContent.trimEnd().split("\\n");
    text.replaceChildren(...lines.map((line) => {
      const one = document.createElement("span");
      one.className = "printed";
      one.textContent = line || "\\u00a0";
      one.style.setProperty("--depth", `${line.search(/\\S|$/)}ch`);
      return one;
    }));
  }
});
"""
FOLD = "</details>"
PICTURES = {"image/png", "image/jpeg"}
# a table of a phone's width, by its longest line: so small a print, and no line is cut
PHONE = {50: 11, 60: 9.2, 70: 7.9}
LABELLED = 60  # so long may a line of a label and one value be, to count as a table's
GAPS = re.compile(r"\S {2,}(?=\S)")
TITLE = re.compile(r'(?:title|suptitle|set_title)\s*[=(]\s*"([^"{}]+)"')
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
        f"**[Drop a photo, see the map](try_it.md)**: the detector in your browser, without Python."
        f"\n\n## Chapters\n\n{rows}\n- [The ledger](ledger.md): every claim of the five reference "
        f"documents, its check and its verdict\n- [The glossary](glossary.md): what every word means "
        f"here\n- [The cheat sheet](cheat_sheet.md): two pages to print\n\nTo run them: "
        f"[{address().removeprefix('https://')}]({address()}).\n\n"
        f"```{{toctree}}\n:hidden:\n\ntry_it\n{pages}\nledger\nglossary\ncheat_sheet\n```\n"
    )


def page(path: Path) -> nbformat.NotebookNode:
    """A chapter for reading: the install cell goes, solutions and set-up fold."""
    notebook = nbformat.read(path, 4)
    notebook.cells = folded_once(
        [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", ())]
    )
    for cell in notebook.cells:
        for other in ("](../data/sheets/", "](../docs/glossary"):  # pages and pictures of the book
            cell.source = cell.source.replace(other, "](" + other.partition("docs/")[2])
        # what is no page of the book is read in the repository
        cell.source = cell.source.replace("](../", f"]({address()}/blob/main/")
        tags = cell.metadata.setdefault("tags", [])
        if "solution" in tags or "setup" in tags:
            tags.append("hide-input")
        if cell.cell_type == "code":
            tags.extend(on_a_phone(said(cell)))
            title = TITLE.findall(cell.source)[-1:] or ["a figure"]
            cell.metadata["mystnb"] = {"image": {"alt": title[0]}}
    return notebook


def said(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, or gave as text alone."""
    outputs = cell.get("outputs", ())
    alone = [o.data for o in outputs if "data" in o and set(o.data) == {"text/plain"}]
    return "".join(
        [o.text for o in outputs if "text" in o] + [f"{each['text/plain']}\n" for each in alone]
    )


def on_a_phone(text: str) -> list[str]:
    """Tag of a printed text: a table keeps its lines, in small print on a phone; all else wraps."""
    lines = text.splitlines()
    longest = max(map(len, lines), default=0)
    gaps = sorted(len(GAPS.findall(line)) for line in lines)[-2:]
    if len(gaps) < 2 or gaps[0] < (1 if longest <= LABELLED else 2):
        return ["wraps"]
    return [f"fits-{most}" for most in PHONE if longest <= most][:1]


def folded_once(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """A solution's code stands in the fold that announces it, and not in a second one below."""
    kept = []
    for cell in cells:
        code = cell.cell_type == "code" and "solution" in cell.metadata.get("tags", ())
        before = kept[-1].source.rstrip() if kept else ""
        shows = any(PICTURES & set(output.get("data", ())) for output in cell.get("outputs", ()))
        if code and before.endswith(FOLD) and not shows:
            inside = f"\n\n```python\n{cell.source}\n```\n\n"
            if printed := said(cell):
                inside += f"It prints\n\n```text\n{printed.rstrip()}\n```\n\n"
            kept[-1].source = before.removesuffix(FOLD).rstrip() + inside + FOLD
        else:
            kept.append(cell)
    return kept


def glossary() -> str:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    return text.replace("](../notebooks/", "](")


def shares(numbers: Iterable[float]) -> str:
    """(0.005, 0.2) -> "0.5 % and 20 %"."""
    return " and ".join(f"{100 * number:g} %" for number in numbers)


def cheat_sheet() -> str:
    """The method, the recipe and the rules of judgement, with the package's own numbers."""
    differing = [row for row in comparison(True) if row["course"] != row["released"]]
    rows = [
        f"| `{row['field']}` | {row['course']} | {row['released']} | {row['meaning']} |"
        for row in differing
        if row["field"] != "name"
    ]
    head = "| field | course | released | what it is |\n| --- | --- | --- | --- |\n"
    numbers = {
        "recipe": head + "\n".join(rows),
        "hottest": shares(scoring.HOTTEST),
        "detection": f"{scoring.DETECTION:g}",
        "detected": shares((scoring.DETECTED, 1)),
        "reference": f"{references.map_units(1, 1):g}",
        "promised": f"{decision.needed(decision.RATE)}",
        "fewest": f"{decision.FEWEST}",
        "rate": f"{decision.RATE:.0%}",
    }
    text = (book_page.PAGE / "cheat_sheet.md").read_text(encoding="utf-8")
    for name, value in numbers.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def fetch() -> tuple[dict[str, bytes], str]:
    """What sets equations, and why what npm fetches is missing, if it is."""
    try:
        from_npm.archive("onnxruntime-web")
        return from_npm.files("mathjax", "es5/tex-svg.js"), ""
    except from_npm.NoNpm as error:
        return {}, str(error)


def write_sources(folder: Path, fetched: dict[str, bytes], missing: str) -> None:
    """fetched, missing: see `fetch`."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "_static").mkdir(parents=True)
    for content in fetched.values():
        (folder / "_static" / SETTINGS["mathjax_path"]).write_bytes(content)
    sizes = [
        f".tag_fits-{most} .cell_output pre {{ font-size: min(75%, {size / 3.9:.2f}vw); }}"
        for most, size in PHONE.items()
    ]
    style = CSS.replace("FIGURES", FIGURES).replace("PRINTED", PRINTED)
    style = style.replace("/* PHONE */", "\n  ".join(sizes))
    (folder / "_static" / "book.css").write_text(style, encoding="utf-8")
    script = JS.replace("FIGURES", json.dumps(FIGURES)).replace("PRINTED", json.dumps(PRINTED))
    (folder / "_static" / "book.js").write_text(script, encoding="utf-8")
    for picture in (PICTURE, "data/sheets/method.png", "notebooks/colab.svg"):
        shutil.copy(ROOT / picture, folder)
    settings = "".join(f"{name} = {value!r}\n" for name, value in SETTINGS.items())
    (folder / "conf.py").write_text(settings, encoding="utf-8")
    pages = {
        "index": index(),
        "ledger": ledger.page(),
        "glossary": glossary(),
        "cheat_sheet": cheat_sheet(),
        "try_it": (book_page.PAGE / "try_it.md").read_text(encoding="utf-8"),
    }
    if missing:
        pages["try_it"] = f"# Drop a photo, see the map\n\nLeft out of this copy: {missing}\n"
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    shutil.copy(book_page.PAGE / "page.html", folder)
    for path in chapters():
        nbformat.write(page(path), folder / path.name)
    for picture in ROOT.glob("data/sheets/method_*.png"):
        shutil.copy(picture, folder)


def main(out: Path = ROOT / "build" / "book") -> int:
    sources = out.with_name(f".{out.name}-sources")
    fetched, missing = fetch()
    write_sources(sources, fetched, missing)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(sources), str(out)]
    # -W: a link to a chapter that is not there fails here, not under a reader's thumb
    code = subprocess.call(command, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if not code:
        book_page.write(out, runs=not missing)
        print(out / "index.html")
    if missing:
        print(f"left out, equations and the page without Python: {missing}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
