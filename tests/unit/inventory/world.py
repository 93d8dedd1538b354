"""Authorities and ledger entries to make inventories of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.identity import identity_tags
from pkiops.backends.interface import AuthorityStatus, AuthorityType, CrlSettings, ObservedAuthority
from pkiops.errors import NotFound, PkiopsError
from pkiops.ledger.interface import Entry, EntryState
from tests import builders
from tests.fakes.authority import environment

AT = builders.AT
ENVIRONMENT = environment()
ROOT_SUBJECT = {"organization": "Example Ltd", "common_name": "Example Test Root CA G1"}
CLIENTS_SUBJECT = {"organization": "Example Ltd", "common_name": "Example Test Clients CA G1"}


def der(issued: builders.Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


@dataclass
class Account:
    """ReadsAuthorities over what was put into it; a chain may be an error. Publishes CRLs."""

    observed: list[ObservedAuthority] = field(default_factory=list)
    chains: dict[str, tuple[bytes, ...] | PkiopsError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(
        self, name: str, tags: dict[str, str] | None, chain: tuple[bytes, ...] | PkiopsError = (), **changes: Any
    ) -> str:
        reference = f"arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/{name}"
        settings: dict[str, Any] = {
            "type": AuthorityType.SUBORDINATE,
            "status": AuthorityStatus.ACTIVE,
            "subject": CLIENTS_SUBJECT,
            "key_algorithm": "EC_prime256v1",
            "signing_algorithm": "SHA256WITHECDSA",
            "usage_mode": "GENERAL_PURPOSE",
            "created_at": AT - timedelta(days=400),
            "not_before": AT - timedelta(days=400),
            "not_after": AT + timedelta(days=10),
            "crl": CrlSettings(bucket="example-test-crl", host="pki.test.example.com", validity_days=7),
            "owner_account": "111122223333",
        }
        self.observed.append(ObservedAuthority(reference=reference, tags=tags, **{**settings, **changes}))
        self.chains[reference] = chain
        return reference

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return tuple(self.observed)

    def describe_authority(self, reference: str) -> ObservedAuthority:
        for one in self.observed:
            if one.reference == reference:
                return one
        raise NotFound(reference)

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        self.asked.append(reference)
        answer = self.chains[reference]
        if isinstance(answer, PkiopsError):
            raise answer
        return answer

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        return f"http://pki.test.example.com/crl/{authority.reference.rpartition('/')[2]}.crl"

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        del authority
        return None


def tags(label: str, generation: int = 1) -> dict[str, str]:
    return identity_tags("test", label, generation)


def entry(number: int = 1, chain: Sequence[bytes] = (), **changes: Any) -> Entry:
    settings: dict[str, Any] = {
        "id": f"{number:064x}-1",
        "state": EntryState.ISSUED,
        "created_at": AT,
        "updated_at": AT,
        "environment": "test",
        "profile": "service",
        "request_key": f"{number:064x}",
        "attempt": 1,
        "authority": "clients",
        "generation": 1,
        "chain": tuple(chain),
    }
    return Entry(**{**settings, **changes})


def leaf(issuer: builders.Issued, *, ends: datetime = AT + timedelta(days=30), **changes: Any) -> bytes:
    return der(builders.end_entity(issuer, not_after=ends, **changes))
