# The shortest way to each thing; all the work is in the scripts that are named here.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

help:
	@echo 'make demo     a Debian device gets its security updates in one small file (needs root)'
	@echo 'make boot     a release becomes a disk image, and real firmware boots it in QEMU'
	@echo 'make device   a device in QEMU keeps a good release, and falls back from those that are no good'
	@echo 'make uboot    Linux on AArch64, started by U-Boot in QEMU, is updated (needs root)'
	@echo 'make device-binary  the command of a device: static, small, without what builds updates'
	@echo 'make init     the init program for initial RAM disks, beside the command'
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

device:
	./setup device
	cargo build --release --quiet
	$(MAKE) --no-print-directory init
	tests/device/run

uboot:
	./setup test
	cargo build --release --quiet
	$(SUDO) demo/uboot

device-binary:
	./setup test
	.ci/device-binary

# The init program of initial RAM disks, beside the command, where it looks for it. It has no shared libraries, as there
# are none. Only programs for a named target leave those that run during the build alone.
HOST := $(shell rustc --print host-tuple 2>/dev/null || rustc -vV | sed -n 's/host: //p')
init:
	RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static' \
	    cargo build --quiet --profile init --package upmass-init --target $(HOST)
	mkdir -p target/release
	cp target/$(HOST)/init/upmass-init target/release/upmass-init

# With the command that the other tests have built: it is slower than the released one, and says more when it fails.
test:
	./setup test
	./setup device
	cargo test --workspace --quiet
	$(MAKE) --no-print-directory init
	UPMASS=target/debug/upmass tests/device/run

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
	cargo clippy --package upmass --no-default-features --features device --quiet -- -D warnings

.PHONY: help demo boot device device-binary uboot init test aarch64 bench fmt-check lint
