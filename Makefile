# The same commands are used on a laptop and in CI. `make setup` runs by itself if it is needed.
.PHONY: setup run test test-workflows check audit tools ui serve bento history rollback site bench screenshots lock
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
BIN := .venv/bin
TOOLS := .ratchet/bin
AUDIT := pip-audit --disable-pip --require-hashes
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(TOOLS):$(PATH)
export MLFLOW_DISABLE_TELEMETRY = true

run: setup  ## run the whole pipeline once, on the data of configs/project.yaml
	mlflow run . --env-manager local

test: setup  ## run all tests; TESTS="-m 'not slow'" runs the quick ones only
	pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

test-workflows: setup tools  ## run every workflow with act, against a repository on this disk
	pytest -v tests/test_workflows*.py tests/test_github_*.py

check: setup  ## check format, lint, types, workflows, and the rules in tests/test_house.py
	ruff format --check .
	ruff check .
	mypy
	zizmor --quiet --offline --persona auditor --config .github/zizmor.yml .github
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	hadolint bentos/Dockerfile deploy/Dockerfile
	@if command -v actionlint >/dev/null; then actionlint; \
	  else echo "actionlint is not installed, so it is left out. To install it: make tools (needs Go)"; fi
	pytest -q tests/test_house.py

audit: setup  ## list known vulnerabilities of the locked packages; needs the network
	for lock in requirements.txt requirements-dev.txt requirements-cluster.txt \
	  $(wildcard bentos/requirements.txt deploy/requirements.txt); do \
	  $(AUDIT) --strict --requirement $$lock || exit 1; \
	done
	@for lock in $(wildcard requirements-automl.txt); do \
	  $(AUDIT) --requirement $$lock || echo "$$lock: these are listed only; docs/security.md says why"; \
	done

tools: $(TOOLS)/act $(TOOLS)/actionlint  ## build the programs that run and check workflows; needs Go

$(TOOLS)/act:
	GOBIN=$(CURDIR)/$(TOOLS) go install -tags WITHOUT_DOCKER github.com/nektos/act@v0.2.88

$(TOOLS)/actionlint:
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

ifeq ($(STORE),remote)
ui: setup  ## start MLflow's UI, http://localhost:5000, for this folder's store, and write site/; STORE=remote: for the store on the git remote
	python -m steps.store --action take --folder .ratchet/store
	cd .ratchet/store && mlflow server --port 5000 --backend-store-uri sqlite:///mlflow.db
else
ui: setup
	-python -m steps.site --server http://localhost:5000
	mlflow server --port 5000 --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}
endif

serve: setup  ## start the service with prod and staging, http://localhost:3000; its page is /ab
	bentoml serve

bento: setup  ## build a Bento with prod and staging, and test it
	python -m steps.package --smoke true

history: setup  ## show what was in production, and when
	python -m steps.history

site: setup  ## write a page about versions, the A/B test and drift, site/index.html
	python -m steps.site

rollback: setup  ## make the previous prod the prod again; REASON="why"
	python -m steps.promote --action rollback --reason "$${REASON:-}"

bench: setup  ## measure the figures of the README
	python -m benchmarks.train
	python -m benchmarks.store
	python -m benchmarks.push
	python -m benchmarks.drift_exact
	python -m benchmarks.drift_quality
	python -m benchmarks.drift_speed
	python -m benchmarks.contract
	python -m benchmarks.flights
	python -m benchmarks.automl
	python -m benchmarks.serving
	python -m benchmarks.prediction_log
	python -m benchmarks.decision_quality
	python -m benchmarks.line
	python -m benchmarks.zoo --tables 60

screenshots: setup  ## make docs/pictures, from a run of the pipeline in a clone; needs Chromium
	python -m docs.screenshots

lock: setup  ## write the lock file of every requirements*.in
	for file in requirements.in requirements-dev.in requirements-automl.in requirements-cluster.in \
	  $$(git ls-files '*/requirements*.in'); do \
	  uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	    --custom-compile-command "make lock" $$file --output-file $${file%.in}.txt || exit 1; \
	done
	$(MAKE) .ci/uv.txt

.PHONY: .ci/uv.txt
.ci/uv.txt:  ## lock the uv that `make setup` installs: the same version as in requirements.txt
	awk '/^[^ ]/{on=/^uv==/} on && !/^ *\#/' requirements.txt > $@

.PHONY: deploy/kubernetes/MLproject  # write it each time, because it depends on IMAGE
IMAGE ?= ratchet
deploy/kubernetes/MLproject:  ## write an MLproject whose entries run in IMAGE, for MLflow's Kubernetes backend
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
