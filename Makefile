# Peral: `make` lists the targets. Each target installs the tools that it needs.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
CARGO_DENY := 0.20.2
CARGO_MACHETE := 0.9.2
CHECKS := bans licenses sources
B3SUM := 1.8.7

.PHONY: help setup build image demo test lint chart e2e e2e-bench docs deny machete bench ci clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install a C compiler if it is missing; a build needs it besides Rust
	@scripts/setup

build: setup ## Build the peral command for use: target/release/peral
	cargo build --release --locked -p peral

image: ## Build the image with docker, podman or buildah (IMAGE=name:tag, BINARY=path, ARCHIVE=peral.tar; see scripts/image)
	@scripts/image

# Built without optimisation, so that the first build is short: see the profile in Cargo.toml.
demo: setup ## Run a demonstration: central and three peers on this machine transfer a real file (KEEP=1 leaves it running)
	cargo build --profile demo --locked -p peral
	@KEEP=$(KEEP) B3SUM=$(B3SUM) scripts/demo

test: setup ## Run all tests, with SQLite, a private Postgres, a real Prometheus and network namespaces
	@scripts/setup prometheus=prometheus promtool=prometheus
	@scripts/setup ip=iproute2 nft=nftables bwrap=bubblewrap pgrep=procps
	@scripts/with-postgres cargo test --workspace --locked --no-fail-fast

lint: setup ## Check format, lints and documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p peral-e2e --test e2e --bench figures --locked -- -D warnings
	@$(MAKE) docs

chart: ## Check the chart: values files, invalid values, generated files (HELM is the helm command)
	@scripts/chart

e2e: setup ## Run the cluster tests on the cluster in KUBECONFIG (E2E_BINARY, E2E_LOAD, E2E_ONLY; see scripts/e2e)
	@B3SUM=$(B3SUM) scripts/e2e

e2e-bench: setup ## Measure downloads by ten peers of that cluster: minutes, and 10 GiB of disk
	@B3SUM=$(B3SUM) scripts/e2e --bench

docs: setup ## Build the documentation of the crates: target/doc
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

deny: setup ## Check dependencies against .deny.toml: bans, licences, sources
	@deny=$$(scripts/tool cargo-deny $(CARGO_DENY)) && "$$deny" --locked check $(CHECKS)

machete: setup ## Check for unused dependencies
	@machete=$$(scripts/tool cargo-machete $(CARGO_MACHETE)) && "$$machete" --skip-target-dir

bench: setup ## Measure; prints a line of JSON for each figure (FIGURES=transfer, index, sqlite, postgres or heartbeats)
	@scripts/setup nginx=nginx-light curl=curl sqlite3=sqlite3
	@b3sum=$$(scripts/tool b3sum $(B3SUM)) && PATH=$${b3sum%/*}:$$PATH:/usr/sbin \
		scripts/with-postgres --durable cargo bench --locked -p peral --bench figures -- $(FIGURES)

ci: ## Run everything that CI runs
	@bash .ci/run

clean: ## Delete everything that was built
	cargo clean
