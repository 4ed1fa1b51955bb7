# `make toy` and `make test` set up what they need: a .venv with the pinned packages, on Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

# `toy` is also the name of a link to a profile.
.PHONY: toy test lint benchmark docs clean

toy: $(READY)
	$(BIN)/snakemake --profile toy
	$(BIN)/snakemake --profile toy --quiet all --report results/toy/report.html
	@echo
	@cat results/toy/tables/generation.md results/toy/tables/table_1.md results/toy/tables/table_2.md
	@echo
	@echo "Tables:  results/toy/tables"
	@echo "Figures: results/toy/figures"
	@echo "Report:  results/toy/report.html, all of them in one file for a browser"
	@echo "Left out: NicheCompass, whose environment takes a quarter of an hour to compile. In config/toy.yaml this brings it in:"
	@echo "    clustering: {methods: {nichecompass: 2}}"

# make test TESTS="tests/unit -m 'not slow'"
TESTS ?= tests
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check .
	$(BIN)/lint-imports
	@# Rules have no conda or container, as software comes from requirements.lock. Any other remark is an error.
	! $(BIN)/snakemake --lint 2>&1 | grep '^ *\* ' | grep -v 'Specify a conda environment or container for each rule'
	$(BIN)/snakemake --profile toy --dry-run --quiet
	$(BIN)/snakemake --dry-run --quiet all

# make benchmark PARTS="attention step" QUICK=--quick
PARTS ?= attention step loop embedding generation vocabulary growth dag packaged
QUICK ?=
benchmark: $(READY)
	for part in $(PARTS); do $(BIN)/python benchmarks/$$part.py $(QUICK) || exit 1; done
	$(BIN)/python benchmarks/report.py $(QUICK)

# The API reference; only this target needs the packages of `.[docs]`.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c requirements.lock -e '.[docs]'
	$(BIN)/mkdocs build --strict
	@echo "API reference: build/api/index.html"

clean:
	rm -rf results/toy logs/toy build .venv .venvs .snakemake .pytest_cache .ruff_cache

# The packages are checked against the lock whenever one of these files is newer than the stamp .venv/ready.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "GeST needs Python 3.11 or newer, and '$(PYTHON)' is older or missing; name one: make PYTHON=python3.11"; exit 1; }
	@echo "Setting up .venv with the packages of requirements.lock (some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
