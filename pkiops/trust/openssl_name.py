"""A distinguished name as OpenSSL prints it under XN_FLAG_RFC2253: what nginx calls $ssl_client_i_dn, and HAProxy ssl_c_i_dn(,0,rfc2253).

What this module decides: the short names, the order (most specific first) and the escapes (RFC 2253 section 2.4; control characters and everything
beyond ASCII as hex pairs). A list of allowed issuers is compared with it character by character, so a name that it cannot write for sure is refused.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.errors import VerificationFailed
from pkiops.x509.names import rfc4514

_SHORT_NAMES = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.DN_QUALIFIER: "dnQualifier",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.GENERATION_QUALIFIER: "generationQualifier",
    NameOID.GIVEN_NAME: "GN",
    NameOID.INITIALS: "initials",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.PSEUDONYM: "pseudonym",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.SURNAME: "SN",
    NameOID.TITLE: "title",
}
_ESCAPED = frozenset(',+"\\<>;')


def openssl_name(name: x509.Name, *, utf8: bool = False) -> str:
    """The name on one line, in printable ASCII; ``utf8`` leaves what is beyond ASCII as it is (no ASN1_STRFLGS_ESC_MSB): Apache's SSL_CLIENT_I_DN.

    Raises:
        VerificationFailed: it holds an attribute whose form is not certain here.
    """
    pieces = [
        "+".join(_attribute(one, name, utf8) for one in reversed(list(relative))) for relative in reversed(name.rdns)
    ]
    return ",".join(pieces)


def _attribute(attribute: x509.NameAttribute[str | bytes], name: x509.Name, utf8: bool) -> str:
    short = _SHORT_NAMES.get(attribute.oid)
    if short is None or isinstance(attribute.value, bytes):
        raise VerificationFailed(
            f"{rfc4514(name)}: no list of allowed issuers can name it, because of its attribute {attribute.oid.dotted_string}",
            code="trust.issuer-name",
        )
    return f"{short}={_value(attribute.value, utf8)}"


def _value(text: str, utf8: bool) -> str:
    last = len(text) - 1
    pieces: list[str] = []
    for at, character in enumerate(text):
        if utf8 and not character.isascii():
            pieces.append(character)
        elif not character.isascii() or not character.isprintable():
            pieces.extend(f"\\{octet:02X}" for octet in character.encode())
        elif character in _ESCAPED or (character == " " and at in {0, last}) or (character == "#" and at == 0):
            pieces.append("\\" + character)
        else:
            pieces.append(character)
    return "".join(pieces)
