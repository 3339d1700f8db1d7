"""Changes inside formats, with what guards them (checksums, lengths, compression) made right again."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save

from bpcli.studies.run import modelfile
from hostile.mutations import EDGES, changed, odd_value, text_changed, tree_changed


def json_changed(rng: Random, data: bytes) -> bytes:
    """JSON with a changed tree, or changed text."""
    if rng.random() < 0.3:
        return text_changed(rng, data)
    return json.dumps(tree_changed(rng, json.loads(data)), indent=rng.choice((None, 2))).encode()


def json_lines_changed(rng: Random, data: bytes) -> bytes:
    """One line of lines of JSON changed."""
    lines = data.splitlines()
    i = rng.randrange(len(lines))
    lines[i] = json_changed(rng, lines[i]).replace(b"\n", rng.choice((b" ", b"\n")))
    return b"\n".join(lines) + b"\n"


def yaml_changed(rng: Random, data: bytes) -> bytes:
    """YAML with a changed tree, or changed text."""
    if rng.random() < 0.4:
        return text_changed(rng, data)
    tree = tree_changed(rng, yaml.safe_load(data))
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


# -------------------------------------------------------------------------------------------------------- safetensors
def sealed(meta: Any, tensors: dict[str, Any]) -> bytes:
    """A model file of any meta data and tensors, whose checksum holds."""
    arrays = {name: np.asarray(a, order="C") for name, a in tensors.items()}
    record = {"format_version": 1, "meta": meta, "sha256": ""}
    record["sha256"] = modelfile.digest(json.dumps(record), arrays)
    return bytes(save(arrays, metadata={modelfile.METADATA_KEY: json.dumps(record)}))


def opened(data: bytes) -> tuple[Any, dict[str, Any]]:
    """The meta data and the tensors of a file that is whole."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    tensors = {
        name: np.frombuffer(body[slice(*t["data_offsets"])], modelfile.DTYPES[t["dtype"]]).reshape(t["shape"]).copy()
        for name, t in header.items()
        if name != "__metadata__"
    }
    return json.loads(header["__metadata__"][modelfile.METADATA_KEY])["meta"], tensors


def tensors_changed(rng: Random, tensors: dict[str, Any]) -> dict[str, Any]:
    """One tensor with another type, shape, name or number in it, missing or added."""
    found = dict(tensors)
    name = rng.choice(sorted(found))
    a = found[name]
    way = rng.randrange(8)
    if way == 0:
        del found[name]
    elif way == 1:
        found[rng.choice((name + ".x", name[:-1] or "x", "state.x", "data.inputs.shift", "slot.m"))] = found.pop(name)
    elif way == 2:
        found[name] = a.astype(rng.choice(list(modelfile.DTYPES.values())))
    elif way == 3:
        found[name] = a.reshape(-1)[: max(0, a.size - 1)]
    elif way == 4:
        found[name] = rng.choice((a.reshape(-1), a[..., None], np.zeros(0, a.dtype), np.zeros((), a.dtype), a.T))
    elif way == 5 and a.size and a.dtype.kind == "f":
        b = a.copy()
        b.flat[rng.randrange(a.size)] = rng.choice((np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 1e-40))
        found[name] = b
    elif way == 6:
        other = rng.choice(sorted(found))
        found[name], found[other] = found[other], a
    else:
        found[name] = np.full_like(a, rng.choice((0, 1, 255)))
    return found


def model_changed(rng: Random, data: bytes) -> bytes:
    """A model file or checkpoint: its bytes, its header, or, under a checksum that holds, its meta data or tensors."""
    way = rng.random()
    if way < 0.15:
        return changed(rng, data)
    length = int.from_bytes(data[:8], "little")
    if way < 0.3:
        header = json.dumps(tree_changed(rng, json.loads(data[8 : 8 + length]))).encode()
        return len(header).to_bytes(8, "little") + header + data[8 + length :]
    meta, tensors = opened(data)
    if way < 0.75:
        return sealed(tree_changed(rng, meta), tensors)
    return sealed(meta, tensors_changed(rng, tensors))


