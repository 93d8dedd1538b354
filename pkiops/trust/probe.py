"""Real TLS handshakes in memory over the bytes of a rendered bundle: who would get in, and why not.

What this module decides: how a relying party built on OpenSSL judges a client with these files (chain, purpose and
CRLs; TLS 1.2 and 1.3), without a server or a socket. The server's own key is made for the occasion and thrown away.
OpenSSL judges by the clock of this machine.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkiops.environment.models import Revocation
from pkiops.errors import VerificationFailed
from pkiops.trust.explain import explain_verification
from pkiops.trust.handshake import Identity, load_identity
from pkiops.trust.throw_away import SERVER, make_end_entity, write_identity

VERSIONS = (("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3))
_FLAGS = {
    Revocation.CHAIN: ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN,
    Revocation.LEAF: ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF,
    Revocation.NONE: ssl.VerifyFlags.VERIFY_DEFAULT,
}
# A handshake takes three flights each way at most; whoever has more to say is stuck.
_MAX_TURNS = 12


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The bytes a server would load; ``crl`` is None when it checks none."""

    trusted: tuple[bytes, ...] = field(repr=False)
    crl: bytes | None = field(repr=False)
    revocation: Revocation


@dataclass(frozen=True, slots=True)
class Probe:
    """Somebody who knocks, and whether they ought to get in; without an identity they send no certificate."""

    name: str
    identity: Identity | None
    expect_accepted: bool


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of one probe over one version of TLS; ``reason`` is empty when accepted."""

    name: str
    tls: str
    accepted: bool
    expected: bool
    reason: str

    @property
    def as_expected(self) -> bool:
        """Whether the right thing happened."""
        return self.accepted == self.expected


def run_probes(relying_party: RelyingParty, probes: Sequence[Probe]) -> tuple[ProbeResult, ...]:
    """Knock with every probe over every version, after a client without a certificate and a stranger, who must be refused.

    Raises:
        InputError: a probe's certificate or key cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="pkiops-probe-") as name:  # mode 0700
        folder = Path(name)
        stranger = write_identity(folder, "stranger", [make_end_entity("stranger", None, None)])
        cases = (
            Probe("no certificate", None, expect_accepted=False),
            Probe("a stranger's certificate", stranger, expect_accepted=False),
            *probes,
        )
        return knock(relying_party, cases, folder)


def knock(relying_party: RelyingParty, probes: Sequence[Probe], folder: Path) -> tuple[ProbeResult, ...]:
    """Knock with these probes over every version.

    Args:
        relying_party: at whom.
        probes: who.
        folder: for files that only we can read: it is the caller's, who made it so and removes it.

    Raises:
        InputError: a probe's certificate or key cannot be used.
        VerificationFailed: OpenSSL cannot load the relying party's files.
    """
    server = write_identity(folder, "server", [make_end_entity("server", None, None, SERVER)])
    return tuple(_results(relying_party, server, probes, folder))


def _results(
    relying_party: RelyingParty, server: Identity, cases: Sequence[Probe], folder: Path
) -> Iterator[ProbeResult]:
    for case in cases:
        for label, version in VERSIONS:
            reason = _handshake(_server_context(relying_party, server, version, folder), _client_context(case, version))
            yield ProbeResult(case.name, label, reason is None, case.expect_accepted, reason or "")


def _server_context(
    relying_party: RelyingParty, identity: Identity, version: ssl.TLSVersion, folder: Path
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    load_identity(context, identity)
    context.verify_mode = ssl.CERT_REQUIRED
    # the very bytes that were read, through the call by which servers load them
    for data in (*relying_party.trusted, *([relying_party.crl] if relying_party.crl is not None else [])):
        path = folder / "loaded.pem"
        path.write_bytes(data)
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError as error:
            raise VerificationFailed(f"OpenSSL cannot load the rendered files: {error}", code="trust.load") from error
    context.verify_flags |= _FLAGS[relying_party.revocation]
    return context


def _client_context(case: Probe, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is the server that is put to the test
    if case.identity is not None:
        load_identity(context, case.identity)
    return context


def _handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> str | None:
    """None if the server accepted the client, else its reason."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for _ in range(_MAX_TURNS):
        # an alert that the client gets is only the echo of the server's refusal, which is raised here as well
        client_reason = _step(client)
        server_reason = _step(server)
        if server_reason == "":
            return None
        if server_reason is not None:
            return server_reason
        if client_reason:
            return f"the client gave up: {client_reason}"
    return "the handshake did not come to an end"


def _step(side: ssl.SSLObject) -> str | None:
    """Go on with one side: None if it waits for the other, empty if its handshake is over, else why it failed."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLCertVerificationError as error:
        return explain_verification(error.verify_code, error.verify_message)
    except ssl.SSLError as error:
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return "no certificate was sent"
        return (error.reason or str(error)).lower().replace("_", " ")
    return ""
