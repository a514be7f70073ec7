"""The book: every chapter is a page, search knows its words, solutions fold, a broken link is an
error, and the page that works without Python gives the package's own numbers.

That page needs Chromium, and npm to fetch what runs it. Where one is missing it is not tested, and
`conftest.py` says so with the command that installs it; on a build server (variable CI) that fails.
"""

import itertools
import json
import os
import re

import numpy as np
import pytest

from aaclip_lite.course import ledger
from aaclip_lite.course.ledger.reading import anchor
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.files import coreset, report
from aaclip_lite.recipe import Recipe
from tests.notebooks import from_npm, make_book, page_browser
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


def test_solutions_are_folded_and_once():
    for path in chapters():
        cells = make_book.page(path).cells
        for before, cell in itertools.pairwise(cells):
            if cell.cell_type == "code" and "solution" in cell.metadata["tags"]:
                assert "hide-input" in cell.metadata["tags"]
                pictures = any("image/png" in output.get("data", {}) for output in cell.outputs)
                assert pictures or not before.source.rstrip().endswith("</details>")
    third = "".join(cell.source for cell in make_book.page(chapters()[3]).cells)
    assert re.search(r"<details><summary>Solution</summary>[^<]*```python\ndef solved_mix", third)


def test_what_a_solution_prints_stands_in_its_fold():
    second = "".join(cell.source for cell in make_book.page(chapters()[2]).cells)
    assert re.search(r"It prints\n\n```text\nordinary +attention of the last block", second)


def test_on_a_phone_sentences_wrap_and_small_tables_fit():
    sentence = "cosine of the normal and the abnormal anchor, mean of 12 products: 0.995\n" * 3
    table = "{:20}{:>15}{:>15}\n".format("answer", "focal", "dice") * 3
    assert make_book.on_a_phone(sentence) == make_book.on_a_phone("") == ["wraps"]
    assert make_book.on_a_phone(table) == ["fits-50"]
    assert make_book.on_a_phone("label   0.5\nother   0.7\n") == ["fits-50"]
    assert make_book.on_a_phone(2 * "{:60}{:>30}{:>9}\n".format("a", "b", "c")) == []


def test_figures_say_what_they_show_and_words_lead_to_the_books_glossary(book):
    page = (book / "00_start_here.html").read_text(encoding="utf-8")
    assert 'alt="Twelve products for testing"' in page and 'href="glossary.html"' in page
    style = (book / "_static" / "book.css").read_text(encoding="utf-8")
    script = (book / "_static" / "book.js").read_text(encoding="utf-8")
    everywhere = style.split("@media screen and (max-width: 46em)")[0]
    assert ".tag_fits-50" in style and ".printed { display: block" in everywhere
    assert not re.search(r"FIGURES|PRINTED|PHONE", style + script)


def test_a_link_to_nowhere_fails(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(make_book, "index", lambda: "# Book\n\n[gone](99_gone.ipynb)\n")
    monkeypatch.setattr(make_book, "chapters", list)
    assert make_book.main(tmp_path / "book") != 0
    assert "99_gone" in capfd.readouterr().err


def test_without_npm_the_page_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(from_npm.shutil, "which", lambda name: None)
    with pytest.raises(from_npm.NoNpm, match=r"no npm found.*install Node\.js"):
        from_npm.archive("mathjax", tmp_path)
    make_book.write_sources(tmp_path / "sources", {}, "no npm found")
    assert "no npm found" in (tmp_path / "sources" / "try_it.md").read_text(encoding="utf-8")


def test_another_archive_than_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "mathjax-3.2.2.tgz").write_bytes(b"something else")
    with pytest.raises(RuntimeError, match=r"its hash differs\. Remove it"):
        from_npm.archive("mathjax", tmp_path)


def test_the_glossary_has_every_word_in_order_with_its_chapter():
    parts = re.split(r"^## ", make_book.glossary(), flags=re.M)[1:]
    words = [part.split("\n")[0] for part in parts]
    assert words == sorted(words, key=str.lower) and len(words) == len(set(words))
    assert all(re.search(r"\]\(\d\d_\w+\.ipynb\)", part) for part in parts)
    named = {"AP", "AUROC", "F1-max", "inside", "PRO"}  # heads of the report's table
    assert named <= set(words) and named <= {h.split()[-1] for h in report.HEADS}
    assert "peak hit" in report.HEADS and "*Peak hit*" in make_book.glossary()


