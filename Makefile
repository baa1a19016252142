# The shortest way to each thing; all the work is in the scripts that are named here.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

help:
	@echo 'make demo     a Debian device gets its security updates in one small file (needs root)'
	@echo 'make boot     a release becomes a disk image, and real firmware boots it in QEMU'
	@echo 'make test     all tests'
	@echo 'make aarch64  golden streams by a program for AArch64, in qemu-user'
	@echo 'make lint     formatting and clippy'
	@echo 'make bench    speed and memory beside ostree and casync (needs root)'

demo:
	./setup demo
	cargo build --release --quiet
	$(SUDO) demo/run

boot:
	./setup demo
	cargo build --release --quiet
	demo/boot

test:
	./setup test
	cargo test --workspace --quiet

aarch64:
	./setup aarch64
	.ci/aarch64

bench:
	./setup bench
	cargo build --release --quiet
	$(SUDO) demo/trees
	$(SUDO) bench/spine

fmt-check:
	cargo fmt --all --check

lint: fmt-check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

.PHONY: help demo boot test aarch64 bench fmt-check lint
