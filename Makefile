# The two commands of the README, and what is checked besides. Needs Rust, a C compiler and make.

.PHONY: demo test check kubernetes

# Counts the words of a book on a cluster that is started for it, and shows the ten most frequent.
demo:
	cargo build --release --package flott-cli --package wordcount
	rm -rf target/demo-output
	target/release/flott --state-dir target/demo-state run -m cluster -p 2 \
		target/release/wordcount --mode batch --input data/opticks.txt --output target/demo-output
	@echo "The ten most frequent words of Newton's Opticks:"
	@cat target/demo-output/* | sort -k2,2nr -k1,1 | head

# The Kubernetes that tests run against, unless it is there: some ten minutes and 5 GB of disk. Needs Go. docs/dev/kubernetes.md
kubernetes:
	cargo xtask kubernetes build

# All tests. The end-to-end tests run the real binaries, so these are built first. What cannot be run here is said.
test:
	cargo build --workspace
	@if command -v java > /dev/null && command -v mvn > /dev/null; then cargo xtask kafka fetch; fi
	cargo test --workspace --no-fail-fast
	cargo test -p flott-runtime --features disk --lib state
	cargo test -p flott --features disk --lib operator
	cargo test -p flott --features disk --test recovery
	cargo test -p flott-tests --features disk --test disk
	@if command -v "$${FLOTT_MOTO_SERVER:-moto_server}" > /dev/null; then \
		cargo test -p flott-snapshot --features s3 --test s3 && \
		cargo test -p flott-tests --features s3 --test s3 && \
		cargo test -p flott-tests --features s3 --test kubernetes bucket::; \
	else \
		echo "SKIPPED 12 tests of checkpoints in S3: moto_server is wanted (pip install 'moto[server]')" \
			| tee -a "$${FLOTT_SKIPPED:-/dev/null}" >&2; \
	fi

# What is denied besides failing tests: other formatting, lints, broken docs, arrows up the floors, stale references.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo xtask layers
	cargo xtask docs --check
