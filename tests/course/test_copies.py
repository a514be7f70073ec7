"""The reader's copies: cleared, brought up to date, and never written over what they changed."""

import json

import pytest

from aaclip_lite.course.check import EXERCISES, progress
from aaclip_lite.course.check.progress import record
from aaclip_lite.course.copies import copy_course


def chapter(folder, source="1 + 1", name="01_first"):
    outputs = [{"output_type": "stream", "name": "stdout", "text": "2"}]
    cell = {"cell_type": "code", "metadata": {}, "source": source, "execution_count": 1}
    notebook = {
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
        "cells": [cell | {"outputs": outputs}],
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook))


def source_of(path):
    return json.loads(path.read_text())["cells"][0]["source"]


@pytest.fixture
def folders(tmp_path):
    chapter(tmp_path / "notebooks")
    (tmp_path / "notebooks" / "colab.svg").write_text("<svg/>")
    return tmp_path / "notebooks", tmp_path / "my_course"


def test_copies_come_without_outputs(folders):
    assert copy_course(*folders) == ["01_first.ipynb is there"]
    cell = json.loads((folders[1] / "01_first.ipynb").read_text())["cells"][0]
    assert cell["outputs"] == [] and cell["execution_count"] is None
    assert (folders[1] / "colab.svg").exists()
    assert copy_course(*folders) == []


def test_a_chapter_that_was_run_but_not_changed_is_brought_up_to_date(folders):
    copy_course(*folders)
    chapter(folders[1])  # the same text, with outputs
    chapter(folders[0], "2 + 2")
    assert copy_course(*folders) == ["01_first.ipynb is newer now"]
    assert source_of(folders[1] / "01_first.ipynb") == "2 + 2"


def test_what_the_reader_changed_stays_and_the_newer_lies_beside_it_once(folders):
    copy_course(*folders)
    chapter(folders[1], "mine")
    assert copy_course(*folders) == []
    chapter(folders[0], "2 + 2")
    (told,) = copy_course(*folders)
    assert "holds your changes" in told and "01_first.new.ipynb" in told
    assert source_of(folders[1] / "01_first.ipynb") == "mine"
    assert source_of(folders[1] / "01_first.new.ipynb") == "2 + 2"
    assert copy_course(*folders) == []
    chapter(folders[1], "mine too", "01_first.new")
    chapter(folders[0], "3 + 3")
    copy_course(*folders)
    assert source_of(folders[1] / "01_first.new.ipynb") == "mine too"
    assert source_of(folders[1] / "01_first.new1.ipynb") == "3 + 3"


def test_a_broken_notebook_of_the_reader_is_left_alone(folders):
    copy_course(*folders)
    (folders[1] / "01_first.ipynb").write_text("{")
    chapter(folders[0], "2 + 2")
    copy_course(*folders)
    assert (folders[1] / "01_first.ipynb").read_text() == "{"


def test_a_folder_without_chapters_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no chapters"):
        copy_course(tmp_path, tmp_path / "my_course")


def test_a_notebook_records_what_was_solved_and_a_script_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = next(iter(EXERCISES))
    monkeypatch.delitem(__import__("sys").modules, "ipykernel", raising=False)
    record(name)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(__import__("sys").modules, "ipykernel", None)
    record(name)
    assert json.loads((tmp_path / "solved.json").read_text()).keys() == {name}
    assert f"1 of {len(EXERCISES)} exercises solved" in repr(progress())
    (tmp_path / "solved.json").write_text("[")
    with pytest.raises(ValueError, match=r"solved\.json.*remove it"):
        progress()
