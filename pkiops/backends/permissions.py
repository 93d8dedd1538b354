"""What somebody may do with certificate authorities, in words that no cloud owns, and the Protocol of a backend that knows them as permissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pkiops.homes import Home


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningRight:
    """CA certificates that somebody may have signed: of roots for themselves, or of what is below; ``constrained`` with name constraints."""

    is_root: bool
    path_length: int | None
    constrained: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuingRight:
    """End entity certificates that somebody may have issued: from one authority (by ``reference`` if the file pins it), with exactly these usages."""

    authority: str
    usages: tuple[str, ...]
    reference: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityRights:
    """What somebody may do with the certificate authorities of one environment; what is not said is not allowed.

    Args:
        environment: whose.
        find: list what exists, and tell which are the environment's.
        looks_at: references of CAs that are asked for by name, with their certificates and chains: the file pins them.
        read: their certificates and chains; ``read_untagged`` those of CAs that are nobody's yet, too.
        keep: make, tag, install, enable and disable them, and change their revocation settings.
        retag: change tags that do not identify them.
        share: read and change their resource policies.
        serve_acm: read and change what ACM may do with them; ``see_acm`` only read it.
        signs: have CA certificates signed.
        issues: have end entity certificates issued.
        revokes: have certificates revoked.
        crl_bucket: the bucket they publish in; the service wants whoever keeps a CA or revokes to have rights there.
        retires: delete and restore them, and have reports of what they issued.
        audits: have such reports of those that issue.
        knows_caller: ask which policies roles of the account have.
        homes: where the authorities are, all in one account; the backend's own home where none is given.
        assumes: roles of other accounts that somebody may assume.
    """

    environment: str
    find: bool = True
    read: bool = True
    read_untagged: bool = False
    keep: bool = False
    retag: bool = False
    share: bool = False
    serve_acm: bool = False
    see_acm: bool = False
    signs: tuple[SigningRight, ...] = ()
    issues: tuple[IssuingRight, ...] = ()
    revokes: bool = False
    crl_bucket: str | None = None
    retires: bool = False
    audits: bool = False
    knows_caller: bool = False
    homes: tuple[Home, ...] = ()
    assumes: tuple[str, ...] = ()
    looks_at: tuple[str, ...] = ()


@runtime_checkable
class StatesPermissions(Protocol):
    """Knows which permissions its calls need."""

    def authority_permissions(self, rights: AuthorityRights) -> tuple[dict[str, Any], ...]:
        """The statements of an identity-based policy, each with a Sid of its own. Makes no call."""
