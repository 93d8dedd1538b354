"""What can be seen from here about a client certificate that a server refused: facts that explain most refusals."""

from __future__ import annotations

from datetime import datetime

from pkiops.errors import InputError
from pkiops.trust.handshake import Identity
from pkiops.x509.certificate import load_certificates, view

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def hints_about(identity: Identity, at: datetime) -> tuple[str, ...]:
    """What is odd about the certificate as of ``at`` (aware), most telling first; empty if nothing is.

    Raises:
        InputError: its file cannot be read.
    """
    try:
        data = identity.certificate.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {identity.certificate}: {error.strerror}") from error
    own, *above = load_certificates(data, str(identity.certificate))
    shown = view(own)
    hints = []
    if shown.not_after <= at:
        hints.append(f"your certificate expired on {shown.not_after.strftime(_MOMENT)}")
    if shown.not_before > at:
        hints.append(f"your certificate is not valid before {shown.not_before.strftime(_MOMENT)}")
    if shown.extended_key_usage and "clientAuth" not in shown.extended_key_usage:
        hints.append(f"your certificate is made for {', '.join(shown.extended_key_usage)}, not for clientAuth")
    if shown.is_ca:
        hints.append("your certificate is the certificate of a CA, not of a client")
    if shown.subject == shown.issuer:
        hints.append("your certificate is self-signed: no CA issued it")
    elif not above:
        hints.append(
            f"your file holds only the certificate itself; the server may lack the CA that issued it ({shown.issuer})"
        )
    return tuple(hints)
