"""Why a TLS handshake was refused, in words that somebody without TLS knowledge can act on.

What this module decides: the words for each alert of RFC 8446 section 6.2 (by the reason names of OpenSSL), for each
way a server's certificate fails verification (by the X509_V_ERR numbers of OpenSSL), and for the two HTTP pages with
which nginx refuses instead of sending an alert. Who is asked and what came back is decided by ``handshake.py`` and
``probe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """One cause: a stable code, what happened, and what to do about it."""

    code: str
    summary: str
    advice: str


_ASK_FOR_LOG = "look into the server's own log for the reason"
_NO_CERTIFICATE = Explanation(
    "no-certificate",
    "the server wants a client certificate, and none was sent",
    "run again with --cert FILE --key FILE",
)
_NOT_TAKEN = Explanation(
    "no-certificate",
    "the server says that it got no client certificate, although one was given: it was not offered, because it fits none of the CAs "
    "or signature algorithms that the server named",
    "check that the certificate was issued by a CA of the server's trust bundle, and that the bundle there is the newest one",
)

# Reason names of OpenSSL, without their SSLV3_ALERT_, TLSV1_ALERT_ and TLSV13_ALERT_ prefixes.
_ALERTS: dict[str, Explanation] = {
    "UNKNOWN_CA": Explanation(
        "unknown-ca",
        "the server does not know the CA that issued the client certificate, or holds no CRL of a CA in its chain (OpenSSL says the same of both)",
        "send the full chain (certificate and intermediate CAs in one file); if it is complete, the server's trust bundle lacks the root or a CRL: "
        "pkiops crl publish and trust render, then reload the server",
    ),
    "CERTIFICATE_EXPIRED": Explanation(
        "expired",
        "the server says that something has expired: the client certificate, a CA of its chain, or one of the CRLs the server holds",
        "if the certificate is still valid, the server's CRLs are too old: pkiops crl publish and trust render, then reload the server",
    ),
    "CERTIFICATE_REVOKED": Explanation(
        "revoked",
        "the server says that the client certificate, or a CA above it, is revoked",
        "request a new certificate with a new key; a revoked one never becomes valid again",
    ),
    "UNSUPPORTED_CERTIFICATE": Explanation(
        "wrong-purpose",
        "the server says that the certificate is not made for clients: its extended key usage lacks clientAuth",
        "issue it from a profile with usage clientAuth; a server certificate cannot be used here",
    ),
    "BAD_CERTIFICATE": Explanation(
        "bad-certificate",
        "the server could not verify the client certificate and gives no closer reason",
        f"check it with pkiops cert verify, and {_ASK_FOR_LOG}",
    ),
    "CERTIFICATE_UNKNOWN": Explanation(
        "certificate-unknown",
        "the server could not verify the client certificate and gives no closer reason (a Java server says this for every cause)",
        f"check it with pkiops cert verify, and {_ASK_FOR_LOG}",
    ),
    "DECRYPT_ERROR": Explanation(
        "bad-signature",
        "a signature did not verify: the key does not belong to the certificate, or a CRL or CA of the same name was signed by another key",
        "check that certificate and key belong together, and that the server's bundle and CRLs come from the same environment",
    ),
    "ACCESS_DENIED": Explanation(
        "access-denied",
        "the client certificate is genuine, but the server does not let this client in",
        "ask the owner of the server to add this client to its list",
    ),
    "PROTOCOL_VERSION": Explanation(
        "protocol-version",
        "client and server have no version of TLS in common",
        "run again with the other --tls version; a server that offers neither 1.2 nor 1.3 must be upgraded",
    ),
    "INTERNAL_ERROR": Explanation(
        "server-error",
        "the server failed while it looked at the client certificate (Apache does this when the chain is longer than its SSLVerifyDepth)",
        _ASK_FOR_LOG,
    ),
    "UNRECOGNIZED_NAME": Explanation(
        "unknown-host",
        "the server does not serve the host name that was asked for",
        "give the right name with --server-name",
    ),
}
_CERTIFICATE_REQUIRED = frozenset({"CERTIFICATE_REQUIRED", "NO_CERTIFICATE"})
# what Java and Go say of a certificate that was not sent
_ABOUT_A_CERTIFICATE = frozenset({"BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN"})
_HANDSHAKE_FAILURE = Explanation(
    "handshake-failure",
    "the server broke off the handshake without a closer reason: no cipher or signature algorithm in common, or a certificate it dislikes",
    f"try the other --tls version, and {_ASK_FOR_LOG}",
)


def explain_alert(reason: str, *, certificate_sent: bool) -> Explanation:
    """The alert with which a server ended a handshake.

    Args:
        reason: OpenSSL's name of it, such as ``TLSV1_ALERT_UNKNOWN_CA``.
        certificate_sent: whether the client had a certificate to send.
    """
    alert = reason.rpartition("_ALERT_")[2]
    if alert in _CERTIFICATE_REQUIRED:
        return _NOT_TAKEN if certificate_sent else _NO_CERTIFICATE
    if alert == "HANDSHAKE_FAILURE":
        # TLS 1.2 has no alert of its own for a missing certificate
        return _HANDSHAKE_FAILURE if certificate_sent else _NO_CERTIFICATE
    if alert in _ABOUT_A_CERTIFICATE and not certificate_sent:
        return _NO_CERTIFICATE
    known = _ALERTS.get(alert)
    if known is not None:
        return known
    words = alert.lower().replace("_", " ")
    return Explanation("alert", f"the server broke off the handshake: {words}", _ASK_FOR_LOG)


def is_alert(reason: str) -> bool:
    """Whether OpenSSL's reason name stands for an alert that the other side sent."""
    return "_ALERT_" in reason


