"""Builds one store path. Nix runs it with `out`, `kind` and the file `specPath`, whose form each function tells.

It is deterministic: it reads nothing but its specification, what that names, and the programs of the host
(dpkg-deb, tar, patchelf, python3).
"""
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys

import elf
import layout

OUT = pathlib.Path(os.environ["out"])
LOADER = "lib/ld-linux-x86-64.so.2"


def package(spec):
    """Unpacks Debian packages and makes all that they mention the store paths they depend on.

    deps: component -> store path; paths: merged path -> [component, place]; sonames: name -> [component, directory]
    """
    here = {**spec["deps"], spec["self"]: str(OUT)}
    files = {}
    for number, deb in enumerate(spec["debs"]):
        root = unpack(deb, number)
        for path in entries(root):
            merged = layout.merged(str(path.relative_to(root)))
            if layout.is_kept(merged):
                files.setdefault(merged, path)

    def place(merged):
        """What a merged path is now, where a dependency or this package has it."""
        found = spec["paths"].get(merged)
        return f"{here[found[0]]}/{found[1]}" if found else None

    def replaced(match):
        said = match[0].decode()
        known = place(layout.merged(said.rstrip(".")))
        return match[0] if known is None else (known + said[len(said.rstrip(".")):]).encode()

    linked = []
    for merged, path in sorted(files.items()):
        target = OUT / layout.in_store(merged)
        if os.path.lexists(target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            link(target, merged, os.readlink(path), place)
            continue
        content = path.read_bytes()
        linking = None if spec["self"] == "libc6" else elf.linking(content)
        if linking:
            linked.append((target, linking))
        elif content[:4] != b"\x7fELF" and layout.is_text(content):
            content = layout.MENTIONED.sub(replaced, content)
        write(target, content, bool(path.stat().st_mode & 0o100))
    for target, linking in linked:
        relink(target, linking, spec["sonames"], here)
    if spec["deps"]:
        write(OUT / "nix-support/propagated-build-inputs", " ".join(spec["deps"].values()) + "\n")
    if spec["python"]:
        compile_python(here)


def link(target, merged, said, place):
    """A symlink of a package: relative where it stays inside, a store path where it leads out."""
    leads_to = layout.merged(said if said.startswith("/") else os.path.join(os.path.dirname("/" + merged), said))
    inside = layout.in_store(leads_to)
    if inside == layout.in_store(merged):
        return
    known = place(leads_to)
    if known and not known.startswith(f"{OUT}/"):
        target.symlink_to(known)
    elif known or not said.startswith("/"):
        target.symlink_to(os.path.relpath(OUT / inside, target.parent))
    else:
        target.symlink_to(said)


def relink(target, linking, sonames, here):
    """Names the store paths of the libraries that a program needs in its RPATH, and its loader."""
    directories = []
    for name in linking.needed:
        owner, directory = sonames.get(name, (None, None))
        if owner in here and f"{here[owner]}/{directory}" not in directories:
            directories.append(f"{here[owner]}/{directory}")
    options = ["--set-rpath", ":".join(directories)] if directories else []
    if linking.interpreter and "libc6" in here:
        options += ["--set-interpreter", f"{here['libc6']}/{LOADER}"]
    if options:
        mode = target.stat().st_mode
        target.chmod(0o755)
        run("patchelf", *options, target)
        target.chmod(mode)


def compile_python(here):
    """Byte code as nixpkgs has it: it names its source's store path, and a time of 1."""
    program = here.get("python3", "") + "/bin/python3"
    if os.path.exists(program):
        for source in OUT.rglob("*.py"):
            os.utime(source, (1, 1))
        run(program, "-B", "-s", "-m", "compileall", "-f", "-q", "--invalidation-mode", "timestamp", OUT / "lib",
            env={"PYTHONHASHSEED": "0"}, check=False)   # some sources are templates and for other versions


def kernel(spec):
    """The image of a kernel and those of its modules that the device can use.

    deb, version, kmod: store path; keep, drop: expressions over paths of modules; always: names of modules
    """
    root = unpack(spec["deb"], 0)
    modules = next(path for path in (root / "lib/modules", root / "usr/lib/modules") if path.is_dir()) / spec["version"]
    keep, drop = (re.compile("|".join(spec[key])) for key in ("keep", "drop"))
    for path in entries(modules):
        name = str(path.relative_to(modules))
        is_module = ".ko" in path.name
        if is_module and module(path) not in spec["always"] and (drop.search(name) or not keep.search(name)):
            continue
        content = path.read_bytes()
        if name.endswith(".ko.xz"):
            content, name = lzma.decompress(content), name.removesuffix(".xz")
        write(OUT / "lib/modules" / spec["version"] / name, content)
    for name in "vmlinuz", "config":
        write(OUT / {"vmlinuz": "bzImage"}.get(name, name), (root / f"boot/{name}-{spec['version']}").read_bytes())
    run(spec["kmod"] + "/bin/depmod", "-b", OUT, spec["version"])


def initrd(spec):
    """An initial RAM disk, not compressed, whose members are sorted by store path, as nixpkgs makes it.

    kernel, busybox, e2fsprogs, kmod, libc6: store paths; version; modules: names
    """
    archive, made = Cpio(), set()

    def add(path, mode, content=b""):
        for parent in reversed(pathlib.PurePath(path).parents[:-1]):
            if parent not in made:
                made.add(parent)
                archive.add(str(parent), 0o40755)
        archive.add(path, mode, content)

    for name in "dev", "mnt", "proc", "run", "sys":
        add(name + "/.keep", 0o100444)
    add("bin/busybox", 0o100755, pathlib.Path(spec["busybox"], "bin/busybox").read_bytes())
    add("bin/sh", 0o120777, b"busybox")
    names = []
    for path in entries(pathlib.Path(spec["kernel"], "lib/modules", spec["version"], "kernel")):
        if module(path) in spec["modules"]:
            names.append(path.name)
            add(f"lib/modules/{path.name}", 0o100644, path.read_bytes())
    programs = [f"{spec['e2fsprogs']}/bin/e2fsck", f"{spec['kmod']}/bin/kmod", f"{spec['libc6']}/{LOADER}"]
    for path in sorted(with_libraries(programs)):
        add(path.lstrip("/"), 0o100755, pathlib.Path(path).read_bytes())
    lines = ["#!/bin/sh", f"export PATH=/bin:{spec['kmod']}/bin:{spec['e2fsprogs']}/bin",
             "mount -t proc proc /proc", "mount -t sysfs sys /sys", "mount -t devtmpfs dev /dev",
             *(f"insmod /lib/modules/{name}" for name in names),
             f'{spec["e2fsprogs"]}/bin/e2fsck -a "$root"', 'mount -o ro "$root" /mnt',
             'exec switch_root /mnt "$init"', ""]
    add("init", 0o100755, "\n".join(lines).encode())
    write(OUT / "initrd", archive.finish())


def with_libraries(programs):
    """The paths of programs and of all libraries that they load."""
    found, queue = set(), [os.path.realpath(program) for program in programs]
    while queue:
        path = queue.pop()
        if path not in found:
            found.add(path)
            linking = elf.linking(pathlib.Path(path).read_bytes())
            asked = subprocess.run(["patchelf", "--print-rpath", path], capture_output=True, text=True)
            for name in linking.needed if linking else []:
                here = (f"{directory}/{name}" for directory in asked.stdout.strip().split(":"))
                queue += [path for path in here if os.path.exists(path)][:1]
    return found


class Cpio:
    """An archive in the form that Linux unpacks, `newc`."""

    def __init__(self):
        self.bytes, self.number = bytearray(), 0

    def add(self, name, mode, content=b""):
        self.number += 1
        name = name.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 1, len(content), 0, 0, 0, 0, len(name), 0)
        self.bytes += b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in name, content:
            self.bytes += part
            self.bytes += b"\0" * (-len(self.bytes) % 4)

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.bytes)


