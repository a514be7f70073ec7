"""prompts.py: counts, sentences, names."""

import pytest

from aaclip_lite.prompts import REAL_NAMES, STATES, TEMPLATES, plain_name, real_name, sentences


def test_documented_counts():
    # The document says 6 x 7 + 10 x 7 = 112, but its training loop averages 56 normal and 56
    # abnormal sentences. Taken is 42 + 70: it follows from the listed states and templates, 56 only
    # from halving the total.
    normal, abnormal = sentences("bottle", "documented", "documented", "real")
    assert (len(normal), len(abnormal)) == (42, 70)
    assert len(set(normal + abnormal)) == 112
    for stated in ("flawless {}", "perfect {}"):
        assert stated in STATES["documented"][0]
    for stated in ("damaged {}", "{} with flaw"):
        assert stated in STATES["documented"][1]
    assert [t.rstrip(".") for t in TEMPLATES["documented"][:2]] == [
        "a photo of a {}",
        "a cropped photo of the {}",
    ]


def test_released_sentences_of_one_class():
    normal, abnormal = sentences("zipper", "released", "released", "real")
    assert normal == [
        "a black zipper.",
        "a photo of a black zipper.",
        "a a black zipper.",
        "a photo of a a black zipper.",
        "the a black zipper.",
        "a photo of the a black zipper.",
    ]
    assert len(abnormal) == 10 and abnormal[0] == "a damaged a black zipper."


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("templates", TEMPLATES)
def test_every_set_names_the_thing_in_every_sentence(states, templates):
    normal, abnormal = sentences("metal_nut", states, templates)
    assert all("metal nut" in sentence and "{" not in sentence for sentence in normal + abnormal)
    assert not set(normal) & set(abnormal)


def test_names():
    assert real_name("metal_nut") == "metal nut which has four notched edges"
    assert real_name("Liver") == real_name("Brain") == "scan"
    assert real_name("object") == "object"
    assert real_name("steel_bracket") == plain_name("steel_bracket") == "steel bracket"
    assert sentences("pcb1", names="plain")[0][0] == "pcb1."
    assert len([name for table in REAL_NAMES.values() for name in table]) == len(
        {name for table in REAL_NAMES.values() for name in table}
    )


def test_braces_in_a_name_stay_as_they_are():
    assert sentences("part {7}", "released", "released")[0][0] == "part {7}."


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_a_name_must_be_words(name):
    with pytest.raises(ValueError, match="class name"):
        sentences(name)


def test_unknown_sets_are_named():
    with pytest.raises(ValueError, match=r"states 'winclip'.*documented"):
        sentences("bottle", states="winclip")
    with pytest.raises(ValueError, match="templates 'many'"):
        sentences("bottle", templates="many")
