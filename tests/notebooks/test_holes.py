"""What nbval would let pass must fail here: each case is a two-cell notebook whose second cell must
not be run.
"""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[2]
BROKEN = {
    "bad_line_magic": "%no_such_magic",
    "bad_cell_magic": "%%no_such_magic\n1",
    "shell_fails_then_recovers": "!false\n!true",
    "captured_shell_fails": "lines = !false",
    "early_exit": "raise SystemExit(1)",
    "too_slow": "import time; time.sleep(60)",
}


def write(folder, name, *cells):
    notebook = new_notebook(
        cells=list(cells), metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    nbformat.write(notebook, folder / f"{name}.ipynb")


def run(folder, *options):
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        "--nbval-current-env",
        *options,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holes")
    for name, source in BROKEN.items():
        write(folder, name, new_code_cell(source), new_code_cell("open('reached', 'w').close()"))
    quiet = new_code_cell("1", metadata={"tags": ["raises-exception"]})
    write(folder, "promised_exception_missing", quiet, new_code_cell("1"))
    raising = new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    shell = new_code_cell("%time x = 1\n!echo $x\nlines = !echo {x}")
    write(folder, "sound", shell, raising, new_code_cell("assert lines == ['1']"))
    done = run(folder, "--nbval-cell-timeout=4", "--junitxml=report.xml")
    found = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        outcome = {child.tag for child in case} & {"failure", "error", "skipped"}
        found.setdefault(case.get("classname").removesuffix(".ipynb"), []).append(
            "".join(outcome) or "passed"
        )
    assert not (folder / "reached").exists()
    return found, done


@pytest.mark.parametrize("name", [*BROKEN, "promised_exception_missing"])
def test_a_broken_cell_fails_and_the_rest_is_skipped(outcomes, name):
    assert outcomes[0][name] == ["failure", "skipped"]


def test_a_sound_notebook_passes(outcomes):
    found, done = outcomes
    assert found["sound"] == ["passed", "passed", "passed"], done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_the_reason_is_told_and_the_summary_comes_last(outcomes):
    lines = outcomes[1].stdout.strip().splitlines()
    assert any("no_such_magic" in line and "not found" in line for line in lines)
    assert any(line.startswith("FAILED: tests. Remedy:") for line in lines)
    assert any(line.endswith(" s  sound.ipynb") for line in lines), (
        "each notebook's time is printed"
    )
    assert "failed" in lines[-1] and "passed" in lines[-1] and lines[-1].endswith("=")


def test_a_cell_has_ten_minutes(tmp_path):
    write(tmp_path, "quick", new_code_cell("1"))
    (tmp_path / "probe.py").write_text(
        "def pytest_collection_finish(session):\n    print('cell seconds', "
        "session.config.option.nbval_cell_timeout)\n"
    )
    done = run(tmp_path, "-p", "probe", "--collect-only", "-s")
    assert "cell seconds 600" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "content", ["", "import pytest\n@pytest.mark.skip\ndef test_nothing(): pass\n"]
)
def test_a_session_without_a_test_fails(tmp_path, content):
    (tmp_path / "test_empty.py").write_text(content)
    done = run(tmp_path)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "no test ran" in done.stdout
