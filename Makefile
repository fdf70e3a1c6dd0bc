# Everything happens in .venv; nothing but Python 3.11+ and make is needed beforehand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Python compiles what is imported, once; all 25,000 modules would take minutes.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
export PYTHONDONTWRITEBYTECODE :=
# Of that index nothing else is taken, which lacks pinned versions of what the two need; the next line installs those.
TORCH_FROM := $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX))
BUILD_DOCS := $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html
FASHION_MNIST := /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz

.PHONY: help setup setup-dev demo test check docs format clean

help:
	@echo "make demo    the whole method on Fashion-MNIST: table and report"
	@echo "make test    all tests (installs the development extras)"
	@echo "make check   formatting, lint, types, docs in step with the code"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make setup   only the environment, in $(VENV)"
	@echo "TORCH_INDEX=URL after any of them takes PyTorch from another package index, such as that of its CPU builds"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gpt4image needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 setup" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing gpt4image and its pinned dependencies into $(VENV) (some minutes, several GB with PyTorch) ..."
	$(PIP_INSTALL) $(TORCH_FROM) torch torchvision
	$(PIP_INSTALL) --editable '.[train]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Installing the development extras ..."
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

setup: $(VENV)/.ready

setup-dev: $(VENV)/.ready-dev

# Debian's package where it can be installed; otherwise `gpt4image demo` downloads the images with torchvision.
$(FASHION_MNIST):
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Debian's package dataset-fashion-mnist ..."; \
		{ apt-get update -qq && apt-get install -qq -y dataset-fashion-mnist; } >/dev/null 2>&1 \
			|| echo "apt could not install it; trying torchvision's download" >&2; fi

demo: setup $(FASHION_MNIST)
	$(BIN)/gpt4image demo --out demo-out

test: setup-dev $(FASHION_MNIST)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BUILD_DOCS)

docs: setup-dev
	$(BIN)/python docs/write_cli.py
	$(BUILD_DOCS)
	@echo "docs/_build/html/index.html"

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo-out docs/_build
