# The two commands of the README, and what is checked besides. Needs Rust, a C compiler and make.

.PHONY: demo test check

# Counts the words of a book on a cluster that is started for it, and shows the ten most frequent.
demo:
	cargo build --release --package flott-cli --package wordcount
	rm -rf target/demo-output
	target/release/flott --state-dir target/demo-state run -m cluster -p 2 \
		target/release/wordcount --mode batch --input data/opticks.txt --output target/demo-output
	@echo "The ten most frequent words of Newton's Opticks:"
	@cat target/demo-output/* | sort -k2,2nr -k1,1 | head

# All tests. The end-to-end tests run the real binaries, so these are built first.
test:
	cargo build --workspace
	cargo test --workspace
	@if command -v "$${FLOTT_MOTO_SERVER:-moto_server}" > /dev/null; then \
		cargo test -p flott-snapshot --features s3 --test s3; \
	else \
		echo "SKIPPED: 4 tests of checkpoints in S3, for want of moto_server (pip install 'moto[server]')" >&2; \
	fi

# What is denied besides failing tests: other formatting, lints, broken docs, arrows up the floors, stale references.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo xtask layers
	cargo xtask docs --check