# --------------------------------------------------------------------------------------------------------------- NumPy
HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }",
    "{'descr': %s, 'fortran_order': False, 'shape': (8, 2), }",
    "{'descr': '<f4', 'fortran_order': %s, 'shape': (8, 2), }",
    "%s",
    "{'descr': '<f4', 'fortran_order': True, 'shape': %s}",
)
EXPRESSIONS = (
    "()",
    "(-1,)",
    "(0, 2)",
    "(8, 2, 0)",
    "(1 << 3, 2)",
    "(True, 2)",
    "(8.0, 2)",
    "(2**63,)",
    "(9223372036854775807, 9223372036854775807)",
    "(4294967296, 4294967296)",
    "8",
    "None",
    "[8, 2]",
    "('8', 2)",
    "'|O'",
    "'<U4'",
    "'<M8[ns]'",
    "'>f4'",
    "'<c8'",
    "'|V4'",
    "'|S3'",
    "'<f2'",
    "'<f16'",
    "[('a', '<f4'), ('b', '|O')]",
    "[('a', '<f4', (2, 2))]",
    "'<U2147483647'",
    "'<U0'",
    "'|b1'",
    "''",
    "'zz'",
    "b'<f4'",
    "u'\\ud800'",
    "(" * 300 + ")" * 300,
    "[" * 150 + "]" * 150,
    "-" * 500 + "1",
    "1" * 5000,
    "{'a': 1}",
    "lambda: 0",
    "__import__('os')",
    "",
    "'\\x00'",
    "(8, 2L)",
    "'<i8'",
    "'|u1'",
    "1 if",
    "f'{1}'",
    "(8, 2), 'x': 1",
    "8,2),'descr':('<f4'",
    "1e400",
    "(" + "1, " * 70 + ")",
    "(" + "1, " * 30 + "16)",
)


def npy_changed(rng: Random, data: bytes) -> bytes:
    """An .npy file: its bytes, or its header as text with a length that fits."""
    if rng.random() < 0.4:
        return changed(rng, data)
    end = 10 + int.from_bytes(data[8:10], "little")
    template = rng.choice(HEADERS)
    header = (
        template % rng.choice(EXPRESSIONS) if rng.random() < 0.8 else text_changed(rng, data[10:end]).decode("latin-1")
    )
    version = rng.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\0\0"))
    text = (header + "\n").encode("latin-1" if version < b"\3" else "utf-8", "replace")
    length = len(text).to_bytes(2 if version == b"\1\0" else 4, "little") if len(text) < 65536 else b"\xff\xff"
    return data[:6] + version + length + text + data[end:]


def zip_of(entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, inner in entries.items():
            archive.writestr(zipfile.ZipInfo(name), inner, kind)
    return file.getvalue()


FIELDS = {
    b"PK\3\4": (4, 6, 8, 10, 14, 18, 22, 26, 28),
    b"PK\1\2": (4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 34, 36, 38, 42),
    b"PK\5\6": (4, 6, 8, 10, 12, 16, 20),
}
"""Where the fields of a zip archive's records are."""


def zip_changed(rng: Random, data: bytes) -> bytes:
    """A zip archive: its bytes, a field of one of its headers, or an array in it."""
    way = rng.random()
    if way < 0.25:
        return changed(rng, data)
    if way < 0.7:
        found = bytearray(data)
        mark = rng.choice(list(FIELDS))
        starts = [i for i in range(len(data) - 4) if data[i : i + 4] == mark]
        if starts:
            at = rng.choice(starts) + rng.choice(FIELDS[mark])
            width = rng.choice((1, 2, 4))
            old = int.from_bytes(data[at : at + width], "little")
            new = rng.choice((*EDGES, old ^ 1 << rng.randrange(8 * width), old + 1, old - 1, 9, 12, 14, 93, 99))
            found[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
        return bytes(found)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(entries))
    entries[name] = npy_changed(rng, entries[name])
    if rng.random() < 0.1:
        entries[rng.choice(("x.npy", "../x.npy", "\U0001f600.npy", "x"))] = entries[name]
    return zip_of(entries, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))


