# Every command of the project; `make` alone lists them. Each builds what it needs first, in this folder only.
# Variables: PYTHON=python3.12 to build with that one, PORT=9000 for JupyterLab, UPGRADE=1 for newer pins in `make lock`.
PYTHON =
PORT =
UPGRADE =
VENV = .venv
PY = $(VENV)/bin/python
.DEFAULT_GOAL = help
.PHONY: help lab env test test-full test-kills demo bench course measure colab book lock clean

# $(call step,name,command,remedy): says what runs; if it fails, says which step that was and what to do.
define step
@printf '\n== %s\n' '$(1)'; ( $(2) ) || \
	{ printf '\nFAILED: %s\n   why: the last lines above\nremedy: %s\n' '$(1)' '$(3)' >&2; exit 1; }
endef

# The first Python that runs and is new enough: a name on the path may be an empty shim, so each is tried.
BASE = $(shell for p in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	$$p -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)
UV = $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
GET_PYTHON = [ -n "$(BASE)" ] && echo "building with $(BASE)" || { echo "no Python 3.11 or newer found"; false; }
GET_UV = $(UV) --version || { "$(BASE)" -m venv --clear .uv && .uv/bin/python -m pip install --quiet uv; }
GET_VENV = $(PY) -c "" 2>/dev/null || $(UV) venv --quiet --clear --python "$(BASE)" $(VENV)
GET_PINS = $(UV) pip sync $(BYTECODE) --python $(PY) --require-hashes requirements.lock
# where Python may not keep what it compiles, each start compiles anew: 3 s more, unless it is done here, in 25 s
BYTECODE = $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
GET_SELF = $(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
OFFLINE = the package index must be reachable and 10 GB of disk free; then the same command again

$(VENV)/.installed: requirements.lock pyproject.toml
	$(call step,environment 1/5: find Python,$(GET_PYTHON),install Python 3.11 to 3.13 or name one: make env PYTHON=path)
	$(call step,environment 2/5: find uv,$(GET_UV),$(OFFLINE) (on Debian and Ubuntu also: apt install python3-venv))
	$(call step,environment 3/5: make $(VENV),$(GET_VENV),make clean and then the same command again)
	$(call step,environment 4/5: install requirements.lock,$(GET_PINS),$(OFFLINE))
	$(call step,environment 5/5: install this package,$(GET_SELF),mend pyproject.toml as the message says)
	@touch $@

$(VENV)/.checked: $(VENV)/.installed aaclip_lite/files/environment.py
	$(call step,check the environment,$(PY) -m aaclip_lite.files.environment,the remedy in each line that begins with FAIL)
	@touch $@

lab: $(VENV)/.checked ## build what is missing, check it, open your own copies of the chapters in JupyterLab
	$(call step,your copies of the chapters in my_course/,$(PY) -m aaclip_lite.course.copies notebooks my_course,read the last line above)
	@mkdir -p $(VENV)/share/jupyter/lab/settings && printf '%s\n' '$(QUIET)' > $(VENV)/share/jupyter/lab/settings/overrides.json
	$(call step,JupyterLab (Ctrl-C twice ends it),$(LAB),if the port is taken: make lab PORT=9000)
# no question about news, no look for updates: the course works without a network
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
HAS_SCREEN = $(filter Darwin MINGW% MSYS% CYGWIN%,$(shell uname -s))$(DISPLAY)$(WAYLAND_DISPLAY)
LAB = $(VENV)/bin/jupyter lab --LabApp.default_url=/lab/tree/my_course/00_start_here.ipynb $(if $(HAS_SCREEN),,--no-browser) \
	$(if $(PORT),--port=$(PORT)) $(if $(filter 0,$(shell id -u)),--allow-root)

env: $(VENV)/.checked ## build and check the environment only
	@echo "$(VENV) is ready; . $(VENV)/bin/activate uses it in this shell"

test: $(VENV)/.installed ## lint, floors, spelling, tests, notebooks
	$(call step,lint (ruff),$(VENV)/bin/ruff check .,$(VENV)/bin/ruff check --fix . and mend the rest by hand)
	$(call step,format (ruff),$(VENV)/bin/ruff format --check --quiet .,$(VENV)/bin/ruff format .)
	$(call step,types of the core (mypy),$(VENV)/bin/mypy --no-error-summary $(wildcard aaclip_lite/*.py),give the annotation that the message asks for)
	$(call step,import floors (import-linter),$(VENV)/bin/lint-imports --no-cache,import from a lower floor only)
	$(call step,spelling (codespell),$(VENV)/bin/codespell,mend the word or add it to ignore-words-list in pyproject.toml)
	@printf '\n== tests and notebooks (pytest)\n'; exec $(PY) -m pytest $(TESTS)
TESTS = -n auto --dist loadscope --nbval-lax --nbval-current-env tests notebooks --ignore tests/full

test-full: $(VENV)/.installed ## the real size with random weights: ViT-L/14-336 at 518 px, minutes and up to 9 GB of memory
	$(call step,tests at full size,$(PY) -m pytest -s tests/full,free 10 GB of memory and 8 GB of disk)

test-kills: $(VENV)/.installed ## a hundred kills over train, factory, eval, predict and export, each run again and compared
	$(call step,a hundred kills,$(PY) -m tests.faults.kills --number 100,the file that differs stands in the table)

demo: $(VENV)/.installed ## no browser: draw unseen products, mark their defects, print a table
	$(call step,demo,$(PY) -m aaclip_lite demo,make env tells what is missing)

bench: $(VENV)/.installed ## measure speed on this machine
	$(call step,bench,$(PY) -m aaclip_lite lab bench,make env tells what is missing)

course: $(VENV)/.checked ## run the notebooks again, keep outputs, refresh minutes and memory; CHAPTER=03_adapters: one
	$(call step,run the notebooks,$(PY) -m tests.notebooks.run_course $(CHAPTER),run it cell by cell with make lab)
CHAPTER =
measure: course ## the same

colab: $(VENV)/.installed ## chapters 00 to 09 as in a Colab session: a wheel in an empty folder, old widgets
	$(call step,the chapters as in Colab,$(PY) -m tests.notebooks.run_colab $(CHAPTER),see the cell that failed above)

book: $(VENV)/.installed ## the chapters as web pages with search, for a phone: build/book/index.html
	$(call step,the book,$(PY) -m tests.notebooks.make_book,make course if a chapter has no outputs)

lock: ## write requirements.lock anew from pyproject.toml
	$(call step,find uv,$(GET_UV),$(OFFLINE))
	$(call step,pin,$(PIN),a range in pyproject.toml that nothing fulfils; or: $(OFFLINE))
PIN = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file requirements.lock

clean: ## remove what make built and drew; keeps runs/
	rm -rf $(VENV) .uv dist data/factory .pytest_cache .ruff_cache

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile
