"""The published index of an environment's authorities (``ENV/index.json`` in the trust bucket): references and chains, in one read.

What this module decides: what the index holds, how it is written and read back, and when a reader may rely on an entry: account, region, environment,
authority and subject must match the environment file, the file must be the one the index was made for, and the chain must end in the root that the
file pins. Nobody signs the index; without a pinned root it counts for nothing. Writing it is left to ``pkiops.ca.index``.

Pure. What is read is hostile: bounded before it is parsed, and every problem is a VerificationFailed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pkiops.environment.hierarchy import declaration, root_of
from pkiops.environment.homes import is_at_home
from pkiops.environment.models import Environment
from pkiops.environment.subjects import subject_oids
from pkiops.errors import InputError, VerificationFailed
from pkiops.homes import home_of_reference

if TYPE_CHECKING:
    from cryptography import x509

MAX_BYTES = 8 * 1024 * 1024
_MAX_ENTRIES = 2000
_MAX_CHAIN = 5
_MAX_TEXT = 512
# a pin is set by a commit that follows the apply which printed it, and roles and endpoints are ways to the same CAs: none makes the index a stale one
_NOT_PART_OF_THE_DIGEST = {"sha256", "role_arn", "access", "endpoint_urls"}


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedAuthority:
    """One generation of one authority: its reference (ARN), and its certificate with those above it, DER, root last."""

    label: str
    generation: int
    reference: str
    chain: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityIndex:
    """What an index says; ``digest`` is that of the ``backend`` and ``authorities`` it was made for."""

    environment: str
    account: str
    region: str
    digest: str
    authorities: tuple[IndexedAuthority, ...]


def index_key(environment: str) -> str:
    """The key of the index in the trust bucket."""
    return f"{environment}/index.json"


def index_digest(environment: Environment) -> str:
    """SHA-256 (hex) of the file's ``backend`` and ``authorities``, those kept elsewhere too; pins, roles and endpoints left out."""
    parts = [_plain(environment.backend), _plain(environment.authorities)]
    if environment.external_authorities:
        parts.append(_plain(environment.external_authorities))
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def encode_index(index: AuthorityIndex) -> bytes:
    """The index as JSON, each certificate once; equal indexes give equal bytes."""
    certificates = {_digest(der): base64.b64encode(der).decode() for one in index.authorities for der in one.chain}
    body = {
        "format_version": 1,
        "kind": "authority-index",
        **asdict(index),
        "authorities": [
            {
                "authority": one.label,
                "generation": one.generation,
                "reference": one.reference,
                "chain": [_digest(der) for der in one.chain],
            }
            for one in sorted(index.authorities, key=lambda one: (one.label, one.generation))
        ],
        "certificates": certificates,
    }
    return json.dumps(body, indent=1, sort_keys=True).encode() + b"\n"


