"""What a generation is made of: Debian packages of a profile, with all they depend on, as a specification for store.nix.

Packages that depend on each other in circles, or that nixpkgs has as one, become one component (`groups`). Between
components the edges must form no circle, as between store paths: they are added in the order of what matters most
(libraries that a program loads, then what Debian says, then what texts and links mention), and one that would close a
circle is left out, with what it stands for.
"""
import json
import os
import re
import subprocess
import sys
import tarfile

import elf
import layout
from debian import depends


def resolve(profile, archive, pinned, touched, systems, work):
    """The specification of a generation, for JSON.

    pinned: [(expression over names, archive)] for packages that come from elsewhere; touched: the components whose
    derivation changes in a way that changes nothing in what they build; systems: the names of those it has.
    """
    choice = choose(profile, archive, pinned)
    image = next((name for name in choice if re.match(r"linux-image-\d", name)), None)
    kernel = choice.pop(image) if image else None
    choice = {name: chosen for name, chosen in choice.items() if not name.startswith("linux-image-")}

    members = {}
    for name in sorted(choice):
        members.setdefault(component_of(profile, name), []).append(name)
    debs = {name: source.fetch(stanza) for name, (source, stanza) in choice.items()}
    found = {component: [scan(debs[name], work) for name in names] for component, names in members.items()}
    graph = Graph(found, profile["alternatives"])
    for component in sorted(members):
        graph.add_libraries(component)
    for component in sorted(members):
        for name in members[component]:
            source, stanza = choice[name]
            for names in depends(stanza):
                names += [provider for other in names for provider in sorted(source.providers.get(other, ()))]
                known = [other for other in names if other in choice]
                if known:
                    graph.add(component, component_of(profile, known[0]))
    for component in sorted(members):
        graph.add_paths(component)

    def version(component):
        names = members[component]
        said = choice[next((name for name in names if name == component), names[0])][1]["Version"]
        return plain(said.split(":")[-1])

    def listed(names):
        return sorted({component_of(profile, name) for name in names if name in choice})

    packages = {component: {
        "name": f"{component}-{version(component)}",
        "debs": [file_of(debs[name], choice[name][1]) for name in members[component]],
        "deps": sorted(graph.edges[component]),
        "sonames": graph.sonames[component],
        "paths": graph.paths[component],
        "python": any(path.endswith(".py") for one in found[component] for path in one["files"]),
        "attributes": {"touched": "once more"} if component in touched else {},
    } for component in sorted(members)}
    return {
        "packages": packages,
        "kernel": kernel and {
            "name": f"linux-{plain(kernel[1]['Version'])}", "version": image.removeprefix("linux-image-"),
            "deb": file_of(kernel[0].fetch(kernel[1]), kernel[1]), **profile["kernel"]},
        "texts": {name: {"text": "\n".join(text["text"]) + "\n", "executable": text.get("executable", False),
                         "unit": name.endswith(".service"), "etc": text.get("etc", "")}
                  for name, text in profile["texts"].items()},
        "systems": {name: {
            "packages": listed(profile["common"]["packages"] + system["packages"]),
            "texts": profile["common"]["texts"] + system["texts"],
            "etc": profile["common"]["etc"], "init": "\n".join(profile["common"]["init"]) + "\n",
        } for name, system in profile["systems"].items() if name in systems},
    }


def choose(profile, archive, pinned):
    """All packages that the systems need: name -> (archive, stanza)."""
    dropped = re.compile("|".join(profile["drop"]) + "$")
    seeds = dict.fromkeys(name for part in [profile["common"], *profile["systems"].values()] for name in part["packages"])

    def source_of(name):
        return next((other for expression, other in pinned if re.fullmatch(expression, name)), archive)

    def real(name):
        """The package that stands for a name: itself, or one that provides it."""
        if dropped.match(name) or source_of(name).find(name):
            return None if dropped.match(name) else name
        providers = sorted(archive.providers.get(name, ()), key=lambda other: (other not in seeds, other))
        return next((other for other in providers if not dropped.match(other)), None)

    choice, queue = {}, list(seeds)
    while queue:
        name = real(queue.pop(0))
        if not name or name in choice:
            continue
        choice[name] = (source_of(name), source_of(name).find(name))
        for names in depends(choice[name][1]):
            if not any(other in choice or other in seeds for other in names):
                queue += [other for other in names if dropped.match(other) or real(other)][:1]
    missing = [name for name in seeds if not real(name)]
    if missing:
        sys.exit(f"bench/nix: {', '.join(missing)} of the profile are not in the archive: take them out of it")
    return choice


