# Each target builds .venv when it is missing or older than the lists of packages.
PYTHON ?= python3
BIN := .venv/bin
RESULTS := benchmarks/results
# Folders that `make bench` measures too, where they are named: photographs, and large ones.
PHOTOGRAPHS ?=
LARGE ?=

.PHONY: help tag test lab notebooks accuracy bench gpu soak lint lock

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ifdef IMAGES
NAME := $(shell basename "$(IMAGES)")
FOLDERS := -r image_dir "$(IMAGES)" -r output_dir "runs/$(NAME)/tags"
else
NAME := .
FOLDERS := -r output_dir runs/tags
endif

tag: .venv/built  ## tag the demo pictures, results in runs/tags; or make tag IMAGES=photos, results in runs/photos/tags
	@mkdir -p "runs/$(NAME)"
	$(BIN)/papermill -k python3 notebooks/03_tag_batch.ipynb "runs/$(NAME)/03_tag_batch.ipynb" $(FOLDERS)

test: .venv/built  ## all tests
	$(BIN)/python -m pytest

lab: .venv/built  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: .venv/built  ## run the notebooks on their defaults and keep the outputs
	$(BIN)/python tests/execute_notebooks.py

accuracy: .venv/built  ## recall, precision and mAP of the demo detector on scenes it has never seen
	$(BIN)/python -m wanwu_nb.demo.accuracy --record $(RESULTS)/demo_accuracy.json

bench: .venv/built  ## everything that the pages show, measured on this machine; the pages' figures anew
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks.speed --record $(RESULTS)
	$(BIN)/python -m benchmarks.first_picture --record $(RESULTS)/first_picture.json
	$(BIN)/python -m benchmarks.compare_trees --record $(RESULTS)/compare_trees.json --avx2 a937211
	test -z "$(PHOTOGRAPHS)" || $(BIN)/python -m benchmarks.int8_tags --record $(RESULTS)/int8_tags.json --avx2 "$(PHOTOGRAPHS)"
	$(BIN)/python -m benchmarks.memory --record $(RESULTS)/memory.json
	$(BIN)/python -m benchmarks.redecide --record $(RESULTS)/redecide.json
	$(BIN)/python -m benchmarks.exports --record $(RESULTS)/exports.json
	$(BIN)/python -m benchmarks.gallery --record $(RESULTS)/gallery.json
	$(BIN)/python -m benchmarks.cold_start --record $(RESULTS)/cold_start.json
	$(BIN)/python -m benchmarks.clock --record $(RESULTS)/clock.json
	$(BIN)/python -m benchmarks.choices --record $(RESULTS)/choices.json
	$(BIN)/python -m benchmarks.scaled_decoding --record $(RESULTS)/scaled_decoding.json $(if $(LARGE),--photographs "$(LARGE)")
	$(BIN)/python -m benchmarks.readme

gpu: .venv/built  ## what only a machine with a GPU can measure, in about ten minutes; the pages' figures anew
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks.on_gpu --record $(RESULTS)
	$(BIN)/python -m benchmarks.readme

soak: .venv/built  ## the long proofs: 10,000 damaged files, 90 kills, memory over 50,000 pictures
	$(BIN)/python tests/soak.py --record docs/soak.txt

lint: .venv/built  ## what is found without running: style, form, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: .venv/built  ## write the installed versions to constraints.txt
	$(BIN)/pip install --quiet --editable '.[notebooks,test,bench]'
	$(BIN)/pip freeze --exclude-editable | sed 's/ @ .*//' > constraints.txt

.venv/built: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.11 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebooks,test]'
	@touch $@
