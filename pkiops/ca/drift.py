"""How an authority that exists differs from what the file asks for. Pure.

What this module decides: which differences there are, and that parsed values are compared, so that spelling is none: key usages in any order, a
policy with one action or a list of one, an account or its root's ARN. What the file does not speak of is never a difference. What a difference leads
to is ``plan.py``; buckets are ``bucket_drift.py``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from pkiops.backends.identity import IDENTITY_TAGS
from pkiops.backends.interface import ACM_ACTIONS, AuthorityRequest, CrlSettings, CsrExtensions, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.details import CertificateFacts, Details
from pkiops.homes import home_of_reference
from pkiops.plan import Change
from pkiops.stores.interface import same_statement
from pkiops.x509.attribute_types import FIELD_OIDS, attribute_name, attribute_oid

# calendar years differ by a day, and a certificate begins an hour before its CA
_TOLERANCE = timedelta(days=2)
_ACCOUNT = re.compile(r"[0-9]{12}")


def immutable_changes(wanted: DesiredAuthority, found: ObservedAuthority) -> tuple[Change, ...]:
    """What differs and cannot be changed by the service: it needs a new generation."""
    request = wanted.request
    pairs = [
        ("type", found.type.value, request.type.value),
        ("key algorithm", found.key_algorithm, request.key_algorithm.value),
        ("signing algorithm", found.signing_algorithm, request.signing_algorithm.value),
        ("usage mode", found.usage_mode, request.usage_mode),
        ("csr extensions", csr_text(found.csr_extensions), csr_text(request.csr_extensions)),
    ]
    standard = request.key_storage_security_standard
    if standard is not None:
        pairs.append(("key storage security standard", found.key_storage_security_standard or "unknown", standard))
    changes = [Change(name, before, after) for name, before, after in pairs if before != after]
    home = home_of_reference(found.reference)
    if home is not None and request.home is not None and home != request.home:
        changes.insert(0, Change("home", str(home), str(request.home)))
    if not same_subject(request, found):
        changes.append(Change("subject", subject_text(found), subject_text(request)))
    return tuple(changes)


def same_subject(wanted: AuthorityRequest, found: ObservedAuthority) -> bool:
    """Whether both are the same name; the order counts only where both give one."""
    if wanted.subject_attributes and found.subject_attributes:
        return wanted.subject_attributes == found.subject_attributes
    return Counter(subject_attributes(wanted)) == Counter(subject_attributes(found))


def subject_text(named: AuthorityRequest | ObservedAuthority) -> str:
    """A subject for people: in its own order where it has one, else from the widest field to the narrowest."""
    if named.subject_attributes:
        return _named(named.subject_attributes)
    fields = [name for name in FIELD_OIDS if name in named.subject]
    others = sorted(named.subject.keys() - set(fields))
    return ", ".join(f"{name}={_quoted(named.subject[name])}" for name in (*fields, *others)) or "none"


def _named(attributes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{attribute_name(oid)}={_quoted(value)}" for oid, value in attributes)


def revocation_changes(request: AuthorityRequest, found: ObservedAuthority) -> tuple[Change, ...]:
    """What differs in CRL and OCSP settings."""
    changes = list(_crl_changes(request.crl, found.crl))
    if request.ocsp is not None:
        pairs = [("ocsp", _on(found.ocsp), _on(request.ocsp.enabled))]
        if request.ocsp.enabled and found.ocsp:
            pairs.append(("ocsp host", found.ocsp_host or "none", request.ocsp.host or "none"))
        changes += [Change(name, before, after) for name, before, after in pairs if before != after]
    return tuple(changes)


def missing_tags(request: AuthorityRequest, found: ObservedAuthority) -> dict[str, str]:
    """The tags to be added or given another value; tags of others are theirs, and those that identify a CA are how it was found."""
    have = found.tags or {}
    return {key: value for key, value in request.tags.items() if key not in IDENTITY_TAGS and have.get(key) != value}


def tag_changes(request: AuthorityRequest, found: ObservedAuthority) -> tuple[Change, ...]:
    """``missing_tags`` as changes."""
    have = found.tags or {}
    return tuple(Change(f"tag {key}", have.get(key), value) for key, value in missing_tags(request, found).items())


def sharing_changes(wanted: DesiredAuthority, reference: str | None, details: Details) -> tuple[Change, ...]:
    """What differs in resource policy and ACM's permission; ``reference`` is None for a CA that does not exist yet."""
    changes = []
    if wanted.policy is not None:
        before, after = details.policy, policy_document(wanted.policy, reference or "")
        if not same_policy(before, after, reference or ""):
            changes.append(Change("policy", _policy_text(before), _policy_text(wanted.policy)))
    if wanted.acm_permission is not None:
        have, want = details.acm_permission, ACM_ACTIONS if wanted.acm_permission else ()
        if tuple(have) != want:
            changes.append(Change("acm permission", ", ".join(have) or "none", ", ".join(want) or "none"))
    return tuple(changes)


def is_refused_to_disabled(change: Change) -> bool:
    """Whether a change of ``sharing_changes`` gives something: PutPolicy and CreatePermission want an ACTIVE CA, taking away does not."""
    return change.after not in {None, "none"}


