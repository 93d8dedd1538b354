"""Does what a file says about one authority fit together, and would the service take it?

Pure. Here are the subject, the request's extensions, revocation, tags and the authority's home; resource policies are ``sharing_checks.py``, name
constraints ``constraint_checks.py``, lifetimes and hierarchies ``authority_checks.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pkiops.environment.finding import Finding, KeyPath, listed, nearest
from pkiops.environment.models import (
    AccessForm,
    Authority,
    AuthoritySubject,
    AwsPrivateCaBackend,
    CrlType,
    Environment,
    Tags,
)
from pkiops.environment.sharing_checks import check_policy
from pkiops.environment.subjects import common_name, ordered_attributes
from pkiops.x509.attribute_types import ATTRIBUTE_NAMES, COMMON_NAME, COUNTRY, FIELD_OIDS, attribute_oid, is_oid

ACCESS_METHODS = {
    "caRepository": "1.3.6.1.5.5.7.48.5",
    "resourcePkiManifest": "1.3.6.1.5.5.7.48.10",
    "resourcePkiNotify": "1.3.6.1.5.5.7.48.13",
}
ACCESS_FORMS: tuple[AccessForm, ...] = ("uri", "dns", "email", "ip", "registered_id")
_MAX_TAGS = 47


def check_settings(environment: Environment) -> Iterator[Finding]:
    """Every finding about what single authorities say, and about the tags of the environment."""
    yield from _check_tags(environment.tags, ("tags",))
    for label, authority in environment.authorities.items():
        path: KeyPath = ("authorities", label)
        yield from check_subject(authority.subject, (*path, "subject"))
        yield from _check_csr(authority, (*path, "csr"))
        yield from _check_revocation(authority, path)
        yield from _check_tags(authority.tags, (*path, "tags"))
        if len({**environment.tags, **authority.tags}) > _MAX_TAGS:
            message = (
                f"with those of the environment these are more than the {_MAX_TAGS} tags a CA can have beside ours"
            )
            yield Finding((*path, "tags"), message, "env.tags")
        if authority.policy:
            yield from check_policy(authority.policy, (*path, "policy"))
        yield from _check_standard(authority, environment.backend, path)
        if authority.renew_from is not None and not _is_date(authority.renew_from):
            yield Finding((*path, "renew_from"), "there is no such day; write 2026-11-25", "env.date")


def check_subject(subject: AuthoritySubject, path: KeyPath) -> Iterator[Finding]:
    """Every finding about the subject of a CA."""
    fields = [name for name in FIELD_OIDS if getattr(subject, name) is not None]
    if subject.attributes and fields:
        message = "the service takes fields or attributes, never both; write this as an attribute"
        yield from (Finding((*path, name), message, "env.subject", at_key=True) for name in fields)
    for index, attribute in enumerate(subject.attributes):
        where = (*path, "attributes", index)
        kind, value = attribute.get("type"), attribute.get("value")
        if kind is None or value is None:
            yield Finding(where, "write both type and value", "env.missing-key")
            continue
        oid = attribute_oid(kind)
        if oid is None:
            close = nearest(kind, ATTRIBUTE_NAMES)
            advice = f"did you mean {close}?" if close else f"write {listed(ATTRIBUTE_NAMES)}, or a dotted OID"
            yield Finding((*where, "type"), f"there is no such attribute type; {advice}", "env.subject")
        elif oid == COUNTRY and not (len(value) == 2 and value.isascii() and value.isupper()):
            yield Finding((*where, "value"), "write a country code of two capitals, such as GB", "env.subject")
        elif oid == COMMON_NAME and len(value) > 64:
            yield Finding((*where, "value"), "is too long; a common name has at most 64 characters", "env.subject")
    known = all(oid for oid, _ in ordered_attributes(subject))
    if known and common_name(subject) is None:
        at = (*path, "attributes") if subject.attributes else (*path, "common_name")
        what = "no attribute is a commonName; add one" if subject.attributes else "this key is required; add it"
        yield Finding(at, f"{what}: bundles, plans and generations tell CAs apart by it", "env.missing-key")


def _check_csr(authority: Authority, path: KeyPath) -> Iterator[Finding]:
    if authority.csr is None:
        return
    usages = [usage.value for usage in authority.csr.key_usage]
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            yield Finding((*path, "key_usage", index), "this usage is listed twice; keep one", "env.csr")
        elif usage in {"encipherOnly", "decipherOnly"} and "keyAgreement" not in usages:
            message = "has no meaning without keyAgreement (RFC 5280 section 4.2.1.3); add that, or remove this"
            yield Finding((*path, "key_usage", index), message, "env.csr")
    for index, access in enumerate(authority.csr.subject_information_access):
        where = (*path, "subject_information_access", index)
        method = access.get("method", "")
        if method not in ACCESS_METHODS and not is_oid(method):
            yield Finding((*where, "method"), f"write {listed(ACCESS_METHODS)}, or a dotted OID", "env.csr")
        given = [form for form in ACCESS_FORMS if form in access]
        if len(given) != 1:
            yield Finding(where, f"write exactly one of {listed(ACCESS_FORMS)}", "env.csr", at_key=True)
        elif problem := _location_problem(given[0], access[given[0]]):
            yield Finding((*where, given[0]), problem, "env.csr")


def _location_problem(form: str, value: str) -> str | None:
    if not value.isascii() or not value.isprintable() or " " in value:
        return "write printable ASCII characters without spaces"
    if form == "uri" and "://" not in value:
        return "write an absolute URI, such as http://pki.example.com/repository"
    if form == "registered_id" and not is_oid(value):
        return "write a dotted OID"
    if form == "ip" and not _is_address(value):
        return "write one IP address"
    return None


def _is_address(text: str) -> bool:
    import ipaddress  # only files with addresses pay for it

    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _check_revocation(authority: Authority, path: KeyPath) -> Iterator[Finding]:
    crl, ocsp = authority.crl, authority.ocsp
    if crl.omit_cdp and crl.host is not None:
        message = "with omit_cdp no certificate names a host, and the service refuses one; remove host"
        yield Finding((*path, "crl", "host"), message, "env.crl-host", at_key=True)
    if crl.omit_cdp and crl.type is CrlType.PARTITIONED:
        message = "a part speaks only for certificates that name it, and with omit_cdp none does; write COMPLETE, or remove omit_cdp"
        yield Finding((*path, "crl", "type"), message, "env.crl-type")
    if crl.path == "audit-report" or crl.path.startswith("audit-report/"):
        yield Finding(
            (*path, "crl", "path"), "audit reports are there, and nobody may serve them; write another", "env.crl-path"
        )
    if ocsp is not None and ocsp.host is not None and not ocsp.enabled:
        yield Finding(
            (*path, "ocsp", "host"),
            "the responder is off; write enabled: true, or remove host",
            "env.ocsp",
            at_key=True,
        )


def _check_tags(tags: Tags, path: KeyPath) -> Iterator[Finding]:
    for key in tags:
        if key.lower().startswith(("aws:", "rds:", "pkiops:")):
            message = (
                "tags that start with aws: or rds: belong to AWS, and those with pkiops: to pkiops; write another key"
            )
            yield Finding((*path, key), message, "env.tags", at_key=True)


def _check_standard(authority: Authority, default: AwsPrivateCaBackend, path: KeyPath) -> Iterator[Finding]:
    standard = authority.key_storage_security_standard
    region = (authority.backend.region if authority.backend else None) or default.region
    if standard is not None and region.startswith("cn-") and not standard.value.startswith("CCPC"):
        message = "regions in China have CCPC_LEVEL_1_OR_HIGHER only; write that, or leave it out"
        yield Finding((*path, "key_storage_security_standard"), message, "env.key-storage")


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
