"""What the dynamic linker reads of a 64-bit little-endian ELF file: its interpreter and the libraries it needs."""
import struct
from typing import NamedTuple

LOAD, DYNAMIC, INTERPRETER = 1, 2, 3
NEEDED, STRINGS = 1, 5


class Linking(NamedTuple):
    """What a file is linked with; `interpreter` is None in a library."""
    interpreter: str | None
    needed: list


def linking(content):
    """The linking of a file, or None where it is not linked dynamically, or is no ELF file of this machine."""
    if content[:6] != b"\x7fELF\x02\x01":
        return None
    at, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, at + index * size) for index in range(count)]
    loads = [header for header in headers if header[0] == LOAD]
    dynamic = next((header for header in headers if header[0] == DYNAMIC), None)
    if dynamic is None:
        return None

    def text(offset):
        return content[offset:content.index(b"\0", offset)].decode()

    def offset_of(address):
        return next(address - start + offset for _, _, offset, start, _, size in loads if start <= address < start + size)

    entries = list(struct.iter_unpack("<qQ", content[dynamic[2]:dynamic[2] + dynamic[5] // 16 * 16]))
    strings = offset_of(dict(entries)[STRINGS])
    interpreter = next((text(header[2]) for header in headers if header[0] == INTERPRETER), None)
    return Linking(interpreter, [text(strings + value) for tag, value in entries if tag == NEEDED])
