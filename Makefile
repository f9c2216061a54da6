# `make check` is all that is asked of a change; the README shows plain cargo.

.PHONY: serve check test docs bench

serve:
	cargo run --release -- serve examples

check:
	.ci/run

test:
	cargo test --workspace

# Writes docs/reference and the expected texts of tests anew; look at the difference before you commit it.
docs:
	UPDATE=1 cargo test --workspace

bench:
	cargo bench --bench api --bench code --bench history --bench hostile --bench runs