_X509_HOSTNAME_MISMATCH = 62
_X509_IP_MISMATCH = 64
_ISSUER_UNKNOWN = frozenset({2, 18, 19, 20, 21})


def explain_server_certificate(verify_code: int, verify_message: str) -> Explanation:
    """Why we did not accept the server's certificate; ``verify_code`` is an X509_V_ERR number of OpenSSL."""
    if verify_code in _ISSUER_UNKNOWN:
        return Explanation(
            "server-unknown-ca",
            f"the server's certificate was not issued by a CA that we trust ({verify_message})",
            "give the CA of the server with --ca FILE; the CAs of clients are not used for this",
        )
    if verify_code in {_X509_HOSTNAME_MISMATCH, _X509_IP_MISMATCH}:
        return Explanation(
            "server-wrong-name",
            f"the server's certificate is made for another name ({verify_message})",
            "if you reached it by another name on purpose, give the right one with --server-name",
        )
    if verify_code == 10:
        return Explanation(
            "server-expired",
            "the server's certificate, or a CA above it, has expired",
            "the owner of the server must renew it",
        )
    return Explanation(
        "server-certificate",
        f"the server's certificate does not verify: {verify_message}",
        "show this message to the owner of the server",
    )


_NGINX_PAGES = (
    (b"No required SSL certificate was sent", True),
    (b"The SSL certificate error", False),
)


def explain_nginx(body: bytes, *, certificate_sent: bool) -> Explanation | None:
    """Nginx finishes the handshake and refuses with an HTTP 400 page; None if ``body`` is not one of them."""
    for text, missing in _NGINX_PAGES:
        if text not in body:
            continue
        if missing:
            return _NOT_TAKEN if certificate_sent else _NO_CERTIFICATE
        return Explanation(
            "nginx-refused",
            "nginx did not accept the client certificate; it does not tell the client why: unknown CA, expired, revoked, not made for clients, "
            "or its own CRLs have expired",
            'check the certificate with pkiops cert verify; nginx writes the reason to its error log at level "info"',
        )
    return None


# X509_V_ERR numbers that a server meets when it verifies a client; sources: openssl/x509_vfy.h, and live runs.
_VERIFY: dict[int, str] = {
    2: "the issuer of a CA in the chain is not in the bundle",
    3: "a CA of the chain has no CRL in the bundle",
    7: "a signature in the chain does not verify",
    8: "the signature of a CRL does not verify",
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    11: "a CRL is not valid yet",
    12: "a CRL has expired",
    18: "it is self-signed and not in the bundle",
    19: "its root is not in the bundle",
    20: "its issuer is not in the bundle",
    21: "its issuing CA is neither sent along nor in the bundle",
    22: "the chain is too long",
    23: "it is revoked",
    24: "something in the chain is not a CA",
    25: "a CA allows fewer CAs below it (path length)",
    26: "it is not made for clients (extended key usage)",
    44: "a CRL covers only part of the certificates",
}


def explain_verification(verify_code: int, verify_message: str) -> str:
    """Why a server did not accept a client certificate; ``verify_code`` is an X509_V_ERR number of OpenSSL."""
    words = _VERIFY.get(verify_code)
    return f"{words} (OpenSSL {verify_code}: {verify_message})" if words else f"OpenSSL {verify_code}: {verify_message}"
