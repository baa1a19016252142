"""A closure of store paths as the methods of bench/nix-updates see it: components, files, and references in them."""
import os
import pathlib
import re
import subprocess
from typing import NamedTuple

# What follows it is the hash of a store path. All that is made here mentions store paths with the store directory.
MENTION = re.compile(rb"nix/store/([0-9a-z]{32})")


class Closure(NamedTuple):
    """Store paths, in the order of their names without hash, and where the store is on this machine."""
    store: pathlib.Path
    names: list

    def path(self, name):
        return self.store / "nix/store" / name

    def without(self, other):
        """The store paths that another closure does not have: its new components."""
        known = set(other.names)
        return Closure(self.store, [name for name in self.names if name not in known])

    def nar(self, name, to):
        """Appends the NAR of a store path to an open file."""
        subprocess.run(["nix-store", "--dump", self.path(name)], stdout=to, check=True)

    def size(self):
        """The sum of the lengths of the NARs."""
        return sum(int(size) for size in query(self.store, "--size", *map(store_path, self.names))) if self.names else 0


class Entry(NamedTuple):
    """An entry of a component in the order of the NAR; `content` of a regular file, `target` of a symlink."""
    depth: int
    name: bytes
    kind: bytes
    content: bytes | None
    target: bytes | None


def closure(store, roots):
    """All that these store paths need."""
    found = query(store, "--requisites", *roots)
    return Closure(store, sorted((os.path.basename(path) for path in found), key=lambda name: (name[33:], name)))


def query(store, *words):
    command = ["nix-store", "--store", store, "--query", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def store_path(name):
    return f"/nix/store/{name}"


def entries(path, depth=0, name=b""):
    """The entries of a store path, which may itself be a file."""
    path = os.fsencode(path)
    if os.path.islink(path):
        yield Entry(depth, name, b"l", None, os.readlink(path))
    elif os.path.isdir(path):
        yield Entry(depth, name, b"d", None, None)
        for child in sorted(os.listdir(path)):
            yield from entries(os.path.join(path, child), depth + 1, child)
    else:
        with open(path, "rb") as file:
            kind = b"x" if os.fstat(file.fileno()).st_mode & 0o100 else b"f"
            yield Entry(depth, name, kind, file.read(), None)


def plain(name):
    """A name without its hash."""
    return name[33:]


def package(name):
    """A name without hash and version."""
    return re.sub(r"-[0-9][^-]*(-[^-]*)?$", "", plain(name))


def pairs(old, new):
    """For each new component the old one that it most likely comes from: by name, else by package; else None."""
    chosen, taken = {}, set()
    for key in plain, package:
        known = {}
        for name in old.names:
            if name not in taken:
                known.setdefault(key(name), []).append(name)
        for name in new.names:
            if name not in chosen and known.get(key(name)):
                chosen[name] = known[key(name)].pop(0)
                taken.add(chosen[name])
    return {name: chosen.get(name) for name in new.names}
