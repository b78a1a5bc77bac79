# Everything a fresh machine needs is Python 3.11 or later and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ORACLES := .venv/.oracles

.PHONY: demo test test-slow oracles oracle-packages check golden bench bench-regularity bench-generator bench-sweep map clean fuzz-regularity

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY) oracle-packages check
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(READY)
	@$(BIN)/python -m pytest -m slow

# The zoo against other people's modules; where they cannot be downloaded, `make test` skips those tests.
oracles: $(READY) oracle-packages
	@$(BIN)/python -m pytest tests/oracles

oracle-packages: $(READY)
	@test $(ORACLES) -nt requirements-oracles.txt -a $(ORACLES) -nt $(READY) || { \
	  echo "Setting up the second parties (once, about 250 MB)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-oracles.txt \
	  && touch $(ORACLES) || echo "They could not be installed: the tests that need them are skipped"; }

check: $(READY)
	@$(BIN)/ruff check anatomy zoo tests examples benchmarks
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports

golden: $(READY)
	@ANATOMY_UPDATE_GOLDEN=1 $(BIN)/python -m pytest -m "not slow" -k golden
	@git --no-pager diff --stat -- tests/golden || true

# Which mechanisms of the zoo are one, and which become which: minutes, unless it was computed before.
map: $(READY)
	@$(BIN)/python -m zoo.map

# Everything that is timed, 20 minutes or so; other packages take part where they could be downloaded.
bench: $(READY) oracle-packages
	@for script in $(filter-out benchmarks/bench_regularity.py benchmarks/bench_generator.py benchmarks/bench_sweep.py,$(wildcard benchmarks/bench_*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# The Lipschitz check against its goals and against others: ten minutes or so. auto_LiRPA gets an environment of its own.
bench-regularity: $(READY)
	@test -x .venv-lirpa/bin/python || { \
	  $(BIN)/python -m venv .venv-lirpa \
	  && ls -d "$$PWD"/.venv/lib/python*/site-packages > "$$(ls -d .venv-lirpa/lib/python*/site-packages)/torch.pth"; }
	@.venv-lirpa/bin/python -c 'import auto_LiRPA' 2> /dev/null \
	  || .venv-lirpa/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'auto_LiRPA==0.7.1' appdirs 2> /dev/null \
	  || echo "auto_LiRPA 0.7.1 could not be installed: its column stays empty"
	@$(BIN)/python benchmarks/bench_regularity.py $(BENCH)

# The generator's rates, and those of PyGlove and NePS for the same spaces, each in an environment of its own: five minutes or so.
bench-generator: $(READY)
	@test -x .venv-pyglove/bin/python || $(BIN)/python -m venv .venv-pyglove
	@.venv-pyglove/bin/python -c 'import pyglove' 2> /dev/null \
	  || .venv-pyglove/bin/python -m pip install --quiet --disable-pip-version-check 'pyglove==0.4.5' 2> /dev/null \
	  || echo "PyGlove 0.4.5 could not be installed: its columns stay empty"
	@test -x .venv-neps/bin/python || { \
	  $(BIN)/python -m venv .venv-neps \
	  && ls -d "$$PWD"/.venv/lib/python*/site-packages > "$$(ls -d .venv-neps/lib/python*/site-packages)/torch.pth"; }
	@.venv-neps/bin/python -c 'import neps' 2> /dev/null \
	  || .venv-neps/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers_generator/requirements-neps.txt 2> /dev/null \
	  || echo "NePS 0.17.0 could not be installed: its columns stay empty"
	@$(BIN)/python benchmarks/bench_generator.py $(BENCH)

# What a sweep costs beside its training, against other executors, and questions to a store of 10,000 jobs: some minutes.
bench-sweep: $(READY)
	@$(BIN)/python -c 'import joblib, ray, duckdb, optuna' 2> /dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt joblib '.[ray,export]' 2> /dev/null \
	  || echo "joblib, Ray, DuckDB or Optuna could not be installed: their rows stay empty"
	@$(BIN)/python benchmarks/bench_sweep.py $(BENCH)

# The Lipschitz check against 10,000 random questions, about an hour; what was stopped goes on where it was.
fuzz-regularity: $(READY)
	@$(BIN)/python -m benchmarks.fuzz_regularity 10000

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv (once; PyTorch is large)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,check]'
	@touch $@

clean:
	rm -rf .venv .venv-lirpa .venv-pyglove .venv-neps demo-out fuzz-out dist
