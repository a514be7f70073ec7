"""The book: every chapter is a page, search knows its words, solutions fold, and a broken link is
an error.
"""

import json
import re

import pytest

from aaclip_lite.course import ledger
from aaclip_lite.course.ledger.pages import anchor
from tests.notebooks import make_book
from tests.notebooks.run_course import chapters


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "book"
    assert make_book.main(out) == 0
    return out


def test_every_chapter_is_a_page_that_the_first_one_lists(book):
    first = (book / "index.html").read_text(encoding="utf-8")
    for path in chapters():
        assert f'href="{path.stem}.html"' in first
        page = (book / f"{path.stem}.html").read_text(encoding="utf-8")
        # pictures, but not Colab's install cell
        assert "<img" in page and "installed.txt" not in page


def test_every_claim_of_the_ledger_has_an_address(book):
    page = (book / "ledger.html").read_text(encoding="utf-8")
    missing = [row.key for row in ledger.claims() if f'id="{anchor(row.key)}"' not in page]
    assert not missing and 'href="#s0-7"' in page
    assert 'href="ledger.html"' in (book / "index.html").read_text(encoding="utf-8")


def test_search_works_without_a_network(book):
    found = (book / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.search(r"\{.*\}", found)[0])
    names = [index["docnames"][i] for i in [index["terms"]["focal"]] if isinstance(i, int)] or [
        index["docnames"][i] for i in index["terms"]["focal"]
    ]
    assert "04_losses" in names
    pages = "".join(page.read_text(encoding="utf-8") for page in book.glob("*.html"))
    assert not re.findall(r'<script[^>]+src="https?:[^"]+"', pages)


def test_solutions_are_folded():
    cells = make_book.page(chapters()[3]).cells
    solved = [cell for cell in cells if "solution" in cell.metadata["tags"]]
    assert solved and all("hide-input" in cell.metadata["tags"] for cell in solved)


def test_a_link_to_nowhere_fails(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(make_book, "index", lambda: "# Book\n\n[gone](99_gone.ipynb)\n")
    monkeypatch.setattr(make_book, "chapters", list)
    assert make_book.main(tmp_path / "book") != 0
    assert "99_gone" in capfd.readouterr().err
