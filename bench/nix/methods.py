"""The methods that bench/nix-updates compares Upmass with: how many bytes each needs to carry a closure.

Each takes the old closure, which the receiver has, and the new one. They are those by which incremental updates of Nix
closures have been studied:

    NAR      the new components whole, as binary caches have them, in one compressed stream
    FD       file deduplication: a file that the receiver has in any component is named, all others are sent
    FD+R     what is sent of a file is split at references to store paths; a part that the receiver has, between
             references of any old file, is named
    FD+64    what is sent of a file is cut into chunks of 64 bytes; one that the receiver has is named
    FD+R+64  both: split at references, then each part that the receiver lacks cut into chunks
    bsdiff   the NAR of each new component from that of an old one of the same name or package, by bsdiff (bzip2)
    zstd     all new components as one file from all old ones as another, by `zstd --patch-from`

The receivers of the FD methods do not exist: what they would need at least is added up, in their favour. That is,
each compressed with zstd: the structure of the new components (names, types, link targets, and once each new store
path's name), the recipe (which parts or chunks come in which order: runs of neighbours as two numbers), and what must
be sent. With R a reference in a recipe or a link target is the number of a component. No signature, checksum or
framing is counted. bsdiff and zstd carry no names either: NARs hold them.
"""
import hashlib
import subprocess
import sys
import tempfile

from closures import MENTION, entries, pairs

CHUNK = 64


def nar(old, new, scratch, level):
    with tempfile.TemporaryFile(dir=scratch) as file:
        dump(new.without(old), file)
        return compressed(file, level)


def bsdiff(old, new, scratch, level):
    total = 0
    before, after, patch = (scratch / name for name in ("before", "after", "patch"))
    fresh = new.without(old)
    for name, base in pairs(old.without(new), fresh).items():
        with open(after, "wb") as file:
            fresh.nar(name, file)
        with open(before, "wb") as file:
            if base:
                old.nar(base, file)
        if base:
            subprocess.run(["bsdiff", before, after, patch], check=True)
            total += patch.stat().st_size
        else:
            with open(after, "rb") as file:
                total += compressed(file, level)
    return total


def patch_from(old, new, scratch, level):
    before, after, patch = (scratch / name for name in ("before", "after", "patch"))
    for path, closure in (before, old), (after, new.without(old)):
        with open(path, "wb") as file:
            dump(closure, file)
    subprocess.run(["zstd", "-q", "-f", "--single-thread", "--long=31", f"-{level}", f"--patch-from={before}", after,
                    "-o", patch], check=True)
    return patch.stat().st_size


def deduplicated(split):
    """A method that names what the receiver has and sends the rest; `split` cuts files into units and references."""
    def method(old, new, scratch, level):
        receiver = Receiver(old, new, split)
        for name in new.without(old).names:
            receiver.component(new.path(name))
        return sum(compressed_bytes(stream, level, scratch) for stream in receiver.streams())
    return method


