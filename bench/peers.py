"""The tools that bench/delta compares Upmass with, each on one pair of directories.

A tool that goes file by file sums over the changed regular files; what is added is compressed alone, what is
unchanged costs nothing, and names, modes and symlinks are not carried at all. The others take a tar of each
side, or the directories.
"""
import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

BITA = pathlib.Path(__file__).resolve().parent.parent / "target/tools/bin/bita"


class Figures(NamedTuple):
    bytes: int
    make_cpu: float
    make_mib: float
    apply_cpu: float
    apply_mib: float


class Failed(Exception):
    """A tool failed, or gave a wrong result."""


class Meter:
    """Runs commands; adds up their cpu seconds and keeps their highest peak of memory, by /usr/bin/time."""

    def __init__(self):
        self.cpu, self.mib = 0.0, 0.0

    def __call__(self, *command, stdout=subprocess.DEVNULL):
        words = ["/usr/bin/time", "--quiet", "--format", "\n%U %S %M", *map(str, command)]
        ran = subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, text=True, errors="replace")
        *said, figures = ran.stderr.strip().splitlines() or [""]
        if ran.returncode:
            raise Failed(f"`{' '.join(words[4:])}` failed: {' '.join(said)[-300:]}")
        user, system, peak = figures.split()
        self.cpu += float(user) + float(system)
        self.mib = max(self.mib, int(peak) / 1024)
        return "\n".join(said)


class Work:
    """One tool on one pair: its two meters, and where it may write."""

    def __init__(self, pair, scratch, hdiffpatch):
        self.old, self.new, self.scratch, self.hdiffpatch = pair / "old", pair / "new", scratch, hdiffpatch
        self.make, self.apply = Meter(), Meter()
        self.patch, self.made = scratch / "patch", scratch / "made"

    def figures(self, size):
        return Figures(size, self.make.cpu, self.make.mib, self.apply.cpu, self.apply.mib)

    def check(self, is_right):
        if not is_right:
            raise Failed("what it made is not what it should be")

    def tars(self):
        """Both sides as one file each, without what differs by chance."""
        for side in self.old, self.new:
            tar = self.scratch / f"{side.name}.tar"
            subprocess.run(["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
                            "-cf", tar, "-C", side, "."], check=True)
        return self.scratch / "old.tar", self.scratch / "new.tar"

    def tar_by(self, make, apply):
        old, new = self.tars()
        self.make(*make(old, new, self.patch))
        self.apply(*apply(old, self.patch, self.made))
        self.check(filecmp.cmp(self.made, new, shallow=False))
        return self.figures(self.patch.stat().st_size)

    def files_by(self, make, apply, alone):
        old_files, new_files = files(self.old), files(self.new)
        total = 0
        for name in sorted(new_files):
            old, new = self.old / name, self.new / name
            if name in old_files and filecmp.cmp(old, new, shallow=False):
                continue
            if name in old_files and old.stat().st_size and new.stat().st_size:
                self.make(*make(old, new, self.patch))
                self.apply(*apply(old, self.patch, self.made))
                self.check(filecmp.cmp(self.made, new, shallow=False))
                self.made.unlink()
                total += self.patch.stat().st_size
            else:
                with open(self.patch, "wb") as out:
                    self.make(*alone(new), stdout=out)
                total += min(self.patch.stat().st_size, new.stat().st_size)
        return self.figures(total)


def files(root):
    return {os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names
            if not os.path.islink(os.path.join(at, name))}


def xz(work):
    _, new = work.tars()
    with open(work.patch, "wb") as out:
        work.make("xz", "-9e", "-c", new, stdout=out)
    with open(work.made, "wb") as out:
        work.apply("xz", "-dc", work.patch, stdout=out)
    work.check(filecmp.cmp(work.made, new, shallow=False))
    return work.figures(work.patch.stat().st_size)


def bsdiff(work):
    return work.files_by(lambda old, new, patch: ("bsdiff", old, new, patch),
                         lambda old, patch, made: ("bspatch", old, made, patch),
                         lambda new: ("xz", "-9e", "-c", new))


def xdelta3(work):
    window = lambda old: str(max(1 << 26, old.stat().st_size + 4096))
    return work.files_by(
        lambda old, new, patch: ("xdelta3", "-e", "-f", "-9", "-S", "lzma", "-B", window(old), "-s", old, new, patch),
        lambda old, patch, made: ("xdelta3", "-d", "-f", "-B", window(old), "-s", old, patch, made),
        lambda new: ("xz", "-9e", "-c", new))


ZSTD = ("zstd", "-q", "-f", "--single-thread", "--long=31")


