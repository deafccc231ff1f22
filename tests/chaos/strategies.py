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
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(WHOLE), st.integers(-9, 9), st.sampled_from(REAL), texts)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
_reals = st.one_of(st.sampled_from(REAL), st.floats(-9, 9, width=32))


def _whole(low: int, high: int) -> st.SearchStrategy[int]:
    """Numbers of a range; the odd ones of :data:`WHOLE` that are in it too."""
    return st.one_of(st.integers(low, high), st.sampled_from([n for n in WHOLE if low <= n <= high]))


@st.composite
def nifti_files(draw: Any) -> bytes:
    """NIfTI-1: a header with every field that is read, each sound or odd, and voxels that fit it or not."""
    odd = draw(st.sampled_from((0, 1, 5)))  # tenths of the fields

    def pick(sound: Any, other: st.SearchStrategy[Any]) -> Any:
        return draw(other) if draw(st.integers(0, 9)) < odd else sound

    shorts = _whole(-(2**15), 2**15 - 1)
    kinds = st.sampled_from(((4, 16), (2, 8), (64, 64), (32, 64), (128, 24), (1, 1), (16, 8)))
    edges = [pick(draw(st.integers(1, 4)), shorts) for _ in range(3)]
    dim = [pick(3, st.sampled_from((0, 1, 2, 4, 7))), *edges, *(pick(1, shorts) for _ in range(4))]
    header = bytearray(348)
    struct.pack_into("<i", header, 0, pick(348, st.sampled_from((540, 0, -1))))
    struct.pack_into("<8h", header, 40, *dim)
    struct.pack_into("<2h", header, 70, *pick((16, 32), kinds))
    struct.pack_into("<8f", header, 76, *(pick(1.0, _reals) for _ in range(8)))
    struct.pack_into("<3f", header, 108, pick(352.0, _reals), pick(1.0, _reals), pick(0.0, _reals))
    struct.pack_into("<2h", header, 252, pick(0, st.integers(0, 4)), pick(1, st.integers(0, 4)))
    struct.pack_into("<6f", header, 256, *(pick(0.0, _reals) for _ in range(6)))
    struct.pack_into("<12f", header, 280, *(pick(2.0 * (k % 5 == 0), _reals) for k in range(12)))
    header[344:348] = pick(b"n+1\0", st.sampled_from((b"ni1\0", b"n+2\0", b"\0\0\0\0")))
    return bytes(header) + bytes(4) + pick(bytes(256), st.binary(max_size=600))


@st.composite
def png_files(draw: Any) -> bytes:
    """PNG: any size, depth and kind of colour, lines that fit them or not, further chunks anywhere."""
    sound = draw(st.booleans())
    edges = st.integers(1, 9) if sound else st.one_of(st.integers(1, 9), _whole(0, 2**31 - 1))
    width, height = draw(edges), draw(edges)
    depth = 8 if sound else draw(st.sampled_from((1, 2, 4, 8, 16, 3)))
    colour = draw(st.sampled_from((0, 2, 4, 6) if sound else (0, 2, 3, 4, 6, 1)))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0 if sound else draw(st.integers(0, 2)))
    row = 1 + -(-width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1) // 8)
    fits = row * height < 10_000 and (sound or draw(st.booleans()))
    lines = bytes(row * height) if fits else draw(st.binary(max_size=90))
    names = st.sampled_from((b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"gAMA", b"pHYs"))
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