def certificate_changes(wanted: DesiredAuthority, details: Details) -> tuple[Change, ...]:
    """What a CA's certificate says otherwise than the file, as far as it was read: only another certificate can change that."""
    facts = details.certificate
    if facts is None:
        return ()
    changes = []
    if facts.path_length != wanted.path_length:
        changes.append(Change("path length", _limit(facts.path_length), _limit(wanted.path_length)))
    found = facts.name_constraints
    # constraints in a root mean nothing (RFC 5280 section 6.1), and of forms that no file can declare nobody can speak
    is_meant = bool(wanted.name_constraints) or (wanted.issuer is not None and bool(found.permitted or found.excluded))
    if is_meant and found != wanted.name_constraints:
        changes.append(Change("name constraints", str(found), str(wanted.name_constraints)))
    return (*changes, *_signer_changes(wanted, facts))


def _signer_changes(wanted: DesiredAuthority, facts: CertificateFacts) -> Iterator[Change]:
    """Whether a certificate that is signed elsewhere is signed by whom the file says."""
    subject = wanted.outside[0].subject if wanted.outside else ()
    if subject and facts.issuer and Counter(subject) != Counter(facts.issuer):
        yield Change("issuer", _named(facts.issuer), _named(subject))
    if wanted.outside and facts.above and len(facts.above) != len(wanted.outside):
        yield Change("CAs above it", str(len(facts.above)), str(len(wanted.outside)))
    elif facts.above and wanted.outside:
        for one, found in zip(wanted.outside, facts.above, strict=True):
            if one.sha256 not in {None, found}:
                yield Change(f"sha256 of {one.label}", found, one.sha256)


def lasts_as_declared(wanted: DesiredAuthority, found: ObservedAuthority) -> bool:
    """Whether the certificate lasts as long as the file says; another length is for the next certificate."""
    if found.not_before is None or found.not_after is None:
        return True
    return abs(wanted.validity.after(found.not_before) - found.not_after) <= _TOLERANCE


def policy_document(policy: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """The resource policy as the service takes it: the CA itself is the resource of every statement."""
    statements = [{**statement, "Resource": reference} for statement in policy.get("Statement", ())]
    return {"Version": "2012-10-17", "Statement": statements}


def same_policy(found: Mapping[str, Any] | None, wanted: Mapping[str, Any], reference: str) -> bool:
    """Whether two resource policies mean the same, in any order of statements; a Sid counts only where the file gives one."""
    statements = (found or {}).get("Statement") or []
    have = [_normal(one, reference) for one in (statements if isinstance(statements, list) else [statements])]
    want = [_normal(one, reference) for one in wanted["Statement"]]
    for one in want:
        match = next((other for other in have if same_statement(_as_named(other, one), one)), None)
        if match is None:
            return False
        have.remove(match)
    return not have


def crl_text(crl: CrlSettings) -> str:
    """CRL settings for people."""
    folder = crl.path.strip("/")
    where = f"http://{crl.host}/{folder}/" if crl.host else "not named in certificates"
    kind = "" if crl.complete else ", in parts"
    return f"{crl.validity_days}d in s3://{crl.bucket}, {'served at ' if crl.host else ''}{where}{kind}"


def csr_text(extensions: CsrExtensions) -> str:
    """Request extensions for people."""
    parts = list(extensions.key_usage) + [f"{a.method} {a.form}:{a.value}" for a in extensions.information_access]
    return ", ".join(parts) or "none"


def subject_attributes(named: AuthorityRequest | ObservedAuthority) -> list[tuple[str, str]]:
    """A subject as (OID, value), in the order of the name where one is given."""
    if named.subject_attributes:
        return list(named.subject_attributes)
    return [(FIELD_OIDS.get(name) or attribute_oid(name) or name, value) for name, value in named.subject.items()]


def _quoted(value: str) -> str:
    """A value that cannot be taken for more than one."""
    return json.dumps(value, ensure_ascii=False) if any(c in value for c in ',="') else value


def _crl_changes(wanted: CrlSettings, found: CrlSettings | None) -> tuple[Change, ...]:
    if found is None:
        return (Change("crl", None, crl_text(wanted)),)
    pairs = (
        ("crl bucket", found.bucket, wanted.bucket),
        ("crl host", found.host, wanted.host),
        ("crl validity", f"{found.validity_days}d", f"{wanted.validity_days}d"),
        ("crl path", found.path, wanted.path),
        ("crl named in certificates", _yes(found.named), _yes(wanted.named)),
        ("crl complete", _yes(found.complete), _yes(wanted.complete)),
    )
    return tuple(Change(name, before, after) for name, before, after in pairs if before != after)


def _normal(statement: Any, reference: str) -> dict[str, Any]:
    """A statement with what the service spells in several ways spelled in one."""
    if not isinstance(statement, Mapping):
        return {"odd": str(statement)}
    made = {key: value for key, value in statement.items() if not (key == "Resource" and _list(value) == [reference])}
    if "Action" in made:
        made["Action"] = [str(action).lower() for action in _list(made["Action"])]
    principal = made.get("Principal")
    if isinstance(principal, Mapping) and "AWS" in principal:
        made["Principal"] = {**principal, "AWS": [_principal(str(one)) for one in _list(principal["AWS"])]}
    elif principal == "*":
        made["Principal"] = {"AWS": "*"}
    return made


def _principal(text: str) -> str:
    return f"arn:aws:iam::{text}:root" if _ACCOUNT.fullmatch(text) else text


def _as_named(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return found if "Sid" in wanted else {key: value for key, value in found.items() if key != "Sid"}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _policy_text(policy: Mapping[str, Any] | None) -> str | None:
    # as the file writes it, without the resource, so that a plan reads the same before and after the CA exists
    return json.dumps(policy.get("Statement"), sort_keys=True, separators=(",", ":")) if policy else None


def _limit(path_length: int | None) -> str:
    return "unlimited" if path_length is None else str(path_length)


def _on(value: bool) -> str:
    return "on" if value else "off"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
