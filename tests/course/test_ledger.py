"""The ledger: quick rows still measure what they say, and every row can be found, judged, linked."""

import re

import pytest
import torch

from aaclip_lite.course import ledger, widgets
from aaclip_lite.course.ledger import s2
from aaclip_lite.variants import contrastive

ROWS = ledger.claims()
KEYS = [row.key for row in ROWS]
# lines and claims of each document, in this edition
LINES = {"S0": 189, "S1": 1002, "S2": 165, "S3": 227, "S4": 241}
COUNTS = {"S0": 26, "S1": 67, "S2": 33, "S3": 27, "S4": 32}


def test_every_quick_row_still_measures_what_it_says():
    found = ledger.again(ROWS)
    assert len(found) >= 60
    assert [(each.claim.key, each.found) for each in found if not each.agrees] == []


def test_there_are_so_many_rows_of_each_document():
    assert {name: sum(row.values()) for name, row in ledger.counts().items()} == COUNTS
    assert sum(COUNTS.values()) >= 95 and len(set(KEYS)) == len(KEYS)


def test_every_row_names_a_line_and_words_of_it():
    for row in ROWS:
        assert 1 <= row.line <= LINES[row.document], row.key
        assert len(row.quote.strip()) >= 4, row.key


def test_verdicts_kinds_and_dates_are_of_the_vocabulary():
    for row in ROWS:
        assert row.verdict in ledger.VERDICTS, row.key
        assert row.kind == "" or row.kind in ledger.KINDS, row.key
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.date), row.key
    assert {row.kind for row in ROWS} - {""} == set(ledger.KINDS)


def test_a_verdict_without_a_measurement_is_unsupported():
    for row in ROWS:
        assert row.value is not None or row.verdict == "unsupported", row.key
        assert (row.value is None) == (row.error is None), row.key


def test_a_row_that_is_not_measured_here_names_its_source():
    for row in ROWS:
        assert row.quick or row.source or row.verdict == "unsupported", row.key
        assert not (row.quick and row.value is None), row.key


def test_a_verdict_that_is_not_true_says_what_kind_of_error():
    for row in ROWS:
        assert row.kind or row.verdict in ("true", "mixed") or row.text.startswith("Asks"), row.key


def test_a_document_s_own_number_is_no_null_value():
    for row in ROWS:
        assert row.claimed is None or row.claimed != row.null or row.verdict == "invalid", row.key
        if row.verdict == "true" and row.claimed is not None:
            assert row.value == pytest.approx(row.claimed, abs=2 * row.error, rel=0.01), row.key
    assert sum(row.claimed is not None for row in ROWS) > 80


def test_the_published_figures_are_met_by_their_own_losses_only():
    others = dict.fromkeys(s2.LOGGED, s2.LOGGED["debias"])
    assert s2.figures_met(others) == ledger.find("S2:142").null


def test_links_lead_to_other_rows():
    for row in ROWS:
        assert set(row.links) <= set(KEYS) - {row.key}, row.key
    assert sum(bool(row.links) for row in ROWS) > 40


def test_contradictions_with_the_public_code_name_repository_and_commit():
    for row in ledger.select(verdict="contradicted", kind="other than the code"):
        assert re.search(r"[\w-]+/[\w.-]+ at [0-9a-f]{7}", row.source), row.key


def test_select_takes_apart_and_refuses_what_it_does_not_know():
    rows = ledger.select(document="S2", verdict="invalid")
    assert rows and {(row.document, row.verdict) for row in rows} == {("S2", "invalid")}
    assert [row.key for row in ledger.select(words="frequencies")] == ["S2:44"]
    with pytest.raises(ValueError, match="S0, S1"):
        ledger.select(document="S9")
    with pytest.raises(ValueError, match="no claim 'S0:999'"):
        ledger.find("S0:999")


@pytest.mark.parametrize(
    "claimed, value, error, null, verdict",
    [
        (0.9, 0.88, 0.02, 0.5, "true"),
        (0.9, 0.80, 0.02, 0.5, "false"),
        (0.55, 0.52, 0.04, 0.5, "unsupported"),  # neither told from claim nor from chance
        (0.5, 0.5, 0.01, 0.5, "invalid"),  # knowing nothing gives the claimed number
        (0.9, None, 0.0, None, "unsupported"),
        (0.9, float("nan"), 0.0, None, "unsupported"),
        (4, 4, 0.0, None, "true"),
        (4, 5, 0.0, None, "false"),
    ],
)
def test_judge(claimed, value, error, null, verdict):
    assert ledger.judge(claimed, value, error, null) == verdict


def test_a_claim_of_ones_own_is_measured_and_judged():
    mine = ledger.own("my run", 1, "It ranks at 0.9.", 0.9, lambda: (0.7, 0.02), null=0.5)
    assert mine.verdict == "false" and mine.value == 0.7 and mine.error == 0.02
    assert mine.claimed == 0.9 and mine.null == 0.5
    assert "my run:1" in ledger.table([mine])


def test_a_value_that_moved_is_shown():
    row = ledger.find("S3:12")
    moved = ledger.Again(row, row.value + 50, row.agrees(row.value + 50), 0.0)
    assert "DIFFERS" in ledger.table([row], [moved])
    assert "DIFFERS" not in ledger.table([row], ledger.again([row]))


def test_the_page_has_an_anchor_for_each_claim_and_no_dead_link():
    page = ledger.page()
    anchors = re.findall(r"^\((s\d-\d+\w?)\)=$", page, re.M)
    assert len(anchors) == len(ROWS) and len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= set(anchors)
    part = ledger.page(ledger.select(document="S0", verdict="mixed"))
    assert set(re.findall(r"\]\(#([\w-]+)\)", part)) <= set(re.findall(r"\((s\d-\w+)\)=", part))


def test_the_table_of_a_notebook_escapes_what_is_written_in_it():
    mine = ledger.own("my run", 1, "a <b> claim", 1.0, lambda: 1.0)
    shown = ledger.html([*ledger.select(document="S4"), mine])._repr_html_()
    assert shown.count("<tr>") == COUNTS["S4"] + 2
    assert "a &lt;b&gt; claim" in shown and "<b>" not in shown


def test_the_panel_of_the_notebook_shows_what_is_chosen():
    panel = widgets.claims()
    assert len(panel.rows) == len(ROWS)
    panel.controls["document"].value = "S3"
    panel.controls["verdict"].value = "invalid"
    assert panel.rows == ledger.select(document="S3", verdict="invalid") != []


def test_the_short_formulas_are_those_of_the_systems_in_variants():
    S = s2.similarities()
    both = (s2.lifted(S, 0.2) + s2.lifted(S.T, 0.2)) / 2
    theirs = contrastive.contrastive_loss(S, torch.ones_like(S), "v3", beta=0.2)
    assert float(theirs) == pytest.approx(both)
    made_up = contrastive.simulated_table(0.0123, 1.05)["image_to_text"]["R@1"]
    assert made_up == pytest.approx(45.2 * s2.simulated(0.0123, 1.05))
