"""The codes under which rules refuse: what policy tests name, and what stays in the ledger. Stable; a test holds them against the rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefusalCode:
    """A code (``policy.`` comes before it), the key of the profile whose rule it is, and what it says about a request."""

    code: str
    rule: str
    meaning: str


REFUSAL_CODES = tuple(
    RefusalCode(*row)
    for row in (
        ("key-not-allowed", "keys", "the algorithm or size of the key is not listed"),
        ("key-weak", "keys", "the key can be computed, or others know it"),
        ("key-reuse", "key_reuse", "the key is certified under names that the request does not have"),
        ("san-dns-not-allowed", "san.dns", "a DNS name matches no pattern"),
        ("san-uri-not-allowed", "san.uri", "a URI matches no pattern"),
        ("san-ip-not-allowed", "san.ip", "an address is in no block"),
        ("san-email-not-allowed", "san.email", "an address of mail matches no pattern"),
        ("san-denied", "san.deny", "a name matches a pattern of denied ones, or is a wildcard that stands for such a name"),
        ("san-malformed", "san", "a name is not what its kind demands: DNS syntax, IDNA2008, SPIFFE IDs"),
        ("san-unsupported", "san", "a name of a kind that is never issued: otherName, directoryName, registeredID, ..."),
        ("san-spiffe-several", "san.uri", "another URI beside a SPIFFE ID"),
        ("san-wildcard", "san.wildcards", "a wildcard name"),
        ("san-required", "san.required", "no name at all"),
        ("san-kind-required", "san.required_kinds", "no name of a required kind"),
        ("san-too-many", "san.max_names", "more names than one certificate may have"),
        ("san-too-long", "san.max_length", "a name that is too long"),
        ("common-name-not-allowed", "subject.common_name", "the common name is neither an approved name nor matches a pattern, or is denied"),
        ("common-name-several", "subject.common_name", "more than one common name"),
        ("common-name-too-long", "subject.common_name", "a common name of more than 64 characters"),
        ("subject-not-allowed", "subject", "an attribute of the request matches no pattern, or does not fit"),
        ("subject-several", "subject", "more than one value of an attribute"),
        ("subject-template", "subject", "no approved name fills the template, or what comes out does not fit"),
        ("no-name", "subject", "the certificate would name nobody"),
        ("usage-not-allowed", "usage", "a usage that the profile does not give"),
        ("validity-too-long", "validity.max", "longer than the maximum"),
        ("validity-beyond-issuer", "validity", "beyond the end of the issuing CA"),
        ("requester-not-allowed", "requesters", "neither the caller nor the CI job matches a pattern"),
        ("limit-per-name", "limits.per_name", "too many certificates for a name within the window"),
        ("limit-per-run", "limits.per_run", "too many certificates in one run"),
        ("renewal-too-early", "renewal_window", "a certificate for the same names has longer to live than the window"),
    )
)  # fmt: skip