def text(spec):
    """One file, which is the store path itself or a single one in it. text; executable; name: empty or the path"""
    write(OUT / spec["name"] if spec["name"] else OUT, spec["text"], spec["executable"])


def tree(spec):
    """A directory of links and small files. links: path -> target; files: path -> [text, executable]"""
    OUT.mkdir()
    for path, target in sorted(spec["links"].items()):
        (OUT / path).parent.mkdir(parents=True, exist_ok=True)
        (OUT / path).symlink_to(target)
    for path, (content, executable) in sorted(spec["files"].items()):
        write(OUT / path, content, executable)


def forest(spec):
    """The directories of several store paths as one, by links. directories: of them; paths: store paths"""
    def merge(relative, sources):
        by_name = {}
        for source in sources:
            for name in sorted(os.listdir(f"{source}/{relative}")):
                by_name.setdefault(name, []).append(source)
        (OUT / relative).mkdir(parents=True, exist_ok=True)
        for name, sources in sorted(by_name.items()):
            path = f"{relative}/{name}"
            if len(sources) > 1 and all(os.path.isdir(f"{source}/{path}") for source in sources):
                merge(path, sources)
            else:
                (OUT / path).symlink_to(f"{sources[0]}/{path}")
    for directory in spec["directories"]:
        merge(directory, [path for path in spec["paths"] if os.path.isdir(f"{path}/{directory}")])


def unpack(deb, number):
    """The files of a package in a directory of their own, without what Nix forbids, such as setuid bits."""
    root = pathlib.Path(os.environ["TMPDIR"], f"deb{number}")
    root.mkdir()
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as tar:
        run("tar", "-x", "--no-same-owner", "--no-same-permissions", "-C", root, stdin=tar.stdout)
    if tar.returncode:
        sys.exit(f"{deb} is damaged")
    return root


def entries(root):
    """All files and links below a directory, in the order of their paths."""
    return sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())


def module(path):
    return path.name.split(".ko")[0].replace("_", "-")


def write(path, content, executable=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o755 if executable else 0o644)


def run(*words, check=True, **options):
    subprocess.run([str(word) for word in words], check=check, stdout=subprocess.DEVNULL, **options)


if __name__ == "__main__":
    KINDS = {"package": package, "kernel": kernel, "initrd": initrd, "text": text, "tree": tree, "forest": forest}
    KINDS[os.environ["kind"]](json.loads(pathlib.Path(os.environ["specPath"]).read_text()))
