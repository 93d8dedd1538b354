"""The presentation language of TLS (RFC 8446 section 3): numbers, and vectors whose length is written before them.

What this module decides: that nothing is read beyond the end of what holds it. The other side wrote the lengths.
"""

from __future__ import annotations


class MalformedMessage(ValueError):
    """A message of TLS that breaks its own rules; the text says where."""


class Reader:
    """Reads a message, or a vector in one, from its beginning; ``what`` it is stands in errors. It is true while something is left."""

    def __init__(self, data: bytes, what: str) -> None:
        self._left = memoryview(data)
        self._what = what

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self, size: int) -> bytes:
        """The next ``size`` octets."""
        if size > len(self._left):
            raise MalformedMessage(f"{self._what} ends too early")
        taken, self._left = bytes(self._left[:size]), self._left[size:]
        return taken

    def number(self, size: int) -> int:
        """The number in the next ``size`` octets."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, what: str) -> Reader:
        """The vector whose length is written in ``size`` octets."""
        return Reader(self.take(self.number(size)), what)

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._left))

    def end(self) -> None:
        """Refuse what is left over."""
        if self._left:
            raise MalformedMessage(f"{self._what} has {len(self._left)} octets too many")
