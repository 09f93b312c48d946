"""What real nodes sent and never should have: found nowhere in the database, its dump, or its write-ahead log."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from tests.conftest import Pair
from tests.integration.ingest.server import Server

LEAKING = {
    "admin_key",
    "mon_key",
    "radosgw_key",
    "bootstrap_osd_key",
    "fsid",
    "serial",
    "uuid",
    "company",
    "email",
}
MAGIC = b"\x28\xb5\x2f\xfd"
PAGE = 8192


def leaked_values(recorded: Path) -> set[str]:
    """Every value of the recorded traffic that must not be stored."""
    found: set[str] = {"host.domain.tld"}

    def walk(value: Any, inside: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                leaks = name in LEAKING or (inside == "user_information" and name == "name")
                if leaks and isinstance(inner, str) and len(inner) > 3:
                    found.add(inner)
                walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, inside)

    for path in (recorded / "nailgun").glob("*-POST-*.json"):
        walk(json.loads(json.loads(path.read_text())["request"]["body"]))
    # A filler that manufacturers print in many fields, and no secret.
    found.discard("To be filled by O.E.M.")
    return found


def spellings(values: set[str]) -> list[bytes]:
    """UTF-8, and as JSON escapes it; lower case."""
    texts = {value.encode() for value in values} | {json.dumps(value)[1:-1].encode() for value in values}
    return [text.lower() for text in texts]


def inflated_frames(raw: bytes) -> Iterator[bytes]:
    """The content of everything in the bytes that begins like a zstd frame, as far as it can be read."""
    position = raw.find(MAGIC)
    while position >= 0:
        reader = zstandard.ZstdDecompressor().decompressobj()
        content = b""
        try:
            for start in range(position, len(raw), 256):
                content += reader.decompress(raw[start : start + 256])
                if reader.eof:
                    break
        except zstandard.ZstdError:
            pass
        if content:
            yield content
        position = raw.find(MAGIC, position + 4)


def wal_records(folder: Path) -> bytes:
    """The write-ahead log without its page headers, so that what spans pages is in one piece."""
    pieces = []
    for segment in sorted(path for path in folder.iterdir() if len(path.name) == 24):
        content = segment.read_bytes()
        for start in range(0, len(content), PAGE):
            (info,) = struct.unpack_from("<H", content, start + 2)
            pieces.append(content[start + (40 if info & 2 else 24) : start + PAGE])
    return b"".join(pieces)


@pytest.mark.slow
def test_no_leaked_value_is_in_the_dump_or_the_wal(
    recorded: Path, own_pair: Pair, serve: Callable[..., Server]
) -> None:
    """After the recorded traffic, good and refused, plain and inflated: no leaked value, in any spelling.

    That the search finds things is shown by values which are kept.
    """
    leaks = spellings(leaked_values(recorded))
    assert len(leaks) >= 6
    server = serve(own_pair.dsn("fuel_ingest"))
    with server.client() as client:
        for path in sorted((recorded / "nailgun").glob("*-POST-*.json")):
            request = json.loads(path.read_text())["request"]
            client.post(request["path"], content=request["body"].encode())
            # The same again where it goes to quarantine: spoilt for the schema, spoilt for the parser.
            client.post(
                request["path"], content=request["body"].replace("master_node_uid", "node_uid").encode()
            )
            client.post(
                request["path"], content=request["body"].replace("clusters_num", "x\\u0000", 1).encode()
            )
            client.post(request["path"], content=request["body"].replace("{", '{"x":1,', 1).encode())
    with psycopg.connect(own_pair.dsn()) as connection:
        reasons = dict(
            connection.execute("select reason_code, count(*) from collector.quarantine group by 1").fetchall()
        )
        assert {"schema", "broken_envelope", "nul_character"} <= set(reasons)
        rows = connection.execute(
            "select payload from collector.landing union all select payload from collector.quarantine"
            " where payload is not null"
        ).fetchall()
        reasons_text = str(
            connection.execute("select reason, uid from collector.quarantine").fetchall()
        ).encode()
        connection.execute("select pg_switch_wal()")
    inflate = zstandard.ZstdDecompressor().decompress
    stored = b"\n".join(inflate(payload) for (payload,) in rows).lower()
    binaries = own_pair.primary.binaries
    dump = subprocess.run(
        [binaries.program("pg_dump"), own_pair.dsn("postgres")], capture_output=True, check=True
    ).stdout.lower()
    wal = wal_records(own_pair.primary.data / "pg_wal")
    wal_inflated = b"\n".join(inflated_frames(wal)).lower()
    places = {
        "stored": stored,
        "dump": dump,
        "wal": wal.lower(),
        "wal, inflated": wal_inflated,
        "log": server.log.read_bytes().lower(),
        "reasons": reasons_text.lower(),
    }
    for place, content in places.items():
        for leak in leaks:
            assert leak not in content, f"{leak!r} is in the {place}"
    assert stored.count(b'"libvirt_type": "qemu"') > 5
    # Long payloads are cut into TOAST chunks in the log; rows are never updated, so those are the stored ones.
    assert b'"resource_type": "flavor"' in wal_inflated
    assert b"42568c01-c841-4797-a1e4-15216cbb6e91" in dump
    assert b"42568c01-c841-4797-a1e4-15216cbb6e91" in wal
