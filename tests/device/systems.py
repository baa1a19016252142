"""What runs on the devices: small systems of Debian's kernel, busybox and the command, releases of them, updates."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
# Modules of the kernel that these machines have a use for, beside what these need.
MODULES = {"ext4", "overlay", "efivarfs", "virtio_blk", "virtio_pci", "i6300esb", "autofs4"}


def run(*command, output=None, **more):
    """Runs a command; what it says is told only when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, **more)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")[-4000:]
        raise SystemExit(f"{' '.join(map(str, command))}\nended with status {done.returncode}:\n{said}")
    if output:
        Path(output).write_bytes(done.stdout)
    return done.stdout.decode(errors="replace")


class Workshop:
    """Makes what the tests need, in `directory`. `upmass` is the command, `init` the program of initial RAM disks."""

    def __init__(self, directory, upmass, init):
        self.directory, self.upmass, self.init = Path(directory), upmass, init
        self.store = self.directory / "store"
        shutil.rmtree(self.store, ignore_errors=True)
        self.versions = {}
        # How many bytes of objects came with each release that those before it did not have.
        self.added = {}

    def kernel(self, package):
        """Debian's kernel that `package` asks for, with the modules that these machines need. Kept for the next run."""
        place = self.directory / package
        if place.is_dir():
            return place
        named = next((line.split()[1] for line in run("apt-cache", "depends", package).splitlines() if "Depends:" in line), None)
        if named is None:
            raise SystemExit(f"apt knows no {package}: apt-get update")
        new = self.directory / f"{package}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        run("apt-get", "-qq", "download", named, cwd=new)
        [archive] = new.glob("*.deb")
        run("dpkg-deb", "--extract", archive, new)
        archive.unlink()
        prune(new)
        new.rename(place)
        return place

    def keys(self):
        if not (self.directory / "demo.key").exists():
            run(self.upmass, "keygen", "-o", self.directory / "demo")

    def tree(self, name, words, kernel):
        """A system: kernel, busybox, the command with its libraries, and an init that does as it is told."""
        tree = self.directory / "trees" / name
        shutil.rmtree(tree, ignore_errors=True)
        for path in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "lib", "var/lib"):
            (tree / path).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), tree / "bin/busybox")
        for applet in run("busybox", "--list").split():
            if applet not in ("busybox", "init", "reboot"):
                (tree / "bin" / applet).symlink_to("busybox")
        shutil.copy(HERE / "guest/init", tree / "sbin/init")
        script(tree / "sbin/reboot", "exec busybox reboot -f")
        self.put(tree, words, kernel)
        for library in libraries(self.upmass):
            (tree / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, tree / library[1:])
        return tree

    def debian(self, name, words, kernel):
        """A system: Debian's essential packages with systemd, and the files for systemd that Upmass brings."""
        archive = self.directory / "debian.tar"
        if not archive.exists():
            new = self.directory / "debian.new.tar"
            left_out = ("doc", "man", "info", "locale", "zoneinfo")
            run("mmdebstrap", "--quiet", "--variant=essential", "--include=systemd-sysv,kmod", "--dpkgopt=force-unsafe-io",
                *(f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in left_out), "bookworm", new)
            new.rename(archive)
        tree = self.directory / "trees" / name
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        run("tar", "-x", "--numeric-owner", "--exclude=./dev/*", "-f", archive, "-C", tree)
        # Without one systemd takes the first start of each release for the first of the machine.
        (tree / "etc/machine-id").write_text("00112233445566778899aabbccddeeff\n")
        self.put(tree, words, kernel)
        units = tree / "usr/lib/systemd/system"
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        for unit in (ROOT / "systemd/upmass-health.service", HERE / "guest/job.service"):
            shutil.copy(unit, units)
            (units / "multi-user.target.wants" / unit.name).symlink_to(f"../{unit.name}")
        shutil.copy(ROOT / "systemd/10-system-running", tree / "etc/upmass/health.d")
        (tree / "usr/lib/systemd/system.conf.d").mkdir()
        shutil.copy(ROOT / "systemd/upmass-watchdog.conf", tree / "usr/lib/systemd/system.conf.d")
        # Its root is read-only.
        shutil.copy(tree / "usr/share/systemd/tmp.mount", units)
        (units / "local-fs.target.wants").mkdir(exist_ok=True)
        (units / "local-fs.target.wants/tmp.mount").symlink_to("../tmp.mount")
        return tree

    def put(self, tree, words, kernel):
        """Puts into a system what all have: kernel, boot loader, the command, and what the tests ask of it."""
        for path in ("boot", "usr/bin", "usr/lib/systemd/boot/efi", "usr/lib/guest", "etc/upmass/keys", "etc/upmass/health.d"):
            (tree / path).mkdir(parents=True, exist_ok=True)
        for image in (kernel / "boot").glob("vmlinuz-*"):
            shutil.copy(image, tree / "boot")
        shutil.copytree(kernel / "lib/modules", tree / "lib/modules")
        shutil.copy(LOADER, tree / "usr/lib/systemd/boot/efi")
        run("strip", "-o", tree / "usr/bin/upmass", self.upmass)
        shutil.copy(HERE / "guest/functions", tree / "usr/lib/guest")
        script(tree / "etc/upmass/health.d/20-thing", 'echo "the thing works"')
        shutil.copy(self.directory / "demo.pub", tree / "etc/upmass/keys")
        (tree / "etc/version").write_text(f"{words}\n")

    def like(self, tree, name, words):
        """A copy of a system that says another version."""
        new = tree.parent / name
        shutil.rmtree(new, ignore_errors=True)
        run("cp", "-al", tree, new)
        (new / "etc/version").unlink()
        (new / "etc/version").write_text(f"{words}\n")
        return new

    def release(self, version, main, rescue, cmdline=""):
        """A release of two systems: `main`, which is the fallback, and `rescue`."""
        system = """
            [[system]]
            name = "{name}"
            components = ["{name}"]
            kernel = "/boot/vmlinuz-*"
            initrd = {{ init = "{init}" }}
            cmdline = "console=ttyS0 quiet no_timer_check panic=1 {cmdline}"
            etc = "{etc}"
        """
        text = f'machine = "qemu-x86_64"\nversion = "{version}"\nfallback = "main"\n'
        for name, tree in (("main", main), ("rescue", rescue)):
            text += f'[[component]]\nname = "{name}"\nsource = {{ dir = "{tree}" }}\n'
        for name, etc in (("main", "persistent"), ("rescue", "stateless")):
            text += system.format(name=name, init=self.init, cmdline=cmdline, etc=etc)
        return self.describe(version, text)

    def describe(self, version, text):
        """A release as `text` describes it (docs/release-toml.md)."""
        description = self.directory / f"{version}.toml"
        description.write_text(text)
        before = self.object_bytes()
        self.versions[version] = run(self.upmass, "release", description, "--store", self.store).split()[-1]
        self.added[version] = self.object_bytes() - before

    def object_bytes(self):
        """How many bytes all objects of the store have."""
        return sum(file.stat().st_size for file in (self.store / "objects").rglob("*") if file.is_file())

    def update(self, old, new):
        file = self.directory / f"{new}.upm"
        run(self.upmass, "update", old, new, "-o", file, "--key", self.directory / "demo.key", "--store", self.store,
            "--effort", "fast")
        return file

    def image(self, version):
        file = self.directory / f"{version}.img"
        run(self.upmass, "image", version, "-o", file, "--store", self.store)
        return file


def prune(kernel):
    """Leaves the modules that are needed: the others would make all disks large."""
    [modules] = (kernel / "lib/modules").iterdir()
    run("depmod", "-b", kernel, modules.name, env=with_sbin())
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, others = line.split(":")
        needs[path] = others.split()
    kept = set()
    for path, others in needs.items():
        if Path(path).name.split(".")[0].replace("-", "_") in MODULES:
            kept |= {path, *others}
    # The file system asks the kernel's library for its checksum, which no list of needs says.
    kept |= {path for path in needs if "crc32c" in path}
    for path in needs:
        if path not in kept:
            (modules / path).unlink()
    run("depmod", "-b", kernel, modules.name, env=with_sbin())
    run("find", modules, "-depth", "-type", "d", "-empty", "-delete")
    shutil.rmtree(kernel / "usr", ignore_errors=True)


def libraries(program):
    """The libraries that a program is linked with, as paths."""
    return [word for word in run("ldd", program).split() if word.startswith("/")]


def script(path, text):
    """A shell script; one that is there is replaced and not written to, since copies of a system share files."""
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def with_sbin():
    return os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