class Receiver:
    """What the receiver has, and what it must be told to make new components of that."""

    def __init__(self, old, new, split):
        fresh = new.without(old)
        self.split = split
        self.numbers = {name[:32].encode(): number for number, name in enumerate([*old.names, *fresh.names])}
        self.files = {}
        # The units in the order in which the receiver has them, and where each is first.
        self.sequence, self.units = [], {}
        self.structure = bytearray("\n".join(fresh.names).encode())
        self.recipe, self.sent = bytearray(), bytearray()
        # What the recipe says last and may go on: units [start, start + count) that are known, or bytes that are sent.
        self.start, self.count, self.literal = 0, 0, 0
        for name in old.names:
            for entry in entries(old.path(name)):
                if entry.content is not None and self.add_file(entry.content) is None:
                    for unit in self.units_of(entry.content, split, self.numbers):
                        self.add_unit(key(unit))

    @staticmethod
    def units_of(content, split, numbers):
        """The units that a receiver knows by a file that it has; with FD+R+64 whole parts are among them."""
        yield from (unit for unit, is_reference in split(content, numbers) if not is_reference)
        if split is chunks_of_parts:
            yield from (part for part, is_reference in parts(content, numbers) if not is_reference and len(part) > CHUNK)

    def component(self, path):
        """Tells how a new component is made."""
        for entry in entries(path):
            self.structure += bytes([entry.depth]) + entry.kind + entry.name + b"\0"
            if entry.target is not None:
                keeps_hashes = self.split in (whole, chunks)
                self.structure += (entry.target if keeps_hashes else MENTION.sub(self.numbered, entry.target)) + b"\0"
            if entry.content is not None:
                known = self.add_file(entry.content)
                self.number(0 if known is None else known + 1)
                if known is None:
                    self.content(entry.content)

    def content(self, content):
        """Tells how a new file is made."""
        for unit, is_reference in (parts if self.split is chunks_of_parts else self.split)(content, self.numbers):
            if is_reference:
                self.end()
                self.number(4 * self.numbers[unit] + REFERENCE)
            elif self.split is chunks_of_parts and key(unit) not in self.units:
                for chunk, _ in chunks(unit, self.numbers):
                    self.unit(chunk)
            else:
                self.unit(unit)
        self.end()
        self.number(END)

    def unit(self, unit):
        """Tells the next unit of a file."""
        name = key(unit)
        known = self.units.get(name)
        if known is None:
            self.end(run=True)
            self.add_unit(name)
            self.sent += unit
            self.literal += len(unit)
            return
        self.end(literal=True)
        follows = self.start + self.count
        if not self.count or follows >= len(self.sequence) or self.sequence[follows] != name:
            self.end(run=True)
            known = self.start if self.start < len(self.sequence) and self.sequence[self.start] == name else known
            self.number(4 * zigzag(known - self.start) + RUN)
            self.start = known
        self.count += 1

    def add_unit(self, name):
        self.units.setdefault(name, len(self.sequence))
        self.sequence.append(name)

    def end(self, run=False, literal=False):
        """Ends what the recipe says last; without a word whatever it is."""
        if self.count and not literal:
            self.number(self.count)
            self.start, self.count = self.start + self.count, 0
        if self.literal and not run:
            self.number(4 * self.literal + SENT)
            self.literal = 0

    def add_file(self, content):
        """The number of a file that is known; None of one that is new, which is known from now on."""
        name = hashlib.blake2b(content, digest_size=16).digest()
        known = self.files.get(name)
        if known is None:
            self.files[name] = len(self.files)
        return known

    def numbered(self, match):
        number = self.numbers.get(match[1])
        return match[0] if number is None else b"\1" + number.to_bytes(2, "big")

    def number(self, value):
        while value > 127:
            self.recipe.append(value & 127 | 128)
            value >>= 7
        self.recipe.append(value)

    def streams(self):
        return self.structure, self.recipe, self.sent


END, RUN, REFERENCE, SENT = range(4)


def zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


def key(unit):
    """What stands for a unit: itself where it is short."""
    return unit if len(unit) <= CHUNK else hashlib.blake2b(unit, digest_size=16).digest() + b"long"


def whole(content, numbers):
    """A file is one unit."""
    yield content, False


def chunks(content, numbers):
    """A file is cut every 64 bytes."""
    for at in range(0, len(content), CHUNK):
        yield content[at:at + CHUNK], False


def parts(content, numbers):
    """A file is cut where it mentions a component, and the hash is a reference."""
    at = 0
    for match in MENTION.finditer(content):
        if match[1] in numbers:
            yield content[at:match.start(1)], False
            yield match[1], True
            at = match.end(1)
    if at < len(content) or not content:
        yield content[at:], False


def chunks_of_parts(content, numbers):
    for part, is_reference in parts(content, numbers):
        if is_reference:
            yield part, True
        else:
            yield from chunks(part, numbers)


def dump(closure, file):
    """Writes the NARs of a closure, one after the other."""
    file.flush()
    for name in closure.names:
        closure.nar(name, file)


def compressed(file, level):
    """The length of what an open file holds, after zstd."""
    file.seek(0)
    with subprocess.Popen(["zstd", "-q", "-c", "--single-thread", "--long=27", f"-{level}"], stdin=file,
                          stdout=subprocess.PIPE) as process:
        total = sum(map(len, iter(lambda: process.stdout.read(1 << 16), b"")))
    if process.returncode:
        sys.exit("bench/nix-updates: zstd failed, see above")
    return total


def compressed_bytes(content, level, scratch):
    with tempfile.TemporaryFile(dir=scratch) as file:
        file.write(content)
        file.flush()
        return compressed(file, level)


METHODS = {
    "NAR": nar,
    "FD": deduplicated(whole),
    "FD+R": deduplicated(parts),
    "FD+64": deduplicated(chunks),
    "FD+R+64": deduplicated(chunks_of_parts),
    "bsdiff": bsdiff,
    "zstd": patch_from,
}


if __name__ == "__main__":
    sys.exit("this is a part of bench/nix-updates")