# ---------------------------------------------------------------------------------------------------- gzip, IDX, images
def gzip_changed(rng: Random, data: bytes) -> bytes:
    """A gzip file: its bytes, or what is in it."""
    if rng.random() < 0.5:
        return changed(rng, data)
    return gzip.compress(changed(rng, gzip.decompress(data)), mtime=0)


def idx_changed(rng: Random, data: bytes) -> bytes:
    """An IDX file: its bytes, mostly those of its header."""
    if rng.random() < 0.5:
        return changed(rng, data)
    axes = rng.choice((0, 1, 2, 3, 4, 33, 64, 65, 255))
    sizes = [rng.choice((*EDGES, 8, 4, 4)) % 2**32 for _ in range(axes)]
    head = bytes((0, 0, rng.choice((8, 9, 11, 12, 13, 14, 0, 255)), axes)) + struct.pack(f">{axes}I", *sizes)
    return head + data[16:]


def png_changed(rng: Random, data: bytes) -> bytes:
    """A PNG file: its bytes, or inside one of its chunks, whose checksum is made right again."""
    if rng.random() < 0.4:
        return changed(rng, data)
    chunks, at = [], 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    i = rng.randrange(len(chunks))
    kind, body = chunks[i]
    if kind == b"IDAT" and rng.random() < 0.5:
        body = zlib.compress(changed(rng, zlib.decompress(body)))
    else:
        body = changed(rng, body)
    extra = rng.choice((b"", b"iCCP", b"zTXt", b"tRNS", b"PLTE", b"eXIf", b"acTL", b"fdAT", b"gAMA"))
    chunks[i] = (kind, body)
    if extra:
        chunks.insert(rng.randrange(1, len(chunks)), (extra, body[: rng.randrange(40)]))
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return data[:8] + b"".join(packed)


# --------------------------------------------------------------------------------------------------- tables, arguments
def table_changed(rng: Random, data: bytes) -> bytes:
    """A CSV file: a cell of it, or its bytes."""
    if rng.random() < 0.5:
        return text_changed(rng, data)
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        i = rng.randrange(len(lines))
        cells = lines[i].split(b",")
        value = rng.choice((*CELLS, odd_value(rng)))
        cells[rng.randrange(len(cells))] = (
            value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        )[:3000]
        lines[i] = rng.choice((b",", b",", b",", b";", b"\t")).join(cells)
    return rng.choice((b"\n", b"\n", b"\r\n", b"\r")).join(lines)


CELLS = (
    b"",
    b"NA",
    b'"',
    b'""',
    b'"a',
    b'a"b"c',
    b"'1",
    b"1,5",
    b"1 234,5",
    b"31/12/2025",
    b"2025-13-01",
    b"0000-00-00",
    b"99:99",
    b"2025-01-01T00:00:00Z",
    b"9999999-01-01",
    b"12 kg",
    b"5%",
    b"\xe2\x82\xac5",
    b"1e999",
    b"-0",
    b"0x1F",
    b"=1+1",
    b"\x00",
    b"\x1a",
    b"\xff",
    b"\xd9\xa1",
    b"1_000",
    b"1e5000000000",
    b"." * 100,
    b"9" * 400,
    b"(5)",
    b"12:30 pm",
    b"Feb 30",
    b"30 Feb 2024",
    b"\xc2\xb2",
    b"+" * 9,
)


def argument_changed(rng: Random, data: bytes) -> bytes:
    """A word of the command line: no NUL can stand in it."""
    found = text_changed(rng, data)
    if rng.random() < 0.2:
        found += rng.choice((b"=" * 40, b".a" * 70, b".\xff", b"[0]", b"{" * 200, b"\n", b" "))
    return found.replace(b"\0", b"\xff")[:100_000]