def zstd_make(old, new, patch):
    return *ZSTD, "-19", f"--patch-from={old}", new, "-o", patch


def zstd_apply(old, patch, made):
    return *ZSTD, "-d", "--memory=2048MB", f"--patch-from={old}", patch, "-o", made


def zstd_files(work):
    return work.files_by(zstd_make, zstd_apply, lambda new: ("zstd", "-q", "-c", "-19", "--single-thread", new))


def zstd_tar(work):
    return work.tar_by(zstd_make, zstd_apply)


def casync(work):
    """Bytes of the chunks that the old side does not have, and of the index."""
    sides = {}
    for side in work.old, work.new:   # times would differ where nothing else does
        sides[side.name] = work.scratch / side.name
        subprocess.run(["cp", "-a", side, sides[side.name]], check=True)
        subprocess.run(["find", sides[side.name], "-exec", "touch", "-h", "-d", "@0", "{}", "+"], check=True)
    stores = {name: work.scratch / f"{name}.castr" for name in sides}
    indexes = {name: work.scratch / f"{name}.caidx" for name in sides}
    for meter, name in (Meter(), "old"), (work.make, "new"):
        meter("casync", "make", "--with=unix", f"--store={stores[name]}", indexes[name], sides[name])
    chunks = {name: {file.name: file.stat().st_size for file in store.glob("*/*")} for name, store in stores.items()}
    work.apply("casync", "extract", "--with=unix", f"--store={stores['new']}", f"--extra-store={stores['old']}",
               f"--seed={sides['old']}", indexes["new"], work.made)
    work.check(subprocess.run(["diff", "-rq", "--no-dereference", sides["new"], work.made], stdout=subprocess.DEVNULL).returncode == 0)
    missing = sum(size for name, size in chunks["new"].items() if name not in chunks["old"])
    return work.figures(missing + indexes["new"].stat().st_size)


def bita_program():
    return BITA if BITA.exists() else shutil.which("bita")


def bita(work):
    """Bytes of the chunks that a device fetches, and of the index."""
    old, new = work.tars()
    archive = work.scratch / "new.cba"
    work.make(bita_program(), "compress", "-f", "-i", new, archive)

    def fetched(meter, *seed):
        log = work.scratch / "bita.log"
        with open(log, "wb") as out:
            said = meter(bita_program(), "-v", "clone", "-f", *seed, archive, work.made, stdout=out)
        return int(re.findall(r"Fetched .*?\((\d+) bytes\) from archive", log.read_text(errors="replace") + said)[-1])

    index = archive.stat().st_size - fetched(Meter())
    missing = fetched(work.apply, "--seed", old)
    work.check(filecmp.cmp(work.made, new, shallow=False))
    return work.figures(index + missing)


def hdiffpatch(work):
    work.make(work.hdiffpatch / "hdiffz", "-f", "-m-3", "-SD", "-c-lzma2-9-64m", work.old, work.new, work.patch)
    work.apply(work.hdiffpatch / "hpatchz", "-f", work.old, work.patch, work.made)
    work.check(subprocess.run(["diff", "-rq", work.new, work.made], stdout=subprocess.DEVNULL).returncode == 0)
    return work.figures(work.patch.stat().st_size)


# Name, function, and the program that it needs; the last three only where they are.
PEERS = {
    "full tar, xz -9e": (xz, "xz"),
    "bsdiff, per file": (bsdiff, "bsdiff"),
    "xdelta3 -9 lzma, per file": (xdelta3, "xdelta3"),
    "zstd -19 --patch-from, per file": (zstd_files, "zstd"),
    "zstd -19 --patch-from, tar": (zstd_tar, "zstd"),
    "casync": (casync, "casync"),
    "bita": (bita, "bita"),
    "HDiffPatch, directory": (hdiffpatch, "hdiffz"),
}
OPTIONAL = ("casync", "bita", "hdiffz")


def available(hdiffpatch_directory):
    """The names of the peers that can be run here. One that must be there and is not ends the program."""
    names = []
    for name, (_, program) in PEERS.items():
        match program:
            case "bita":
                found = bita_program()
            case "hdiffz":
                found = hdiffpatch_directory
            case _:
                found = shutil.which(program)
        if found:
            names.append(name)
        elif program not in OPTIONAL:
            sys.exit(f"bench/delta: {program} is not installed: run ./setup bench, or leave the other tools out with --quick")
    return names


def measure(name, pair, scratch, hdiffpatch_directory):
    """The figures of one peer on one pair."""
    function, _ = PEERS[name]
    return function(Work(pair, scratch, hdiffpatch_directory))


if __name__ == "__main__":
    sys.exit("this is a part of bench/delta")