def test_the_cheat_sheet_has_the_recipes_own_numbers():
    sheet = make_book.cheat_sheet()
    assert "{{" not in sheet
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+? \| .+?) \|", sheet, re.M))
    course, released = Recipe.course(), Recipe.released()
    differing = course.differences(released)
    assert rows == {name: f"{mine} | {theirs}" for name, (mine, theirs) in differing.items()}


@pytest.fixture(scope="module")
def site(book):
    """The page, ready in a browser."""
    if not (book / "page" / "tower.js").is_file():
        reason = f"the book's page was not built. {from_npm.REMEDY}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with page_browser.opened(book) as (page, asked):
        yield page
        assert asked and not [address for address in asked if address.startswith("http")]


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector.load("course")


def check(shown, expected):
    """In the unit in which the page shows them, deviations above normal."""
    np.testing.assert_allclose(shown["map"], expected.map.ravel(), rtol=1e-3, atol=1e-2)
    assert shown["score"] == pytest.approx(expected.score, rel=1e-3, abs=1e-2)
    assert shown["anomalous"] == expected.is_anomalous


def test_the_page_gives_the_packages_numbers(site, detector):
    facts = site.page.evaluate("aaclip.facts")
    assert len(facts["parts"]) == 12
    for number in (0, 4, 11):
        part = facts["parts"][number]
        shown = site.part(number)
        check(shown, detector.predict(page_browser.pixels(part["image"]), part["product"]))
        assert shown["threshold"] is None and "No verdict" in site.text("verdict")


def test_sound_parts_shown_on_the_page_draw_the_packages_line(site, detector, monkeypatch):
    monkeypatch.setattr(coreset, "LARGEST", 100_000)  # the page keeps every patch
    facts = site.page.evaluate("aaclip.facts")
    part = facts["parts"][4]
    sound = [page_browser.pixels(each) for each in facts["references"][part["product"]]]
    detector.words["known"] = part["words"]
    detector.remember(sound, "known", readings=facts["readings"])
    expected = detector.predict(page_browser.pixels(part["image"]), "known")
    site.part(4)
    shown = site.click("#show")
    check(shown, expected)
    assert shown["threshold"] == pytest.approx(expected.threshold, abs=1e-4)
    verdict = "Called anomalous" if expected.is_anomalous else "Called sound"
    assert site.text("verdict") == verdict
    site.keep("page_with_references")


def test_a_photo_of_any_shape_and_ones_own_words(site, detector, tmp_path):
    smooth = np.random.default_rng(0).random((6, 9, 3)).repeat(40, 0).repeat(31, 1)
    photo = (255 * smooth).astype(np.uint8)
    page_browser.Image.fromarray(photo).save(tmp_path / "photo.png")
    site.drop("photo", tmp_path / "photo.png")
    shown = site.say("Rusty bolt's  head no. 17 für Eisen")
    expected = detector.predict(photo, "any", words="Rusty bolt's  head no. 17 für Eisen")
    check(shown, expected)
    assert "für" in site.text("unread") and "bolt" not in site.text("unread").split(": ")[0]
    (tmp_path / "notes.png").write_text("no picture")
    site.drop("photo", tmp_path / "notes.png")
    assert "notes.png is no picture" in site.text("state")


def test_the_page_reads_words_as_the_package_does(site, detector):
    said = [
        "a photo of a damaged metal nut.",
        "it's 3 O'Clock: don't!",
        "łódź — “x”’s",
        "bolt " * 40,
    ]
    given = site.page.evaluate(
        "said => aaclip.tokenizer().then(t => said.map(each => t.encode(each)))", said
    )
    tokenizer = detector.model.clip.tokenizer
    assert given == tokenizer(said, detector.model.clip.context).tolist()


def test_the_page_fits_a_phone(site):
    assert site.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_equations_are_set_and_the_cheat_sheet_prints_on_two_pages(site, book):
    sheet = site.page.context.new_page()
    sheet.goto((book / "cheat_sheet.html").as_uri())
    sheet.wait_for_selector("mjx-container")
    assert "$" not in sheet.inner_text("article")
    printed = sheet.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 2
    sheet.close()
