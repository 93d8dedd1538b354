"""Keys that the file can hold and this version does not carry out yet: said plainly, because what is ignored silently is taken for done."""

from __future__ import annotations

from collections.abc import Iterator

from pkiops.environment.finding import Finding
from pkiops.environment.models import Environment

# keys of an authority, each with what to do instead
_INSTEAD = {
    "renew_from": "remove it, and declare a new generation",
}


def check_unsupported(environment: Environment) -> Iterator[Finding]:
    """A finding for every such key that is given."""
    for label, authority in environment.authorities.items():
        for key, instead in _INSTEAD.items():
            if getattr(authority, key) is not None:
                message = f"this key is not supported by this version; {instead}"
                yield Finding(("authorities", label, key), message, "env.unsupported", at_key=True)
