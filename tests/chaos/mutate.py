"""Structure-aware damage: a file's own fields, chunks, cells and tokens are changed, and sums made right again."""

import gzip
import json
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterable

WHOLE = (0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, -(2**63))
REAL = (0.0, -0.0, -1.0, 1e-45, 1e-30, 1e30, 3.4e38, float("inf"), -float("inf"), float("nan"))
TEXT = (
    "", " ", "0", "-1", "5", "1e999", "nan", "-inf", ".inf", "1_0", "0x_", "2024-02-30", "9" * 500, "true", "null",
    "~", "[]", "[1, 2]", "{}", "{a: {b: 1}}", "[[[[[[[[1]]]]]]]]", "&a [*a]", "*b", "!!int ''",
    "!!python/object:os.system x",
    "../../etc/passwd", "/", "/dev/zero", ".", "a/b", "x" * 5000, "=1+1", "<script>alert(1)</script>", "$\\frac{1}$",
    "\x1b[31m", "\0", "é", "\ud7ff", "\u202e", "'", '"', ",", "\n", "- a\n- b", "\t", "#", "{{ 7*7 }}", "%s%n", "NaN",
)  # fmt: skip
_WIDTHS = {1: "b", 2: "h", 4: "i", 8: "q"}


def mutate(suffix: str, raw: bytes, rng: random.Random) -> bytes:
    """Damage a file once to four times.

    Args:
        suffix: Chooses how; unknown ones are bytes.
        raw: The sound file.
        rng: Decides.
    """
    if suffix == ".gz":
        try:
            inner = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            return _bytes(raw, rng)
        return gzip.compress(mutate(".nii", inner, rng), 1) if rng.random() < 0.85 else _bytes(raw, rng)
    change = _KINDS.get(suffix, _bytes)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        raw = change(raw, rng) if rng.random() < 0.85 else _bytes(raw, rng)
    return raw


def _number(width: int, rng: random.Random, order: str = "<") -> bytes:
    if width in (4, 8) and rng.random() < 0.3:
        return struct.pack(order + {4: "f", 8: "d"}[width], rng.choice(REAL))
    value = rng.choice(WHOLE) if rng.random() < 0.8 else rng.randrange(2**16)
    wrapped = (value + 2 ** (8 * width - 1)) % 2 ** (8 * width) - 2 ** (8 * width - 1)
    return struct.pack(order + _WIDTHS[width], wrapped)


def _put(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]


def _bytes(raw: bytes, rng: random.Random) -> bytes:
    """Flip, cut, double, insert, or write a number of any width anywhere."""
    if not raw:
        return rng.randbytes(rng.randrange(40))
    at = rng.randrange(len(raw)) if rng.random() < 0.5 else rng.randrange(min(len(raw), 512))
    length = min(rng.choice((1, 4, 16, 256, 4096)), len(raw) - at)
    choice = rng.randrange(7)
    if choice == 0:
        return _put(raw, at, bytes([raw[at] ^ 1 << rng.randrange(8)]))
    if choice == 1:
        return raw[:at]
    if choice == 2:
        return raw[:at] + raw[at + length :]
    if choice == 3:
        return raw[: at + length] + raw[at:]
    if choice == 4:
        return raw[:at] + rng.randbytes(length) + raw[at:]
    if choice == 5:
        return raw + rng.randbytes(length) if rng.random() < 0.5 else raw + bytes(length)
    return _put(raw, at, _number(rng.choice((1, 2, 4, 8)), rng, rng.choice("<>")))[: len(raw)]


def _nifti(raw: bytes, rng: random.Random) -> bytes:
    """A field of the NIfTI-1 header: sizes, type, scaling, offset, codes, affine, magic."""
    places = [(0, 4), (39, 1), (70, 2), (72, 2), (108, 4), (112, 4), (116, 4), (123, 1), (252, 2), (254, 2), (344, 4)]
    places += [(40 + 2 * i, 2) for i in range(8)] + [(76 + 4 * i, 4) for i in range(8)]
    places += [(256 + 4 * i, 4) for i in range(18)]
    at, width = rng.choice(places)
    return _put(raw, at, _number(width, rng))


def png_file(chunks: Iterable[tuple[bytes, bytes]], start: bytes = b"\x89PNG\r\n\x1a\n") -> bytes:
    """A PNG of chunks, type and content, whose lengths and sums are right."""
    parts = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return start + b"".join(parts)