def decode_index(data: bytes) -> AuthorityIndex:
    """The index as it was read.

    Raises:
        VerificationFailed: it is not one (code ``index.unreadable``).
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it is too large")
        body = json.loads(data)
        if not isinstance(body, dict) or body.get("kind") != "authority-index" or body.get("format_version") != 1:
            raise ValueError("it is not an authority index of version 1")
        entries = body["authorities"]
        if not isinstance(entries, list) or len(entries) > _MAX_ENTRIES:
            raise ValueError("its authorities are no list, or too many")
        return AuthorityIndex(
            environment=_text(body, "environment"),
            account=_text(body, "account"),
            region=_text(body, "region"),
            digest=_text(body, "digest"),
            authorities=tuple(_entry(one, body["certificates"]) for one in entries),
        )
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise VerificationFailed(f"the index cannot be read: {error}", code="index.unreadable") from error


def trusted_entry(
    index: AuthorityIndex, environment: Environment, label: str, *, at: datetime, generation: int | None = None
) -> IndexedAuthority:
    """The entry of an authority's generation, if the index may be relied on for it.

    Args:
        index: what was read.
        environment: the environment file.
        label: the authority.
        at: the moment (aware) as of which the chain must be valid.
        generation: the one in the file unless given; of an older one the file tells neither certificate nor subject.

    Raises:
        VerificationFailed: codes ``index.no-pin`` (the file pins no root), ``index.foreign`` (account, region or environment), ``index.stale``
            (made for another file, or without that authority), ``index.pin``, ``index.subject``, and those of the chain.
    """
    from pkiops.x509.chain import verify_ca_chain

    root = root_of(environment, label)
    pin = declaration(environment, root).sha256
    if pin is None:
        raise _refused("index.no-pin", f"the file does not pin the root {root}, so nothing vouches for the index")
    backend = environment.backend
    named = (index.environment, index.account, index.region)
    if named != (environment.environment, backend.account, backend.region):
        raise _refused("index.foreign", "the index is of another environment, account or region")
    if index.digest != index_digest(environment):
        raise _refused("index.stale", "the index was made for another version of the environment file")
    declared = environment.authorities[label]
    generation = declared.generation if generation is None else generation
    found = [one for one in index.authorities if (one.label, one.generation) == (label, generation)]
    if len(found) != 1:
        raise _refused("index.stale", f"the index names {len(found)} CAs for {label} generation {generation}")
    entry = found[0]
    if home_of_reference(entry.reference) is None or not is_at_home(environment, label, generation, entry.reference):
        raise _refused("index.foreign", "the index names a CA of another account or region than the file")
    chain = _certificates(entry.chain, label)
    verify_ca_chain(chain, at=at)
    if _digest(entry.chain[-1]) != pin:
        raise _refused(
            "index.pin",
            f"the index's chain of {label} ends in {_digest(entry.chain[-1])}, not in the root that the file pins ({pin})",
        )
    if generation != declared.generation:
        return entry
    if declared.sha256 is not None and _digest(entry.chain[0]) != declared.sha256:
        raise _refused("index.pin", f"the index's certificate of {label} is not the one that the file pins")
    if sorted(_attributes(chain[0])) != sorted(subject_oids(declared.subject)):
        raise _refused("index.subject", f"the index's certificate of {label} is of another subject")
    return entry


def _certificates(chain: tuple[bytes, ...], label: str) -> list[x509.Certificate]:
    """The certificates of a chain, with nothing left in them that only its later users would find unreadable."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from pkiops.x509.certificate import load_certificate

    found = []
    for der in chain:
        try:
            certificate = load_certificate(der, f"the index's chain of {label}")
        except InputError as error:
            raise _refused("index.unreadable", error.message) from error
        # what is compared with the pins is what was read: DER, and nothing around it
        if certificate.public_bytes(Encoding.DER) != der:
            raise _refused("index.unreadable", f"the index's chain of {label} is not in DER")
        found.append(certificate)
    if not found:
        raise _refused("index.unreadable", f"the index's chain of {label} is empty")
    return found


def _digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _attributes(certificate: x509.Certificate) -> list[tuple[str, str]]:
    return [(one.oid.dotted_string, str(one.value)) for one in certificate.subject]


def _refused(code: str, message: str) -> VerificationFailed:
    return VerificationFailed(message, code=code)


def _entry(body: Any, certificates: Any) -> IndexedAuthority:
    chain, generation = body["chain"], body["generation"]
    if not isinstance(chain, list) or not 1 <= len(chain) <= _MAX_CHAIN:
        raise ValueError("a chain is no list of one to five certificates")
    if type(generation) is not int:
        raise ValueError("a generation is no number")
    return IndexedAuthority(
        label=_text(body, "authority"),
        generation=generation,
        reference=_text(body, "reference"),
        chain=tuple(base64.b64decode(certificates[digest], validate=True) for digest in chain),
    )


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body[key]
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError(f"{key} is no text, or too long")
    return value


@cache
def _digested(kind: Any) -> tuple[str, ...] | None:
    """The fields of a model that count; None for everything else."""
    if not is_dataclass(kind):
        return None
    return tuple(one.name for one in fields(kind) if one.name not in _NOT_PART_OF_THE_DIGEST)


def _plain(value: Any) -> Any:
    """A model as JSON-ready data; fields that say nothing are left out, so that a new version's new keys change no digest."""
    kind: Any = type(value)
    names = _digested(kind)
    if names is not None:
        pairs = ((name, getattr(value, name)) for name in names)
        return {name: _plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int)) else str(value)
