"""Whether what the FD methods count is enough: rebuilds all new files from a recipe, what is sent, and the old closure.

It reads nothing of the new closure but what a receiver would be told, and compares what comes out.
"""
import sys

from closures import entries
from methods import END, REFERENCE, RUN, Receiver, chunks, chunks_of_parts


def rebuild(old, new, split):
    """The number of new files rebuilt. A file that comes out wrong ends the program."""
    sender = Receiver(old, new, split)
    fresh = new.without(old)
    for name in fresh.names:
        sender.component(new.path(name))
    known = Contents(old, new, split)
    recipe, sent, rebuilt = Numbers(sender.recipe), bytes(sender.sent), 0
    at, start = 0, 0
    for name in fresh.names:
        for entry in entries(new.path(name)):
            if entry.content is None:
                continue
            number = recipe.next()
            if number:
                content = known.files[number - 1]
            else:
                made = []
                while (token := recipe.next()) != END:
                    kind, value = token & 3, token >> 2
                    if kind == RUN:
                        start += -(value + 1) // 2 if value & 1 else value // 2
                        count = recipe.next()
                        made += known.units[start:start + count]
                        start += count
                    elif kind == REFERENCE:
                        made.append(known.hashes[value])
                    else:
                        piece, at = sent[at:at + value], at + value
                        made.append(piece)
                        is_cut = split in (chunks, chunks_of_parts)
                        known.units += [unit for unit, _ in chunks(piece, None)] if is_cut else [piece]
                content = b"".join(made)
                known.files.append(content)
            if content != entry.content:
                sys.exit(f"bench/nix-updates: {name}: a file of {len(entry.content)} bytes comes out as one of {len(content)}")
            rebuilt += 1
    if at != len(sent) or not recipe.is_at_end():
        sys.exit("bench/nix-updates: more is counted than is needed")
    return rebuilt


class Contents:
    """What a receiver knows, with contents: files, units and hashes by number."""

    def __init__(self, old, new, split):
        names = [*old.names, *new.without(old).names]
        self.hashes = [name[:32].encode() for name in names]
        numbers = {name: number for number, name in enumerate(self.hashes)}
        self.files, self.units, seen = [], [], set()
        for name in old.names:
            for entry in entries(old.path(name)):
                if entry.content is not None and entry.content not in seen:
                    seen.add(entry.content)
                    self.files.append(entry.content)
                    self.units += Receiver.units_of(entry.content, split, numbers)


class Numbers:
    """The numbers of a recipe, one after the other."""

    def __init__(self, recipe):
        self.recipe, self.at = recipe, 0

    def next(self):
        value, shift = 0, 0
        while True:
            byte = self.recipe[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def is_at_end(self):
        return self.at == len(self.recipe)


if __name__ == "__main__":
    sys.exit("this is a part of bench/nix-updates")
