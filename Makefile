# The README's two commands are `make run` and `make test`; the rest are parts and longer runs.
# Needs Rust (https://rustup.rs) and a C compiler; `make test` also Python 3 and, where found, Node.js.

CARGO ?= cargo
PYTHON ?= python3
VENV := .venv

.PHONY: run up test lint unit doc sdk sim bench fuzz clean-venv help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: ## the tutorials, end to end, on a temporary store
	$(CARGO) run --quiet --locked --bin carillon -- demo

up: ## the whole service on this machine, on 127.0.0.1:9324
	$(CARGO) run --quiet --locked --release --bin carillon -- up

test: lint unit doc sdk ## everything a change must pass
	@echo "all tests passed"

lint: ## formatting and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --quiet -- -D warnings

unit: ## all Rust tests
	$(CARGO) test --locked --workspace --quiet

doc: ## the documentation builds, without dead links
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet --document-private-items

# Outside clients, from their registries, into a folder of our own.
$(VENV)/.installed: tests/sdk/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt
	touch $@

sdk: $(VENV)/.installed ## clients we did not write, against `carillon up`
	$(CARGO) build --locked --quiet --bin carillon
	$(VENV)/bin/python tests/sdk/run.py

sim: ## the long form of the randomised tests
	CARILLON_LONG=1 $(CARGO) test --locked --workspace --release --quiet -- --include-ignored

bench: ## figures, with the machine's own floor beside them
	$(CARGO) bench --locked --workspace --quiet

clean-venv:
	rm -rf $(VENV)
