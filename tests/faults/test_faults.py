"""Bad input of every kind that a tester thought of: nothing is lost, hangs, crashes or is accepted in
silence, and nearly every refusal names what is wrong and what to do.

Special: the cases stand in cases_*.py, the rules in judge.py; the table is printed at the end.
"""

from types import SimpleNamespace

import pytest

from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from tests.faults import (
    cases_calls,
    cases_course,
    cases_data,
    cases_detector,
    cases_lab,
    cases_options,
    cases_pictures,
    cases_variant,
    places,
)
from tests.faults.judge import GOOD, judge

OLDER = (cases_pictures, cases_options, cases_detector, cases_data, cases_calls)
HOMES = (*OLDER, cases_lab, cases_course, cases_variant)
CASES = [case for home in HOMES for case in home.cases()]
POOR = 0.05  # share of refusals that may be poor
TALLY = {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What all cases share, and none of them changes."""
    root = places.write_clip(tmp_path_factory.mktemp("faults"))
    clip = load_clip(str(root / "clip.json"), weights=str(root / "clip.pt"))
    folder = places.write_detector(root)
    return SimpleNamespace(
        root=root,
        clip=clip,
        model=AdaptedCLIP(clip),
        folder=folder,
        raw=places.write_detector(root, calibrated=False),
        detector=AnomalyDetector.load(folder),
        data=places.write_set(root / "set"),
        options=places.clip_options(root),
        mark=None,
    )


def test_there_are_enough_cases_and_no_two_of_one_name():
    assert len(CASES) >= 400 and len(set(map(str, CASES))) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case, place, tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)
    way, said = judge(case, place, tmp_path)
    TALLY[str(case)] = (way, said)
    # what is said may hold half of a pair of surrogates, which no report between processes can
    said = str(said).encode("utf-8", "backslashreplace").decode()
    record_property("fault", (case.group, way, str(case), said))
    assert way in (*GOOD, "poor"), f"{way}: {said}"


def test_few_refusals_are_poor():
    poor = [f"{name}: {said}" for name, (way, said) in TALLY.items() if way == "poor"]
    assert TALLY, "runs after the cases"
    assert len(poor) <= POOR * len(TALLY), "\n".join(poor)
