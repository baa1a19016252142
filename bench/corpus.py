"""The pairs of bench/pairs as directories: CORPUS/PAIR/{old,new}.

Packages come through pip, npm and apt as this machine has them set up, so no address stands here. apt is asked
in a private root, so that the machine's own lists are read and never changed.
"""
import fnmatch
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import NamedTuple

PAIRS = pathlib.Path(__file__).resolve().parent / "pairs"
SOURCES = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
ARCHITECTURES = ("amd64", "arm64")


class Package(NamedTuple):
    client: str
    platform: str
    spec: str
    sha256: str


class Pair(NamedTuple):
    name: str
    keep: list
    old: Package
    new: Package


class Unavailable(Exception):
    """A package cannot be had; the message says which, why, and what to do."""


def read_pairs():
    """All pairs, in the order of the file."""
    pairs = []
    for line in PAIRS.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, client, platform, keep, *packages = line.split()
            old, new = (Package(client, platform, *packages[at:at + 2]) for at in (0, 2))
            pairs.append(Pair(name, keep.split(","), old, new))
    return pairs


def fetch(pair, corpus):
    """Makes CORPUS/PAIR, if it is not there. Gives its directory."""
    directory = corpus / pair.name
    if directory.exists():
        return directory
    partial = corpus / f"{pair.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for side, package in ("old", pair.old), ("new", pair.new):
        unpack(download(package, corpus / ".cache"), partial / side, pair.keep)
    partial.rename(directory)
    return directory


def download(package, cache):
    """The verified file of a package."""
    directory = cache / f"{package.client}-{package.spec}-{package.platform}".replace("/", "_")
    if not directory.exists():
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        run(command(package, cache), partial, package)
        partial.rename(directory)
    file, = directory.iterdir()
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != package.sha256:
        raise Unavailable(f"{file}: expected sha256 {package.sha256}, found {found}: remove it and try again, "
                          "and if it stays so, somebody changed a published package")
    return file


def command(package, cache):
    """What downloads a package into the current directory, and its environment."""
    client, _, suite = package.client.partition("-")
    match client:
        case "pip":
            words = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform", package.platform,
                     "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3",
                     "--abi", "none", package.spec]
        case "npm":
            words = ["npm", "pack", "--silent", package.spec]
        case "apt":
            name, version = package.spec.split("=")
            words = ["apt-get", "--quiet", "download", f"{name}:{package.platform}={version}"]
            return words, {"APT_CONFIG": str(apt_root(cache, suite))}
    return words, {}


def run(words_and_environment, directory, package):
    words, environment = words_and_environment
    try:
        subprocess.run(words, cwd=directory, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Unavailable(f"{package.spec}: {words[0]} is not installed: install it, or run ./setup") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or "it said nothing").splitlines()[-1]
        raise Unavailable(f"{package.spec} for {package.platform}: `{' '.join(words)}` failed: {said}: check the network; "
                          "if the version is gone, pin another in bench/pairs") from None


def apt_root(cache, suite):
    """The configuration of an apt of our own, for all architectures: it knows what the machine's apt does, or, if one
    is named, only that suite of the same archive."""
    root = cache / f"apt-{suite}".rstrip("-")
    config = root / "apt.conf"
    if config in apt_root.ready:
        return config
    for directory in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "etc/apt/sources.list.d",
                      "state/lists/partial", "cache/archives/partial"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "state/status").touch()
    sources = output("apt-get", "indextargets", "--format", SOURCES, "Created-By: Packages")
    if suite:
        sources = [f"{suite} {component} {uri}" for release, component, uri in map(str.split, sources) if "-" not in release]
    keys, wanted = "/usr/share/keyrings/debian-archive-keyring.gpg", ",".join(ARCHITECTURES)
    (root / "etc/apt/sources.list").write_text("".join(
        f"deb [arch={wanted} signed-by={keys}] {uri} {suite} {component}\n"
        for suite, component, uri in sorted({tuple(line.split()) for line in sources}) if component == "main"))
    kept = [line for line in output("apt-config", "dump") if line.startswith(
        ("Acquire::http", "Acquire::ftp", "Acquire::Check-Valid-Until ", "Acquire::Check-Date "))]
    architectures = " ".join(f'"{architecture}";' for architecture in ARCHITECTURES)
    config.write_text("\n".join([
        f'Dir "{root}";', f'Dir::State "{root}/state";', f'Dir::State::status "{root}/state/status";',
        f'Dir::Cache "{root}/cache";', f'APT::Architecture "{ARCHITECTURES[0]}";',
        f"APT::Architectures {{ {architectures} }};", 'APT::Sandbox::User "root";', 'Acquire::Languages "none";',
        *kept, ""]))
    updated = subprocess.run(["apt-get", "-qq", "update"], env={**os.environ, "APT_CONFIG": str(config)},
                             capture_output=True, text=True)
    if updated.returncode:
        raise Unavailable(f"apt cannot read its package lists: {updated.stderr.strip()[-300:]}: "
                          "check that `apt-get update` works on this machine")
    apt_root.ready.add(config)
    return config


apt_root.ready = set()


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


def unpack(package, directory, keep):
    """Unpacks what is kept of a package."""
    directory.mkdir(parents=True)
    match package.suffix:
        case ".whl":
            with zipfile.ZipFile(package) as archive:
                archive.extractall(directory)
        case ".tgz":
            with tarfile.open(package) as archive:
                archive.extractall(directory, filter="tar")
        case ".deb":
            subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    for path in sorted(directory.rglob("*"), reverse=True):
        name = path.relative_to(directory).as_posix()
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not any(fnmatch.fnmatchcase(name, pattern) for pattern in keep):
            path.unlink()
    for path in [*directory.glob("*.dist-info"), *directory.glob("*.data")]:
        path.rename(path.with_name(path.name.split("-")[0] + path.suffix))
    for version in [path.name for path in directory.rglob("lib/modules/*")]:
        for path in sorted(directory.rglob(f"*{version}*"), reverse=True):
            path.rename(path.with_name(path.name.replace(version, "version")))


if __name__ == "__main__":
    sys.exit("this is a part of bench/delta")