def _png(raw: bytes, rng: random.Random) -> bytes:
    """A chunk's bytes, type, length or place, with the sum made right."""
    chunks, at = [], 8
    while at + 12 <= len(raw):
        (size,) = struct.unpack(">I", raw[at : at + 4])
        chunks.append([raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]])
        at += 12 + size
    if not chunks:
        return _bytes(raw, rng)
    one = rng.choice(chunks) if rng.random() < 0.5 else chunks[0]
    choice = rng.randrange(6)
    if choice == 0 and one[0] == b"IHDR":
        one[1] = _put(
            one[1], rng.choice((0, 4)), struct.pack(">I", rng.choice((0, 1, 1000, 30000, 2**31 - 1, 2**32 - 1)))
        )
    elif choice == 1 and one[0] == b"IHDR":
        one[1] = _put(one[1], rng.randrange(8, 13), bytes([rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))]))
    elif choice == 2:
        chunks.insert(rng.randrange(len(chunks)), rng.choice(chunks))
    elif choice == 3:
        chunks.remove(one)
    elif choice == 4:
        kind = rng.choice((b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"gAMA"))
        chunks.insert(
            1, [kind, zlib.compress(bytes(10**6)) if rng.random() < 0.3 else rng.randbytes(rng.randrange(80))]
        )
    else:
        one[1] = _bytes(one[1], rng)
    return png_file(((kind, content) for kind, content in chunks), raw[:8])


def _jpeg(raw: bytes, rng: random.Random) -> bytes:
    """A byte or number shortly after a marker: sizes, components, tables."""
    marks = [m.start() for m in re.finditer(rb"\xff[\xc0-\xfe]", raw)]
    if not marks:
        return _bytes(raw, rng)
    at = rng.choice(marks)
    if rng.random() < 0.2:
        return _put(raw, at + 1, bytes([rng.randrange(0xC0, 0xFF)]))
    return _put(raw, at + 2 + rng.randrange(14), _number(rng.choice((1, 2)), rng, ">"))


def _tiff(raw: bytes, rng: random.Random) -> bytes:
    """An entry of the first directory: tag, type, count or value."""
    if len(raw) < 8:
        return _bytes(raw, rng)
    order = ">" if raw[:2] == b"MM" else "<"
    (start,) = struct.unpack(order + "I", raw[4:8])
    count = struct.unpack(order + "H", raw[start : start + 2])[0] if start + 2 <= len(raw) else 0
    if not count:
        return _bytes(raw, rng)
    at, width = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    return _put(raw, start + 2 + 12 * rng.randrange(count) + at, _number(width, rng, order))


def _dicom(raw: bytes, rng: random.Random) -> bytes:
    """An element of explicit VR: its value (as text or number), VR, length or tag."""
    heads = [m.start() for m in re.finditer(rb"[\x02\x08\x10\x18\x20\x28\xe0]\x00..[A-Z][A-Z]", raw[:20000], re.DOTALL)]
    if not heads:
        return _bytes(raw, rng)
    at = rng.choice(heads)
    (size,) = struct.unpack("<H", raw[at + 6 : at + 8].ljust(2, b"\0"))
    choice = rng.randrange(6)
    if choice == 0:
        kinds = (b"UN", b"SQ", b"OB", b"OW", b"DS", b"IS", b"US", b"FD", b"UI", b"ZZ", b"PN", b"AT")
        return _put(raw, at + 4, rng.choice(kinds))
    if choice == 1:
        return _put(raw, at + 6, _number(2, rng))
    if choice == 2:
        return _put(raw, at + 2, _number(2, rng))
    if choice == 3:
        return raw[:at] + raw[at + 8 + size :]
    if choice == 4:
        text = rng.choice(("1\\2", "", "nan", "-1", "1e400", "9" * 16, "a\\b\\c", "0\\0\\0\\0\\0\\0", *TEXT))
        value = text.encode("utf-8", "replace")[:2000]
        value += b" " * (len(value) % 2)
        return raw[: at + 6] + struct.pack("<H", len(value)) + value + raw[at + 8 + size :]
    return _put(raw, at + 8, _number(2, rng)) if size >= 2 else _bytes(raw, rng)


_TAGS = {  # what the reader relies on, by tag, and values that tell of faults of series that were met
    (0x0008, 0x0016): ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.130", ""),
    (0x0008, 0x0060): ("CT", "MR", "PT", ""),
    (0x0008, 0x0070): ("Philips", "GE MEDICAL SYSTEMS", ""),
    (0x0018, 0x0050): ("0.1", "500", ""),
    (0x0018, 0x0081): ("12", "0"),
    (0x0018, 0x0088): ("1", "-5", "0"),
    (0x0020, 0x000E): ("1.2.3", ""),
    (0x0020, 0x0013): ("1", "99", "-1", ""),
    (0x0020, 0x0032): ("20\\0\\0", "0\\0\\1e30", "nan\\0\\0", "1\\2"),
    (0x0020, 0x0037): ("1\\0\\0\\1\\0\\0", "0\\0\\0\\0\\0\\0", "1\\0\\0\\0\\0\\1"),
    (0x0020, 0x0052): ("1.2.9", ""),
    (0x0028, 0x0004): ("MONOCHROME1", "RGB", "PALETTE COLOR"),
    (0x0028, 0x0008): ("1", "3", "9999", "0"),
    (0x0028, 0x0030): ("0\\0", "2", "-2\\2"),
    (0x0028, 0x1052): ("-1024", "x"),
    (0x0028, 0x1053): ("1,5", "0", "2", "-1", "1e300"),
    (0x0054, 0x0081): ("\x05\x00", "\x00\x00"),
    (0x0054, 0x1001): ("CNTS", "GML", "PROPCNTS", ""),
    (0x0054, 0x1102): ("ADMIN", "NONE", ""),
}


