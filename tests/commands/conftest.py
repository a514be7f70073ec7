"""A tiny detector, and `predict` as a person calls it."""

import pytest

from aaclip_lite.__main__ import main
from tests.faults import places


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    place = places.write_clip(tmp_path_factory.mktemp("predict"))
    return str(places.write_detector(place))


@pytest.fixture
def run(detector, tmp_path, monkeypatch, capsys):
    """run(pictures..., options...) in an empty folder: (exit code, output, errors)"""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        options = ["--detector", detector, "--product", "bolt"]
        code = main(["predict", *map(str, words), *options])
        text, errors = capsys.readouterr()
        # the last line says where the product's line comes from
        verdicts = [line for line in text.splitlines() if not line.startswith("line for bolt")]
        return code, "\n".join(verdicts), errors

    return call
