"""What ``cert issue`` would bring, before anything is sent and without a word in the ledger.

What this module decides: that a preview takes the same steps 1 to 7 as issuance, that its certificate is made from the backend's own expectation and
then passes step 9 (comparison, path, linter) by the same code, so that the two cannot drift apart; and what is not known before. A certificate that
the ledger would serve again is shown itself. Nothing made here is a certificate of the CA: its issuer's key existed for a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509

from pkiops.backends.interface import ExpectedCertificate, ObservedAuthority
from pkiops.backends.prices import HasPrices
from pkiops.cert.compare import Difference, differences
from pkiops.cert.issue import Issuance
from pkiops.cert.issuer import Issuer, issuing_backend
from pkiops.cert.lint import Linted, lint
from pkiops.cert.order import Order, Prepared, intent_of, issuance_request
from pkiops.cert.preview_certificate import preview_chain
from pkiops.cert.prove import verify_path
from pkiops.cert.reuse import Step, next_step
from pkiops.errors import VerificationFailed
from pkiops.homes import home_of_reference
from pkiops.ledger.interface import Entry
from pkiops.policy.findings import Intent
from pkiops.policy.rules import Usage
from pkiops.x509.algorithms import SigningAlgorithm
from pkiops.x509.certificate import crl_urls_of, load_certificate
from pkiops.x509.keys import spki_der

_ANSWERED = frozenset({Step.SERVE, Step.PROVE_AGAIN})
_FROZEN = frozenset({Step.ASK_AGAIN, Step.FETCH})


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the certificate would cost, USD at most; ``verified`` says whether the price list was confirmed, and ``note`` how it is reckoned."""

    usd_at_most: float
    source: str
    checked: str
    verified: bool
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The certificate that would come back, and what step 9 would say of it.

    ``step`` is how the request would go on. ``linted`` is None where no linter is installed; ``refused`` is why its path would not be accepted.
    """

    prepared: Prepared
    step: Step
    certificate: x509.Certificate
    template: str
    differences: tuple[Difference, ...]
    linted: Linted | None
    refused: VerificationFailed | None
    cost: Cost | None
    unknown: tuple[str, ...]

    @property
    def is_real(self) -> bool:
        """Whether the certificate is one that exists: the ledger would serve it."""
        return self.step in _ANSWERED

    def error(self) -> VerificationFailed | None:
        """What the command ends with: why the certificate would be refused when it came back; None if it would be handed out."""
        reasons = [str(one) for one in self.differences]
        reasons += [self.refused.message] if self.refused else []
        reasons += [str(one) for one in self.linted.refusing] if self.linted else []
        if not reasons:
            return None
        return VerificationFailed(
            "\n".join(
                [
                    "the certificate would not be issued, or be refused when it came back",
                    *(f"  {one}" for one in reasons),
                ]
            ),
            hint="change the profile, the request or the authority; nothing was sent",
            code="cert.preview",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Previews:
    """Makes previews.

    Args:
        issuance: what would issue; nothing of it that sends or records is called.
        serial: gives a positive number of at most 20 octets in the place of a serial that the CA would choose.
        linter: whether there is one.
    """

    issuance: Issuance
    serial: Callable[[], int]
    linter: bool

    def preview(self, order: Order) -> Preview:
        """The certificate that ``order`` would bring.

        Raises:
            GuardRefused: code ``cert.unknown-intent``, issuance would refuse too; and what ``Issuance.prepare`` raises, none of which is recorded.
        """
        issuance = self.issuance
        prepared = issuance.examine(order)
        latest = issuance.ledger.latest(prepared.record.request_key)
        step = next_step(
            latest, prepared.record, now=issuance.clock.now(), reissue=prepared.reissue, window=prepared.renewal_window
        )
        intent = _intent(prepared, latest if step in _ANSWERED | _FROZEN else None)
        issuer = prepared.issuer
        observed, unknown = self._observed(issuer)
        backend = issuing_backend(issuance.environment, issuance.backend)
        request = issuance_request(intent, prepared.csr, issuer, attempt="")
        expected = backend.expect_certificate(request, observed)
        if latest is not None and step in _ANSWERED:
            certificate, above = load_certificate(latest.chain[0], f"ledger entry {latest.id}"), issuer.chain
            named = crl_urls_of(certificate)
            # certificates keep the address that they were made with
            expected = replace(expected, crl_url=named[0]) if len(named) == 1 else expected
            unknown = ()
        else:
            algorithm = SigningAlgorithm(observed.signing_algorithm)
            made = preview_chain(prepared.csr, expected, issuer.chain, algorithm, self.serial())
            certificate, above = made.certificate, made.above
            unknown = ("its serial number and signature", *_unknown_part(expected), *unknown)
        return Preview(
            prepared=prepared,
            step=step,
            certificate=certificate,
            template=expected.template,
            differences=differences(certificate, intent, expected, above[0], ocsp=issuer.observed.ocsp),
            linted=self._linted(certificate),
            refused=self._path_problem(certificate, above, intent),
            cost=self._cost(issuer, step),
            unknown=unknown,
        )

    def _observed(self, issuer: Issuer) -> tuple[ObservedAuthority, tuple[str, ...]]:
        """The CA, and what of it nobody knows: found by the index, it was not asked about a responder that the file does not speak of."""
        if issuer.indexed and self.issuance.environment.authorities[issuer.label].ocsp is None:
            return replace(issuer.observed, ocsp=False), (
                "whether it names an OCSP responder, which the file leaves open",
            )
        return issuer.observed, ()

    def _linted(self, certificate: x509.Certificate) -> Linted | None:
        environment = self.issuance.environment
        if not self.linter:
            return None
        if environment.lint != "none":
            return lint(environment, self.issuance.backend, certificate)
        # shown, and refuses nobody
        found = lint(environment, self.issuance.backend, certificate, floor="error")
        return Linted(known=found.known, below=(*found.refusing, *found.below))

    def _path_problem(
        self, certificate: x509.Certificate, above: tuple[x509.Certificate, ...], intent: Intent
    ) -> VerificationFailed | None:
        try:
            verify_path(certificate, above, intent, self.issuance.clock.now())
        except VerificationFailed as error:
            return error
        return None

    def _cost(self, issuer: Issuer, step: Step) -> Cost | None:
        backend = self.issuance.backend
        if not isinstance(backend, HasPrices):
            return None
        home = home_of_reference(issuer.observed.reference)
        prices = backend.prices.of_region(home.region if home else None)
        if step in _ANSWERED | _FROZEN:
            note, usd, field = "it was asked for before: nothing is billed again", 0.0, ""
        elif issuer.observed.usage_mode == "SHORT_LIVED_CERTIFICATE":
            note, usd, field = (
                "each certificate of a short-lived CA",
                prices.short_lived_certificate,
                "short_lived_certificate",
            )
        else:
            note, usd, field = (
                "the first of a month; later ones may cost less",
                prices.certificates(1),
                "certificate_tiers",
            )
        return Cost(
            usd_at_most=usd,
            source=prices.source,
            checked=prices.checked,
            verified=field not in prices.unverified,
            note=note,
        )


def _intent(prepared: Prepared, frozen: Entry | None) -> Intent:
    """The intent of an entry that goes on, else that of today."""
    if frozen is not None:
        return intent_of(frozen, prepared.csr)
    record = prepared.record
    return Intent(
        subject=record.subject,
        sans=record.sans,
        usage=tuple(Usage(name) for name in record.usages),
        not_before=record.not_before,
        not_after=record.not_after,
        public_key_spki=spki_der(prepared.csr.public_key),
    )


def _unknown_part(expected: ExpectedCertificate) -> tuple[str, ...]:
    return ("which part of the CRL it names",) if expected.crl_url and expected.crl_url.endswith("/") else ()
