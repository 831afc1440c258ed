# The README's two commands are `make run` and `make test`; the rest are parts and longer runs.
# Needs Rust (https://rustup.rs) and a C compiler; `make test` also Python 3 and, where found, Node.js.

CARGO ?= cargo
PYTHON ?= python3
# Everything here expects the target directory in its usual place.
unexport CARGO_TARGET_DIR
# A change is judged by the same random cases each time; `make sim` draws new ones.
export PROPTEST_RNG_SEED ?= 20201009

.PHONY: run up test lint unit doc sdk signatures sim fuzz long crash mistakes mutants bench bench-divan bench-instructions parts figures sbom deny reproduce help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: ## the tutorials, end to end, on a temporary store
	$(CARGO) run --quiet --locked --bin carillon -- demo

up: ## the whole service on this machine, on 127.0.0.1:9324
	$(CARGO) run --quiet --locked --release --bin carillon -- up

test: lint unit doc parts figures sdk signatures template-checks ## everything a change must pass
	@echo "all tests passed"

lint: ## formatting and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --quiet -- -D warnings

unit: ## all Rust tests
	$(CARGO) test --locked --workspace --quiet

doc: ## the documentation builds, without dead links
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet --document-private-items

# Clients we did not write, from their registries, into folders below the target directory.
SDK := target/sdk
$(SDK)/installed: tests/sdk/requirements.txt
	$(PYTHON) -m venv $(SDK)
	$(SDK)/bin/pip install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt
	touch $@

sdk: $(SDK)/installed ## the vendor's unpatched SDKs against `carillon up`
	$(CARGO) build --locked --quiet --bin carillon
	$(SDK)/bin/python tests/sdk/run.py

signatures: ## our signatures, verified by libraries in Python, JavaScript and Rust
	sh tests/signatures/run.sh

include tests/cloud/cloud.mk

sim: ## ten million simulated events, or an hour; prints the mix of faults and the bound
	env -u PROPTEST_RNG_SEED $(CARGO) test --locked --release -p carillon-tests --test simulation ten_million -- --include-ignored --nocapture

fuzz: ## every fuzz target with coverage feedback, FUZZ_SECONDS (60) each, FUZZ_JOBS at a time; needs a C++ compiler
	sh tests/fuzz/run.sh $(FUZZ_TARGETS)

long: ## the long form of all randomised tests
	env -u PROPTEST_RNG_SEED CARILLON_LONG=1 CARILLON_RULE_SETS=1000000 $(CARGO) test --locked --workspace --release --quiet -- --include-ignored

crash: ## `carillon up` killed CARILLON_KILLS (500) times under load, and on a full disk, by its public doors
	CARILLON_KILLS=$${CARILLON_KILLS:-500} $(CARGO) test --locked -p carillon --test crash --test disk -- --nocapture

mistakes: ## mistakes in the handlers' own source, one at a time, against the simulation: tests/simulation/PLANTED.md; half an hour
	$(PYTHON) tests/simulation/mistakes/mistakes.py

mutants: ## every mutant of shared/core, all in one build: tests/MUTANTS.md; needs cargo-mutants; about an hour
	$(PYTHON) tests/mutants/run.py

bench-instructions: ## instructions an event, stable on a busy machine; needs valgrind
	sh shared/core/benches/instructions.sh
	sh functions/ingest/benches/instructions.sh

bench: ## figures with their floors: tests/bench/REPORT.md and the README's table; BENCH="match push" measures parts
	$(PYTHON) tests/bench/report.py $(BENCH)

bench-divan: ## the benches of the crates, one by one
	$(CARGO) bench --locked --workspace --quiet

deny: ## licences, bans, sources and advisories of all dependencies; needs cargo-deny, and the network for the advisories
	$(CARGO) deny --all-features check

parts: ## licences, bans and sources of all dependencies, as deny.toml has them
	$(PYTHON) tests/supply/parts.py

figures: ## the README shows the figures that were measured
	$(PYTHON) tests/bench/report.py --check

sbom: ## the list of parts, CycloneDX: target/sbom/carillon.json
	$(PYTHON) tests/supply/parts.py --sbom

reproduce: ## builds the command twice, in two folders, and compares the bytes
	sh tests/supply/reproduce.sh
