"""Would the service take this certificate for a CA, and should it? Every rule, checked offline and reported at once. Pure.

What this module decides: that nothing is sent while anything is wrong, and how it is said. The rules are in ``import_certificate.py`` and
``import_chain.py``; a remark stops nothing. Reading files, asking and sending is ``install.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from pkiops.ca.import_certificate import certificate_findings
from pkiops.ca.import_chain import chain_findings
from pkiops.ca.import_finding import Expected, ImportFinding
from pkiops.errors import VerificationFailed
from pkiops.x509 import armor


def import_findings(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], expected: Expected, *, at: datetime
) -> tuple[ImportFinding, ...]:
    """Everything that is wrong with a certificate that shall be installed; remarks last.

    Args:
        certificate: the CA's own.
        chain: those above it, its issuer first and the root last; none for a root.
        expected: what it has to be.
        at: the moment (aware) as of which everything must be valid.
    """
    with armor.quiet():
        found = [*certificate_findings(certificate, expected, at), *chain_findings(certificate, chain, expected, at)]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: one.remark))


def refuse_findings(label: str, found: Sequence[ImportFinding]) -> tuple[ImportFinding, ...]:
    """Refuse to install what anything is wrong with; returns the remarks.

    Raises:
        VerificationFailed: code ``ca.import``; the details name every rule.
    """
    wrong = [one for one in found if not one.remark]
    if wrong:
        lines = [f"  {one.message}{f' ({one.hint})' if one.hint else ''}" for one in wrong]
        raise VerificationFailed(
            f"what was signed for {label} cannot be installed; nothing was sent:\n" + "\n".join(lines),
            code="ca.import",
            details={"findings": [{"rule": one.rule, "message": one.message, "hint": one.hint} for one in wrong]},
        )
    return tuple(found)
