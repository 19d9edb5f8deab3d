# Peral: `make` shows what there is to make. Each target sets up what it needs.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
CARGO_DENY := 0.20.2
CARGO_MACHETE := 0.9.2
CHECKS := bans licenses sources
B3SUM := 1.8.7

.PHONY: help setup build image demo test lint chart e2e docs deny machete bench ci clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what a build needs besides Rust (a C compiler), where it is missing
	@scripts/setup

build: setup ## Build the peral command: target/release/peral
	cargo build --release --locked -p peral

image: ## Build the image with docker, podman or buildah (IMAGE=name:tag, BINARY=path, ARCHIVE=peral.tar; scripts/image tells more)
	@scripts/image

demo: build ## See it work: central and three peers on this machine, a real file across (KEEP=1 leaves it running)
	@KEEP=$(KEEP) B3SUM=$(B3SUM) scripts/demo

test: setup ## Run all tests, on SQLite and on a private Postgres; a real Prometheus reads the metrics
	@scripts/setup prometheus=prometheus promtool=prometheus
	@scripts/setup ip=iproute2 nft=nftables bwrap=bubblewrap
	@scripts/with-postgres cargo test --workspace --locked --no-fail-fast

lint: setup ## Check format, lints and documentation: no warnings
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p peral-e2e --test e2e --locked -- -D warnings
	@$(MAKE) docs

chart: ## Check the chart: every values file, what must be refused, what is generated (HELM names a helm)
	@scripts/chart

e2e: setup ## Run the cluster tests on the cluster that KUBECONFIG names (E2E_BINARY, E2E_LOAD, E2E_ONLY; scripts/e2e tells more)
	@B3SUM=$(B3SUM) scripts/e2e

docs: setup ## Build the pages of the crates: target/doc
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

deny: setup ## Check dependencies against .deny.toml: bans, licences, sources
	@deny=$$(scripts/tool cargo-deny $(CARGO_DENY)) && "$$deny" --locked check $(CHECKS)

machete: setup ## Check for unused dependencies
	@machete=$$(scripts/tool cargo-machete $(CARGO_MACHETE)) && "$$machete" --skip-target-dir

bench: setup ## Measure, a line of JSON for each figure (FIGURES=transfer, index, sqlite, postgres or heartbeats; installs what it compares with)
	@scripts/setup nginx=nginx-light curl=curl sqlite3=sqlite3
	@b3sum=$$(scripts/tool b3sum $(B3SUM)) && PATH=$${b3sum%/*}:$$PATH:/usr/sbin \
		scripts/with-postgres --durable cargo bench --locked -p peral --bench figures -- $(FIGURES)

ci: ## Run all that CI runs
	@bash .ci/run

clean: ## Remove what was built
	cargo clean