def _series_fault(raw: bytes, rng: random.Random) -> bytes:
    """A fault that was met in real series: an attribute is another one or absent, or a file has no preamble."""
    if rng.random() < 0.05:
        return raw[132:]
    tag = rng.choice(list(_TAGS))
    at = raw.find(struct.pack("<HH", *tag), 132)
    if at < 0:
        return _dicom(raw, rng)
    (size,) = struct.unpack("<H", raw[at + 6 : at + 8].ljust(2, b"\0"))
    if rng.random() < 0.2:
        return raw[:at] + raw[at + 8 + size :]
    value = rng.choice(_TAGS[tag]).encode()
    value += b" " * (len(value) % 2)
    return raw[: at + 6] + struct.pack("<H", len(value)) + value + raw[at + 8 + size :]


def _dicom_or_series(raw: bytes, rng: random.Random) -> bytes:
    return (_series_fault if rng.random() < 0.5 else _dicom)(raw, rng)


def _lines(raw: bytes, rng: random.Random) -> bytes:
    """YAML: a value, key, line or indentation."""
    lines = raw.decode("utf-8", "replace").splitlines() or [""]
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    choice = rng.randrange(7)
    if choice <= 2:
        lines[at] = f"{key}{colon} {rng.choice(TEXT)}" if colon else f"{rng.choice(TEXT)}"
    elif choice == 3:
        del lines[at]
    elif choice == 4:
        lines.insert(at, rng.choice(lines))
    elif choice == 5:
        lines[at] = " " * rng.randrange(6) + lines[at].lstrip()
    else:
        inline = re.findall(r"[\w.+-]+", lines[at])
        if inline:
            lines[at] = lines[at].replace(rng.choice(inline), rng.choice(TEXT), 1)
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def _cells(raw: bytes, rng: random.Random) -> bytes:
    """CSV: a cell, a column's name, a row or a field too many."""
    rows = [line.split(",") for line in raw.decode("utf-8", "replace").split("\n")]
    at = rng.randrange(len(rows)) if rng.random() < 0.8 else 0
    row = rows[at]
    choice = rng.randrange(6)
    if choice <= 2:
        row[rng.randrange(len(row))] = rng.choice(TEXT)
    elif choice == 3:
        rows.insert(at, list(rng.choice(rows)))
    elif choice == 4:
        (row.append if rng.random() < 0.5 else lambda _: row.pop())(rng.choice(TEXT))
    else:
        del rows[at]
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


def _json(raw: bytes, rng: random.Random) -> bytes:
    """A value somewhere inside becomes another one, of another type perhaps; deep nesting; NaN."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return _lines(raw, rng)
    new = rng.choice((None, True, 0, -1, 2**70, 1e308, float("nan"), "", *TEXT, [], {}, [[]], {"a": 1}, [None, "x"]))
    if rng.random() < 0.05:
        return b"[" * 3000 + raw + b"]" * 3000
    place = value
    while isinstance(place, dict | list) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.3:
            place[key] = new
            return json.dumps(value).encode("utf-8", "surrogatepass")
        place = place[key]
    return json.dumps(new).encode("utf-8", "surrogatepass")


def _safetensors(raw: bytes, rng: random.Random) -> bytes:
    """The header: a name, type, shape or offset; or its length; or weights that are no numbers."""
    if len(raw) < 8 or rng.random() < 0.15:
        return _put(raw, 0, _number(8, rng))
    (size,) = struct.unpack("<Q", raw[:8])
    if rng.random() < 0.15:
        at = 8 + size + 4 * rng.randrange(max(1, (len(raw) - 8 - size) // 4))
        return _put(raw, at, struct.pack("<f", rng.choice(REAL)))
    header = _json(raw[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + raw[8 + size :]


def _words(raw: bytes, rng: random.Random) -> bytes:
    """A format of 32-bit words (mat): one of them."""
    at = 4 * rng.randrange(max(1, min(len(raw), 4000 if rng.random() < 0.7 else len(raw)) // 4))
    return _put(raw, at, _number(rng.choice((2, 4, 8)), rng))


_KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".nii": _nifti, ".png": _png, ".jpg": _jpeg, ".tif": _tiff, ".dcm": _dicom_or_series, ".yaml": _lines,
    ".csv": _cells, ".tsv": _cells, ".json": _json, ".safetensors": _safetensors,
    ".mat": _words, ".bmp": _words,
}  # fmt: skip
