"""The Debian archive as this machine has it set up: package lists of chosen suites, and packages of any version there.

apt is asked in private roots, so that the machine's own lists are read and never changed. Where the archive is
comes from the machine's own sources, so no address stands here.
"""
import functools
import os
import pathlib
import re
import subprocess
import sys

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """A package or list cannot be had; the message says which, why, and what to do."""


class Archive:
    """The packages of some suites. `oldest` takes the oldest version that these serve, instead of the newest."""

    def __init__(self, work, suites, oldest=False):
        self.root, self.oldest = work / "apt" / "+".join(suites), oldest
        self.debs = work / "debs"
        if not (self.root / "ready").exists():
            make_root(self.root, suites)
        self.versions, self.providers = read_lists(self.root)

    def find(self, name):
        """The stanza of a package, or None where it is not in these suites."""
        stanzas = self.versions.get(name)
        return (min if self.oldest else max)(stanzas, key=version_key) if stanzas else None

    def fetch(self, stanza):
        """The file of a package."""
        name, version = stanza["Package"], stanza["Version"]
        file = self.debs / f"{name}_{version.replace(':', '%3a')}_{stanza['Architecture']}.deb"
        if not file.exists():
            self.debs.mkdir(parents=True, exist_ok=True)
            said = subprocess.run(["apt-get", "-qq", "download", f"{name}={version}"], cwd=self.debs,
                                  env=environment(self.root), capture_output=True, text=True)
            if said.returncode or not file.exists():
                raise Unavailable(f"{name} {version}: apt cannot download it: {said.stderr.strip()[-300:]}: check the "
                                  f"network; if the archive has dropped it, remove {self.root} and try again")
        return file


def version_key(stanza):
    return functools.cmp_to_key(compare)(stanza["Version"])


@functools.cache
def compare(one, other):
    """Which of two versions is newer, as dpkg has it."""
    if one == other:
        return 0
    return -1 if subprocess.run(["dpkg", "--compare-versions", one, "lt", other]).returncode == 0 else 1


def depends(stanza):
    """The alternatives of each dependency, by name."""
    for field in "Pre-Depends", "Depends":
        for clause in stanza.get(field, "").split(","):
            names = [re.split(r"[ (:\[]", name.strip())[0] for name in clause.split("|")]
            if names[0]:
                yield names


def environment(root):
    return {**os.environ, "APT_CONFIG": str(root / "apt.conf"), "LC_ALL": "C"}


def output(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


def make_root(root, suites):
    """A configuration of apt that knows these suites alone, and their lists."""
    places = {}
    for line in output("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)",
                       "Created-By: Packages").splitlines():
        suite, component, address = line.split()
        if component == "main":
            places.setdefault(suite.endswith("-security"), address)
    for directory in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "etc/sources.list.d",
                      "state/lists/partial", "cache/archives/partial"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "state/status").touch()
    try:
        (root / "etc/sources.list").write_text("".join(
            f"deb [arch=amd64 signed-by={KEYS}] {places[suite.endswith('-security')]} {suite} main\n" for suite in suites))
    except KeyError:
        raise Unavailable(f"this machine's apt knows no {'security ' if False in places else ''}archive of Debian: "
                          "add one to its sources, with `main`, and run `apt-get update`") from None
    kept = [line for line in output("apt-config", "dump").splitlines()
            if line.startswith(("Acquire::http", "Acquire::ftp", "Acquire::Check-"))]
    (root / "apt.conf").write_text("\n".join([
        f'Dir::Etc "{root}/etc";', f'Dir::State "{root}/state";', f'Dir::State::status "{root}/state/status";',
        f'Dir::Cache "{root}/cache";', 'APT::Architecture "amd64";', 'APT::Architectures { "amd64"; };',
        'APT::Sandbox::User "root";', 'Acquire::Languages "none";', *kept, ""]))
    print(f"bench/nix: package lists of {', '.join(suites)}", file=sys.stderr)
    updated = subprocess.run(["apt-get", "-qq", "update"], env=environment(root), capture_output=True, text=True)
    if updated.returncode:
        raise Unavailable(f"apt cannot read the lists of {', '.join(suites)}: {updated.stderr.strip()[-300:]}: "
                          "check that `apt-get update` works on this machine")
    (root / "ready").touch()


def read_lists(root):
    """All stanzas by the name of their package, and the names of the packages that provide a name."""
    versions, providers = {}, {}
    lists = output("apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages", env=environment(root))
    wanted = re.compile(r"^(Package|Version|Architecture|Depends|Pre-Depends|Provides|SHA256): (.*)$", re.M)
    for file in sorted(lists.split()):
        for text in output("/usr/lib/apt/apt-helper", "cat-file", file, env=environment(root)).split("\n\n"):
            stanza = dict(wanted.findall(text))
            if stanza:
                versions.setdefault(stanza["Package"], []).append(stanza)
                for provided in filter(None, stanza.get("Provides", "").split(",")):
                    providers.setdefault(provided.split("(")[0].strip(), set()).add(stanza["Package"])
    return versions, providers


if __name__ == "__main__":
    sys.exit(f"{pathlib.Path(__file__).name} is a part of bench/nix/generate")
