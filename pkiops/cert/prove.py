"""Whether a path leads from a certificate to its root: what step 9 of issuance asks of an issued certificate, and a preview of the one to come.

What this module decides: the moment as of which a path is verified, and that each usage is verified by itself. The rules are ``x509.chain``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from pkiops.policy.findings import Intent
from pkiops.x509.chain import Purpose, verify_ca_chain, verify_chain


def verify_path(
    certificate: x509.Certificate, above: Sequence[x509.Certificate], intent: Intent, now: datetime
) -> None:
    """Verify the path for every usage of the intent: signatures, validity, path lengths, name constraints, nested usages.

    Args:
        certificate: the end entity.
        above: the CAs above it, its issuer first, the root last.
        intent: what it is for.
        now: aware; a moment inside the intent's validity near it counts, because clocks differ a little.

    Raises:
        VerificationFailed: codes ``chain....``.
    """
    at = min(max(now, intent.not_before), intent.not_after)
    verify_ca_chain(above, at=at)
    # path building demands an alternative name, which a profile may do without
    for usage in intent.usage if intent.sans else ():
        verify_chain(certificate, intermediates=above[:-1], anchors=above[-1:], at=at, purpose=Purpose(usage.value))
