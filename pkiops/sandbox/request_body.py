"""The body of an HTTP request, whole or not at all.

What this module decides: how much is read, and that a body which ends early or is framed wrongly is refused: half an object must not be stored.
Chunks are read here because werkzeug's own reader shrinks the buffer it was lent when a client hangs up within one, which ends the process.
"""

from __future__ import annotations

import re
from typing import IO

# a CRL of the service may have a million entries: 53 MB, 72 in PEM, and those of several CAs are one object
MAX_BYTES = 256 * 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,18}")
# RFC 9112 section 7.1: a size in hexadecimal, then extensions, which nobody uses and nobody has to understand
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST_LINE = 1024
_MOST_TRAILERS = 100


class BodyRefused(Exception):
    """``status`` is the line to answer with; where the next request begins is not known."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def read_body(stream: IO[bytes], *, length: str, chunked: bool) -> bytes:
    """The whole body.

    Args:
        stream: what follows the headers, as it came over the wire.
        length: the Content-Length, empty if there is none.
        chunked: whether it comes in chunks; the length does not count then.

    Raises:
        BodyRefused: too large, cut off, too late, or not framed as HTTP has it.
    """
    if not chunked and not _LENGTH.fullmatch(length or "0"):
        raise _malformed()
    try:
        return _read_chunks(stream) if chunked else _read_exactly(stream, _bounded(int(length or "0")))
    except TimeoutError as error:
        raise BodyRefused("408 Request Timeout") from error


def _read_chunks(stream: IO[bytes]) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while size := _chunk_size(stream):
        total = _bounded(total + size)
        pieces.append(_read_exactly(stream, size))
        if stream.readline(_LONGEST_LINE) not in {b"\r\n", b"\n"}:
            raise _malformed()
    for _ in range(_MOST_TRAILERS):
        line = stream.readline(_LONGEST_LINE)
        if line in {b"\r\n", b"\n"}:
            return b"".join(pieces)
        if not line.endswith(b"\n"):
            break
    raise _malformed()


def _chunk_size(stream: IO[bytes]) -> int:
    match = _CHUNK_SIZE.fullmatch(stream.readline(_LONGEST_LINE))
    if match is None:
        raise _malformed()
    return int(match[1], 16)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _malformed()
    return data


def _bounded(size: int) -> int:
    if size > MAX_BYTES:
        raise BodyRefused("413 Content Too Large")
    return size


def _malformed() -> BodyRefused:
    return BodyRefused("400 Bad Request")
