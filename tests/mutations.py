"""Picture files with damage, each made from a seed and its number, so that one that failed can be made again.

from mutations import mutated
from served_formats import whole_files
name, content, recipe = mutated(whole_files(), seed=1, number=4711)
"""

import random
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = 512  # bytes at a file's start, where sizes, offsets and tables stand
EXTREMES = 0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF
WRONG_SUFFIX = 0.05  # of the files
MOST = 3  # kinds of damage in one file


class Mutated(NamedTuple):
    """A damaged file: its name, its content, and what was done to which whole one."""

    name: str
    content: bytes
    recipe: str


Mutation = Callable[[bytes, random.Random], bytes]


def mutated(whole: Mapping[str, bytes], seed: int, number: int) -> Mutated:
    """Returns file `number` of a seed, made from one or two of the `whole` ones: the same one whenever it is asked for.

    >>> mutated(whole_files(), seed=1, number=4711).recipe
    'still.webp: cut, lengths'
    """
    chance = random.Random(f"{seed}/{number}")
    names = sorted(whole)
    original = names[number % len(names)]  # each as often as any other
    content = whole[original]
    done = []
    for _ in range(chance.randint(1, MOST)):
        damage = chance.choice(MUTATIONS)
        if damage in WITH_ANOTHER:
            other = whole[chance.choice(names)]
            content = WITH_ANOTHER[damage](content, other, chance)
        else:
            content = ALONE[damage](content, chance)
        done.append(damage)
    name = original
    if chance.random() < WRONG_SUFFIX:
        name = f"{original}.{chance.choice(names).rsplit('.', 1)[1]}"
    recipe = ", ".join(done)
    return Mutated(f"{number:06d}_{name}", content, f"{original}: {recipe}")


# --- bytes ------------------------------------------------------------------------------------------------------------


def _flip_bits(content: bytes, chance: random.Random) -> bytes:
    return _flipped(content, chance, len(content))


def _flip_header(content: bytes, chance: random.Random) -> bytes:
    return _flipped(content, chance, min(HEADER, len(content)))


def _flipped(content: bytes, chance: random.Random, end: int) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16, 64])):
        if end:
            damaged[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _cut_the_end(content: bytes, chance: random.Random) -> bytes:
    return content[: -chance.randint(1, 64)]


def _leave_out(content: bytes, chance: random.Random) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + content[end:]


def _twice(content: bytes, chance: random.Random) -> bytes:
    start, end = _range(content, chance)
    return content[:end] + content[start:end] + content[end:]


def _zeros(content: bytes, chance: random.Random) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + bytes(end - start) + content[end:]


def _noise(content: bytes, chance: random.Random) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + chance.randbytes(end - start) + content[end:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(content))
    return content[:place] + chance.randbytes(chance.choice([1, 2, 4, 100, 5000])) + content[place:]


def _range(content: bytes, chance: random.Random) -> tuple[int, int]:
    """Short ranges as often as long ones."""
    start = chance.randint(0, len(content))
    longest = chance.choice([4, 64, 1024, len(content)])
    return start, min(len(content), start + chance.randint(1, max(1, longest)))


def _lengths(content: bytes, chance: random.Random) -> bytes:
    """Extreme numbers where headers and tables have theirs: sizes, lengths, offsets, counts."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        form, mask = chance.choice([(">H", 0xFFFF), ("<H", 0xFFFF), (">I", 0xFFFFFFFF), ("<I", 0xFFFFFFFF)])
        width = struct.calcsize(form)
        last = min(len(damaged), chance.choice([HEADER, len(damaged)])) - width
        if last < 0:
            continue
        value = chance.choice(EXTREMES)
        if chance.random() < 0.3:
            value = chance.getrandbits(32)
        struct.pack_into(form, damaged, chance.randint(0, last), value & mask)
    return bytes(damaged)


def _splice(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    return content[: chance.randint(0, len(content))] + other[chance.randint(0, len(other)) :]


def _append(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content + other


def _swallow(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """One file in the middle of the other."""
    place = chance.randint(0, len(content))
    return content[:place] + other + content[place:]


# --- parts, as each format has them -----------------------------------------------------------------------------------


def _chunks(content: bytes, chance: random.Random) -> bytes:
    """Some part comes twice, goes, or changes places with another."""
    start, parts = _parts_of(content)
    if len(parts) < 2:
        return _twice(content, chance)
    i, j = chance.randrange(len(parts)), chance.randrange(len(parts))
    way = chance.choice(["twice", "often", "gone", "swapped"])
    if way == "twice":
        parts.insert(j, parts[i])
    elif way == "often":
        parts[i] = parts[i] * chance.choice([10, 300])
    elif way == "gone":
        del parts[i]
    else:
        parts[i], parts[j] = parts[j], parts[i]
    return start + b"".join(parts)


def _chunk_inside(content: bytes, chance: random.Random) -> bytes:
    """Bits of one part flipped; in a PNG its checksum put right, else decoders would not look at what it holds."""
    start, parts = _parts_of(content)
    if not parts:
        return _flip_bits(content, chance)
    i = chance.randrange(len(parts))
    part = parts[i]
    if content.startswith(PNG_SIGNATURE) and len(part) >= 12:
        inner = part[4:8] + _lengths(_flip_bits(part[8:-4], chance), chance)
        length = struct.pack(">I", len(inner) - 4)
        parts[i] = length + inner + struct.pack(">I", zlib.crc32(inner))
    else:
        parts[i] = part[:8] + _lengths(_flip_bits(part[8:], chance), chance)
    return start + b"".join(parts)


def _parts_of(content: bytes) -> tuple[bytes, list[bytes]]:
    """A file's start, and its parts as far as they can be told: chunks, segments, boxes."""
    if content.startswith(PNG_SIGNATURE):
        return _split(content, 8, lambda at: 12 + int.from_bytes(content[at : at + 4], "big"))
    if content.startswith(b"\xff\xd8"):
        return _split(content, 2, lambda at: _segment_length(content, at))
    if content.startswith(b"RIFF"):
        return _split(content, 12, lambda at: 8 + (int.from_bytes(content[at + 4 : at + 8], "little") + 1) // 2 * 2)
    if content[4:8] == b"ftyp":
        return _split(content, 0, lambda at: max(8, int.from_bytes(content[at : at + 4], "big")))
    return content, []


def _segment_length(content: bytes, at: int) -> int:
    """Of a JPEG: all from the first scan on is one."""
    if content[at + 1 : at + 2] == b"\xda":
        return len(content)
    return 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def _split(content: bytes, at: int, length_at: Callable[[int], int]) -> tuple[bytes, list[bytes]]:
    start, parts = content[:at], []
    while at < len(content):
        length = length_at(at)
        parts.append(content[at : at + length])
        at += length
    return start, parts


ALONE: dict[str, Mutation] = {
    "bits flipped": _flip_bits,
    "header flipped": _flip_header,
    "cut": _cut,
    "end cut": _cut_the_end,
    "part left out": _leave_out,
    "part twice": _twice,
    "zeros": _zeros,
    "noise": _noise,
    "bytes inserted": _insert,
    "lengths": _lengths,
    "chunks": _chunks,
    "inside a chunk": _chunk_inside,
}
WITH_ANOTHER = {"spliced": _splice, "another appended": _append, "another inside": _swallow}
MUTATIONS = [*ALONE, *WITH_ANOTHER]