class Graph:
    """Which component depends on which, and what each finds there."""

    def __init__(self, found, alternatives):
        self.found, self.alternatives = found, {layout.merged(name): layout.merged(real) for name, real in alternatives.items()}
        self.edges = {component: set() for component in found}
        self.sonames = {component: {} for component in found}
        self.paths = {component: {} for component in found}
        self.owners, self.directories, self.libraries = {}, {}, {}
        for component, parts in sorted(found.items()):
            for part in parts:
                for path in part["files"]:
                    self.owners.setdefault(path, component)
                    while path := os.path.dirname(path):
                        self.directories.setdefault(path, set()).add(component)
                for name, directory in part["libraries"].items():
                    self.libraries.setdefault(name, []).append((component, directory))

    def add(self, component, other):
        """Adds an edge, unless it would close a circle. Says whether it is there, or not needed."""
        if other == component or other in self.edges[component]:
            return True
        seen, queue = set(), [other]
        while queue:
            here = queue.pop()
            if here == component:
                return False
            if here not in seen:
                seen.add(here)
                queue += self.edges[here]
        self.edges[component].add(other)
        return True

    def add_libraries(self, component):
        for name in sorted({name for part in self.found[component] for name in part["needed"]}):
            known = sorted(self.libraries.get(name, ()), key=lambda place: (place[0] != component, len(place[1]), place))
            if known and self.add(component, known[0][0]):
                self.sonames[component][name] = known[0]

    def add_paths(self, component):
        for path in sorted({path for part in self.found[component] for path in part["mentioned"]}):
            real = path if path in self.owners else self.alternatives.get(path, path)
            owner = self.owners.get(real)
            if owner is None and path.count("/") > 1 and len(self.directories.get(path, ())) == 1:
                owner, = self.directories[path]
            if owner and self.add(component, owner):
                self.paths[component][path] = [owner, layout.in_store(real)]


def scan(deb, work):
    """What is in a package and what it refers to. It is remembered, since generations share most packages."""
    known = work / "scans" / f"{deb.name}.json"
    if known.exists():
        return json.loads(known.read_text())
    files, libraries, needed, mentioned = [], {}, set(), set()
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                path = layout.merged(member.name)
                if not (member.isfile() or member.issym() or member.islnk()) or not layout.is_kept(path):
                    continue
                files.append(path)
                name = os.path.basename(path)
                if ".so" in name:
                    libraries.setdefault(name, os.path.dirname(layout.in_store(path)))
                if member.issym():
                    target = member.linkname
                    mentioned.add(layout.merged(target if target.startswith("/") else f"/{os.path.dirname(path)}/{target}"))
                elif member.isfile():
                    content = archive.extractfile(member).read()
                    linking = elf.linking(content)
                    if linking:
                        needed.update(linking.needed)
                    elif content[:4] != b"\x7fELF" and layout.is_text(content):
                        mentioned |= layout.mentioned(content)
    result = {"files": sorted(files), "libraries": libraries, "needed": sorted(needed), "mentioned": sorted(mentioned)}
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(result))
    return result


def component_of(profile, name):
    """The component that a package is part of."""
    for component, expression in profile["groups"].items():
        if re.fullmatch(expression, name):
            return component
    return name.removesuffix("t64")   # Debian 13 names libraries with 64-bit times so


def file_of(deb, stanza):
    """A package as Nix takes it: its place, a name that Nix allows, and the digest that the archive's list has of it."""
    return {"path": str(deb), "name": plain(deb.name), "sha256": stanza["SHA256"]}


def plain(text):
    return re.sub(r"[^0-9A-Za-z+._-]", "_", text.replace("~", "."))


if __name__ == "__main__":
    sys.exit("this is a part of bench/nix/generate")
