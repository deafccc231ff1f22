"""Hypothesis strategies of whole files: sound in form where that is cheap, and hostile in what they hold."""

import csv
import io
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from chaos.mutate import REAL, TEXT, WHOLE, png_file

texts = st.one_of(st.sampled_from(TEXT), st.text(max_size=12))
scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(WHOLE), st.integers(-9, 9), st.sampled_from(REAL), texts
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
_reals = st.one_of(st.sampled_from(REAL), st.floats(-9, 9, width=32))


def _whole(low: int, high: int) -> st.SearchStrategy[int]:
    """Numbers of a range; the odd ones of :data:`WHOLE` that are in it too."""
    return st.one_of(st.integers(low, high), st.sampled_from([n for n in WHOLE if low <= n <= high]))


@st.composite
def nifti_files(draw: Any) -> bytes:
    """NIfTI-1: a header with every field that is read, and 0 to 600 bytes of voxels."""
    shorts = _whole(-(2**15), 2**15 - 1)
    small = st.integers(1, 6)
    size = draw(st.sampled_from((348, 348, 348, 540, 0)))
    dim = [draw(st.sampled_from((3, 3, 4, 0, 7))), *(draw(st.one_of(small, small, small, shorts)) for _ in range(7))]
    kind, bits = draw(st.sampled_from(((16, 32), (4, 16), (2, 8), (64, 64), (32, 64), (128, 24), (1, 1), (16, 8))))
    header = bytearray(348)
    struct.pack_into("<i", header, 0, size)
    struct.pack_into("<8h", header, 40, *dim)
    struct.pack_into("<2h", header, 70, kind, bits)
    struct.pack_into("<8f", header, 76, *(draw(_reals) for _ in range(8)))
    struct.pack_into("<3f", header, 108, draw(st.sampled_from((352.0, 352.0, *REAL))), draw(_reals), draw(_reals))
    struct.pack_into("<2h", header, 252, draw(st.integers(0, 4)), draw(st.integers(0, 4)))
    struct.pack_into("<18f", header, 256, *(draw(_reals) for _ in range(18)))
    header[344:348] = draw(st.sampled_from((b"n+1\0", b"n+1\0", b"ni1\0", b"n+2\0", b"\0\0\0\0")))
    return bytes(header) + bytes(4) + draw(st.binary(max_size=600))


@st.composite
def png_files(draw: Any) -> bytes:
    """PNG: any size, depth and kind of colour, lines that fit them or not, further chunks anywhere."""
    width, height = (draw(st.one_of(st.integers(1, 9), _whole(0, 2**31 - 1))) for _ in range(2))
    depth, colour = draw(st.sampled_from((1, 2, 4, 8, 16, 3))), draw(st.sampled_from((0, 2, 3, 4, 6, 1)))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, draw(st.integers(0, 2)))
    row = 1 + width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1) // 8
    lines = bytes(row * height) if row * height < 10_000 and draw(st.booleans()) else draw(st.binary(max_size=90))
    names = st.sampled_from(
        (b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"gAMA", b"pHYs", b"sBIT")
    )
    more = draw(st.lists(st.tuples(names, st.binary(max_size=40)), max_size=3))
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return png_file(draw(st.permutations(chunks)) if draw(st.integers(0, 9)) == 0 else chunks)


def yaml_files(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """YAML of a mapping whose keys are known, with other values, or of anything."""
    return st.one_of(mappings(sound), values).map(
        lambda value: yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    )


def json_files() -> st.SearchStrategy[bytes]:
    """JSON of a sidecar: fields that are read and others, NaN and infinity too."""
    known = st.sampled_from(("Units", "RepetitionTime", "GeneratedBy", "Sources", "DecayFactor", "IntensityFactor"))
    fields = st.dictionaries(st.one_of(known, known, texts), values, max_size=5)
    return st.one_of(fields, values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))


@st.composite
def mappings(draw: Any, sound: dict[str, Any]) -> dict[str, Any]:
    """A mapping with one to three of its values, at any depth, changed, gone, or given to another key."""
    changed = json.loads(json.dumps(sound, default=str))
    for _ in range(draw(st.integers(1, 3))):
        place = changed
        while True:
            if not place:
                break
            key = draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or draw(st.booleans()):
                if draw(st.integers(0, 4)):
                    place[key] = draw(values)
                else:
                    place[draw(texts)] = place.pop(key)
                break
            place = place[key]
    return dict(changed)


@st.composite
def csv_files(draw: Any, header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """A table whose columns are some of those that are read, in any order, with sound and hostile cells."""
    columns = draw(st.lists(st.one_of(st.sampled_from(list(header)), texts), min_size=1, max_size=len(header) + 2))
    columns = list(header) if draw(st.booleans()) else columns
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in draw(st.lists(st.sampled_from(list(rows)), max_size=4)):
        cells = [draw(texts) if draw(st.integers(0, 5)) == 0 else cell for cell in row]
        writer.writerow(cells[: draw(st.sampled_from((len(cells), len(cells), len(cells), 1)))])
    return buffer.getvalue().encode("utf-8", "surrogatepass")
