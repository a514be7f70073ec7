"""A reader's browser: JupyterLab opens, chapters 00 and 09 run, and a slider moved by keys changes
its picture.

Needs Chromium on the path. Where there is none nothing is run, and `conftest.py` says so at the end
of the session, with the command that installs it; on a build server (variable CI) that is a
failure. The server is this test's own: a free port, copies of the notebooks, empty settings.
Screenshots are kept in build/browser/.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "apt-get install -y chromium (Debian), or put any Chromium or Chrome on the path"
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # every cell is in the page, also those out of sight
    "notebook-extension/tracker": {"windowingMode": "none"},
}
NOTEBOOKS = ("00_start_here", "09_explorer")
SECONDS = 300  # for a chapter on a busy machine; each takes a fraction of that
CURRENT = "window.jupyterapp?.shell.currentWidget"


def found_chromium():
    """The browser's path; where there is none the test that asks is not run, and says so."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"no Chromium found. To run it: {INSTALL}"
        )
    return found


def options():
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return {"executable_path": found_chromium(), "args": [*QUIET, *as_root]}


@pytest.fixture(scope="module")
def chromium():
    return found_chromium()


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    """A JupyterLab over copies of the chapters: its address and token."""
    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    for name in NOTEBOOKS:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", home / "notebooks")
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port, token = probe.getsockname()[1], secrets.token_hex(16)
    folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    own = {f"JUPYTER_{name}": str(home / name) for name in folders} | {
        "IPYTHONDIR": str(home / "ipython")
    }
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": home / "notebooks",
        "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly",
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *(f"--{k}={v}" for k, v in options.items()),
    ]
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with open(home / "log.txt", "w") as log:
        environment = os.environ | own | {"JUPYTER_TOKEN": token}
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    try:
        wait_for_server(
            server, f"http://127.0.0.1:{port}/api/status?token={token}", home / "log.txt"
        )
        yield f"http://127.0.0.1:{port}/lab/tree", token
    finally:
        server.terminate()
        server.wait(60)


def wait_for_server(server, address, log):
    began = time.monotonic()
    while time.monotonic() < began + SECONDS:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=10) as reply:
                assert reply.status == 200
                return
        except (urllib.error.URLError, OSError):
            try:
                server.wait(0.3)  # it is not there yet: until it is, or has ended
            except subprocess.TimeoutExpired:
                continue
    pytest.fail(f"JupyterLab did not answer within {SECONDS} s: {log.read_text()}")


@pytest.fixture(scope="module")
def page(chromium, lab):
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(**options())
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        page.set_default_timeout(1000 * SECONDS)
        try:
            yield page
        finally:
            browser.close()


def open_notebook(page, lab, name):
    address, token = lab
    page.goto(f"{address}/{name}.ipynb?token={token}&reset")
    page.wait_for_function(
        f"{CURRENT}?.context?.isReady && {CURRENT}.context.path == '{name}.ipynb'"
    )
    page.wait_for_function(f"{CURRENT}.sessionContext.session?.kernel?.status == 'idle'")


def run_all(page):
    """Run every cell, wait until the last has ended or one has failed, and give the code cells as
    they then are.
    """
    page.evaluate("void window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    code = f"{CURRENT}.content.model.sharedModel.cells.filter(c => c.cell_type == 'code').map(c => c.toJSON())"
    failed = "cell.outputs.some(o => o.output_type == 'error')"
    page.wait_for_function(f"""() => {{
        const cells = {code};
        return cells.some(cell => {failed}) || (cells.every((cell, i) => cell.execution_count == i + 1)
            && {CURRENT}.sessionContext.session.kernel.status == 'idle')
    }}""")
    return page.evaluate(code)


def errors(cells):
    return [
        output["evalue"]
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def keep(page, name):
    page.screenshot(path=SHOTS / f"{name}.png")


def test_chapter_00_runs(page, lab):
    open_notebook(page, lab, "00_start_here")
    keep(page, "00_opened")
    cells = run_all(page)
    page.locator(".jp-OutputArea img").last.scroll_into_view_if_needed()
    keep(page, "00_run")
    assert cells and not errors(cells)
    assert page.locator(".jp-OutputArea img").count() >= 3


def test_chapter_09_reads_without_a_kernel_and_its_sliders_answer(page, lab):
    open_notebook(page, lab, "09_explorer")
    page.locator(".jp-OutputArea img").first.scroll_into_view_if_needed()
    keep(page, "09_not_run")
    assert page.locator(".jp-OutputArea img").count() >= 5, (
        "every live view has a static picture beside it"
    )
    assert page.get_by_text("Error displaying widget").count() == 0
    cells = run_all(page)
    assert cells and not errors(cells)

    panel = page.locator(".widget-vbox", has=page.get_by_text("blur", exact=True)).last
    image, handle = (
        panel.locator("img"),
        panel.locator(".widget-slider", has_text="blur").locator(".noUi-handle"),
    )
    handle.scroll_into_view_if_needed()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 100", arg=image.element_handle()
    )
    before, source = image.screenshot(), image.get_attribute("src")
    keep(page, "09_before")
    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    changed = (
        "([image, source]) => image.src != source && image.complete && image.naturalWidth > 100"
    )
    page.wait_for_function(changed, arg=[image.element_handle(), source], timeout=60_000)
    page.wait_for_function(f"{CURRENT}.sessionContext.session.kernel.status == 'idle'")
    keep(page, "09_after")
    assert image.screenshot() != before, "the slider moved, the picture stayed the same"
