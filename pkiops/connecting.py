"""TCP connections in bounded time, to hosts of several addresses.

What this module decides: that a deadline is for all addresses of a host together, each with its share of what is left; ``socket.create_connection``
gives the whole time to every one, and a CDN has a dozen. How long the resolver takes is the operating system's business. What is said over the
connection is left to the caller.
"""

from __future__ import annotations

import socket

from pkiops.clock import Clock


def connect(where: tuple[str, int], clock: Clock, deadline: float) -> socket.socket:
    """A connection to the first address of ``where`` (host and port) that takes one; its timeout is what is left until ``deadline`` (of the monotonic
    clock, seconds).

    Raises:
        OSError: nobody takes it: the last reason (``TimeoutError``: in time; ``socket.gaierror``: the host has no address).
        UnicodeError: the host cannot be a name (an empty label, or one of more than 63 octets).
    """
    addresses = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)
    failure = OSError("the host has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(remaining(clock, deadline) / (len(addresses) - number))
            connected.connect(address)
            connected.settimeout(remaining(clock, deadline))
        except OSError as error:
            connected.close()
            failure = error
        else:
            return connected
    raise failure


def remaining(clock: Clock, deadline: float) -> float:
    """Seconds until ``deadline`` (of the monotonic clock).

    Raises:
        TimeoutError: it has passed.
    """
    left = deadline - clock.monotonic()
    if left <= 0:
        raise TimeoutError("no complete answer in time")
    return left
