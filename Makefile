# Laptop and CI call the same words. `make setup` runs by itself where it is needed.
.PHONY: setup run test test-workflows check audit tools ui serve bento history rollback bench screenshots lock
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .ratchet/bin
AUDIT := pip-audit --disable-pip --require-hashes
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(TOOLS):$(PATH)
export MLFLOW_DISABLE_TELEMETRY = true

run: setup  ## the whole line once, on the data of configs/project.yaml
	mlflow run . --env-manager local

test: setup  ## every test, the slow ones too; TESTS="-m 'not slow'" for the quick ones
	pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

test-workflows: setup tools  ## every workflow, run by act against a repository on this disk
	pytest -v tests/test_workflows*.py tests/test_github_*.py

check: setup  ## format, lint, types; workflows; locks, catalogue and README in step
	ruff format --check .
	ruff check .
	mypy
	zizmor --quiet --offline --persona auditor --config .github/zizmor.yml .github
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	@if command -v actionlint >/dev/null; then actionlint; \
	  else echo "actionlint is missing, its part is left out: make tools (needs Go)"; fi
	pytest -q tests/test_house.py

audit: setup  ## known vulnerabilities of what the locks pin; needs the network
	for lock in requirements.txt requirements-dev.txt requirements-cluster.txt \
	  $(wildcard bentos/requirements.txt deploy/requirements.txt); do \
	  $(AUDIT) --strict --requirement $$lock || exit 1; \
	done
	@for lock in $(wildcard requirements-automl.txt); do \
	  $(AUDIT) --requirement $$lock || echo "$$lock: listed, not required; docs/security.md says why"; \
	done

tools: $(TOOLS)/act $(TOOLS)/actionlint  ## what runs and checks workflows here, built by Go

$(TOOLS)/act:
	GOBIN=$(CURDIR)/$(TOOLS) go install -tags WITHOUT_DOCKER github.com/nektos/act@v0.2.88

$(TOOLS)/actionlint:
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

ifeq ($(STORE),remote)
ui: setup  ## MLflow's UI, http://localhost:5000, over this folder's store; STORE=remote: over the store on the git remote
	python -m steps.store --action take --folder .ratchet/store
	cd .ratchet/store && mlflow server --port 5000 --backend-store-uri sqlite:///mlflow.db
else
ui: setup
	mlflow server --port 5000 --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}
endif

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
	python -m benchmarks.store
	python -m benchmarks.push
	python -m benchmarks.drift_exact
	python -m benchmarks.drift_quality
	python -m benchmarks.drift_speed
	python -m benchmarks.automl
	python -m benchmarks.serving
	python -m benchmarks.prediction_log
	python -m benchmarks.decision_quality
	python -m benchmarks.line
	python -m benchmarks.zoo --tables 60

screenshots: setup  ## docs/pictures, from a run of the line in a clone; needs Chromium
	python -m docs.screenshots

lock: setup  ## pin what every requirements*.in asks for
	for file in requirements.in requirements-dev.in requirements-automl.in requirements-cluster.in \
	  $$(git ls-files '*/requirements*.in'); do \
	  uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	    --custom-compile-command "make lock" $$file --output-file $${file%.in}.txt || exit 1; \
	done
	$(MAKE) .ci/uv.txt

.PHONY: .ci/uv.txt
.ci/uv.txt:  ## the uv that `make setup` installs: its pin of requirements.txt
	awk '/^[^ ]/{on=/^uv==/} on && !/^ *\#/' requirements.txt > $@

.PHONY: deploy/kubernetes/MLproject  # it hangs on IMAGE too
IMAGE ?= ratchet
deploy/kubernetes/MLproject:  ## the catalogue for MLflow's Kubernetes backend: in IMAGE, not in a lock
	sed -e 's|^python_env:.*|docker_env: {image: $(IMAGE)}|' \
	  -e 's|command: "|command: "sh deploy/kubernetes/run.sh |' MLproject > $@

setup: .venv/ready

.venv/ready: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .ratchet/uv && .ratchet/uv/bin/pip install --quiet --require-hashes -r .ci/uv.txt
	.ratchet/uv/bin/uv venv --quiet --clear --python 3.11 .venv
	.ratchet/uv/bin/uv pip install --quiet --python .venv/bin/python --compile-bytecode \
	  --require-hashes -r requirements-dev.txt
	.ratchet/uv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	touch $@
