# Laptop and CI call the same words. `make setup` runs by itself where it is needed.
.PHONY: setup run test check ui serve bento history rollback bench lock
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY = true

run: setup  ## the whole line once, on the data of configs/project.yaml
	mlflow run . --env-manager local

test: setup  ## every test, the slow ones too; TESTS="-m 'not slow'" for the quick ones
	pytest -n auto --dist loadfile $(TESTS)

check: setup  ## format, lint, types; locks, catalogue and README in step
	ruff format --check .
	ruff check .
	mypy
	pytest -q tests/test_house.py

ui: setup  ## MLflow's server and UI over the same store, http://localhost:5000
	mlflow server --port 5000 --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}

serve: setup  ## prod and staging behind one address, http://localhost:3000; the page is /ab
	bentoml serve

bento: setup  ## prod and staging as a Bento, tried out
	python -m steps.package --smoke true

history: setup  ## what was in production, and when
	python -m steps.history

rollback: setup  ## prod is what it was before; REASON="why"
	python -m steps.promote --action rollback --reason "$${REASON:-}"

bench: setup  ## every figure the README quotes, beside its peer
	python -m benchmarks.train
	python -m benchmarks.drift_quality
	python -m benchmarks.drift_speed
	python -m benchmarks.serving
	python -m benchmarks.decision_quality

lock: setup  ## pin what requirements*.in ask for
	for name in requirements requirements-dev bentos/requirements \
	  benchmarks/requirements-bentoml benchmarks/requirements-fastapi benchmarks/requirements-mlflow \
	  benchmarks/requirements-evidently benchmarks/requirements-gbstats; do \
	  uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	    $$([ $$name = bentos/requirements ] && echo --constraints requirements.txt) \
	    --custom-compile-command "make lock" $$name.in --output-file $$name.txt || exit 1; \
	done

setup: .venv/ready

.venv/ready: requirements-dev.txt
	$(PYTHON) -m venv .ratchet/uv && .ratchet/uv/bin/pip install --quiet --require-hashes -r .ci/uv.txt
	.ratchet/uv/bin/uv venv --quiet --clear --python 3.11 .venv
	.ratchet/uv/bin/uv pip install --quiet --python .venv/bin/python --compile-bytecode \
	  --require-hashes -r requirements-dev.txt
	touch $@
