"""pytest for the whole project, and above all for the notebooks that nbval runs.

Special: nbval alone lets four things pass. A magic that does not exist and a shell line that fails
raise nothing that it looks at; a cell tagged `raises-exception` may raise nothing; and after a
failure it goes on with the rest of the notebook, whose failures then mean nothing. Here the first
three fail, and the rest of that notebook is skipped. A session in which no test ran fails too.
`tests/notebooks/test_holes.py` proves each. The browser tests, where there is no browser or
no npm, and the Colab test, where there is no package index, are listed as not run, with the remedy
(`tests/browser/test_missing.py`).

Use: nothing to do, pytest finds this file from any folder of the project.
"""

import os

import pytest

CELL_SECONDS = 600  # chapter 07 trains for minutes, on one core where tests run in parallel
NBVAL_DEFAULT_SECONDS = 2000
FAILED_CELL = pytest.StashKey[int]()
# Read by the kernel's shell: `!command` and `lines = !command` raise when the command fails.
STRICT_KERNEL = """
if not hasattr(get_ipython(), "system_raise_on_error"):
    raise RuntimeError("this IPython cannot make failing shell lines raise: install requirements.lock")
get_ipython().system_raise_on_error = True
"""

# xdist already uses every core, and nothing tested may need the network. Set before torch is
# imported anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def is_cell(item):
    return type(item).__name__ == "IPyNbCell"


def pytest_configure(config):
    if getattr(config.option, "nbval_cell_timeout", None) == NBVAL_DEFAULT_SECONDS:
        config.option.nbval_cell_timeout = CELL_SECONDS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    if is_cell(item) and FAILED_CELL in item.parent.stash:
        pytest.skip(f"cell {item.parent.stash[FAILED_CELL]} of this notebook failed")
    result = yield
    if is_cell(item) and not hasattr(item.parent.kernel, "last_reply"):
        make_strict(item.parent.kernel)
    return result


def make_strict(kernel):
    """Keep every reply of the kernel (nbval throws them away), then make its shell lines raise."""
    kernel.last_reply = {}
    get_message = kernel.get_message

    def get_and_keep(stream, timeout=None):
        message = get_message(stream, timeout=timeout)
        if message["msg_type"] == "execute_reply":
            kernel.last_reply = message["content"]
        return message

    kernel.get_message = get_and_keep
    kernel.await_reply(kernel.kc.execute(STRICT_KERNEL, silent=True), timeout=CELL_SECONDS)
    if kernel.last_reply["status"] != "ok":
        raise RuntimeError(kernel.last_reply.get("evalue"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if is_cell(item):
        reply, may_raise = item.parent.kernel.last_reply, item.options["check_exception"]
        if reply["status"] == "error" and not may_raise:
            item.raise_cell_error(f"{reply['ename']}: {reply['evalue']}")
        if reply["status"] == "ok" and may_raise:
            item.raise_cell_error("The cell is tagged raises-exception and raised nothing")
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if is_cell(item) and report.failed:
        item.parent.stash.setdefault(FAILED_CELL, item.cell_num)
    return report


def nothing_ran(reporter):
    """All skipped is as empty as no test at all; pytest itself calls only the second a failure."""
    return not any(
        reporter.stats.get(outcome)
        for outcome in ("passed", "failed", "error", "xfailed", "xpassed")
    )


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        hasattr(session.config, "workerinput")
        or session.config.option.collectonly
        or reporter is None
    ):
        return
    if exitstatus == pytest.ExitCode.OK and nothing_ran(reporter):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def seconds_of_notebooks(reporter) -> dict[str, float]:
    """How long each notebook's cells took, from the reports of all processes."""
    spent = {}
    for report in (report for reports in reporter.stats.values() for report in reports):
        if ".ipynb::" in getattr(report, "nodeid", ""):
            name = report.nodeid.split("::")[0]
            # a warning has none
            spent[name] = spent.get(name, 0.0) + getattr(report, "duration", 0.0)
    return dict(sorted(spent.items()))


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if spent := seconds_of_notebooks(terminalreporter):
        for name, seconds in spent.items():
            terminalreporter.write_line(f"{seconds:7.0f} s  {name}")
        terminalreporter.write_line(
            f"{sum(spent.values()):7.0f} s  all notebooks, on as many cores as tests ran on"
        )
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        terminalreporter.write_line(
            "FAILED: tests. Remedy: run one name below alone, `.venv/bin/python -m pytest "
            "--nbval-lax -x NAME`; "
            "for a notebook, name the file."
        )
    elif nothing_ran(terminalreporter) and not config.option.collectonly:
        terminalreporter.write_line(
            "FAILED: no test ran. Remedy: name files that hold tests, or run `make test`."
        )
    skipped = (
        report
        for report in terminalreporter.stats.get("skipped", [])
        if not hasattr(report, "wasxfail")
    )
    told = ("tests/browser/", "tests/notebooks/test_colab.py", "tests/notebooks/test_book.py")
    reasons = {
        r.nodeid.split("::")[0]: r.longrepr[-1] for r in skipped if r.nodeid.startswith(told)
    }
    for file, reason in reasons.items():
        terminalreporter.write_line(f"NOT RUN: {file}: {reason.removeprefix('Skipped: ')}")
