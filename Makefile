# Everything a fresh machine needs is Python 3.11 or later and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ORACLES := .venv/.oracles

.PHONY: demo test test-slow oracles oracle-packages check golden bench bench-regularity map clean fuzz-regularity

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
	@for script in $(filter-out benchmarks/bench_regularity.py,$(wildcard benchmarks/bench_*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# The Lipschitz check against its goals and against others: ten minutes or so. auto_LiRPA gets an environment of its own.
bench-regularity: $(READY)
	@test -x .venv-lirpa/bin/python || { \
	  $(BIN)/python -m venv .venv-lirpa \
	  && ls -d "$$PWD"/.venv/lib/python*/site-packages > "$$(ls -d .venv-lirpa/lib/python*/site-packages)/torch.pth"; }
	@.venv-lirpa/bin/python -c 'import auto_LiRPA' 2> /dev/null \
	  || .venv-lirpa/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'auto_LiRPA==0.7.1' appdirs 2> /dev/null \
	  || echo "auto_LiRPA 0.7.1 could not be installed: its column stays empty"
	@$(BIN)/python benchmarks/bench_regularity.py $(BENCH)

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
	rm -rf .venv .venv-lirpa demo-out fuzz-out dist
