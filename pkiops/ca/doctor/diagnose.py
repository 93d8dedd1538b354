"""From what was read to findings. Pure and total: any world gives a list, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pkiops.backends.identity import TAG_AUTHORITY, TAG_ENVIRONMENT, TAG_GENERATION, of_environment
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.bucket_drift import covers
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.doctor.catalogue import Finding, finding
from pkiops.ca.doctor.ledger_table import ledger_tables
from pkiops.ca.doctor.outside import outside_crls
from pkiops.ca.doctor.world import CrlHealth, World
from pkiops.ca.gone import gone_hint, gone_text, keeps_place
from pkiops.ca.unmanaged import undeclared_sharing, unmanaged
from pkiops.environment.homes import default_home, home_of, is_at_home
from pkiops.environment.models import Environment
from pkiops.homes import home_of_reference
from pkiops.stores.interface import BucketSettings, ObservedBucket, same_statement

# Private CAs per account and region unless raised (AWS Private CA quotas); deleted ones count while they can be restored
AUTHORITIES_QUOTA = 200
_MOST = 0.8
_MAX_REVOKED = 1_000_000
# time to make a new generation, bring its anchor to everybody, and let the old certificates run out
_NOTICE = timedelta(days=180)
_LEAF_NOTICE = timedelta(days=60)
# the service writes the next CRL at half of the validity and tries again every 15 minutes (User Guide)
_LATE = timedelta(hours=6)

_STATES = {
    AuthorityStatus.CREATING: ("authority.creating", "wait, then run pkiops ca apply {environment}"),
    AuthorityStatus.PENDING_CERTIFICATE: ("authority.pending", "pkiops ca apply {environment} gives it one"),
    AuthorityStatus.DISABLED: (
        "authority.disabled",
        "pkiops ca enable {words}, or pkiops ca delete {words} if nobody needs it",
    ),
    AuthorityStatus.EXPIRED: (
        "authority.expired",
        "write renew_from at {label} and run pkiops ca renew {words}, or declare a new generation",
    ),
    AuthorityStatus.FAILED: (
        "authority.failed",
        "pkiops ca delete {words}, then pkiops ca apply {environment}",
    ),
}


_SIGNED_ELSEWHERE = "have its certificate signed by {issuer} (pkiops ca csr {environment} {label}), then pkiops ca install {environment} {label}"
# another generation than the file's: neither apply nor renew looks at it
_OLD = "pkiops ca delete {words}, once nobody needs it"
_NO_VALID_CERTIFICATE = {AuthorityStatus.PENDING_CERTIFICATE, AuthorityStatus.EXPIRED}


def diagnose(world: World, now: datetime) -> tuple[Finding, ...]:
    """Every finding, errors first, then by code and object."""
    parts: tuple[Callable[[World, datetime], Iterator[Finding]], ...] = (
        _access,
        _buckets,
        ledger_tables,
        _authorities,
        _pins,
        _issuing,
        _crls,
        outside_crls,
        _sharing,
        _account,
    )
    found = [one for part in parts for one in part(world, now)]
    return tuple(sorted(found, key=lambda one: (-one.check.severity, one.check.code, one.where)))


def _access(world: World, now: datetime) -> Iterator[Finding]:
    del now
    hint = f"pkiops env iam-policy {world.environment.environment} --persona auditor prints what it takes to look at everything"
    for where, why in world.unread.items():
        if where in world.failed:
            yield finding(
                "access.failed",
                where,
                why,
                "run it again; if it lasts, look at what it names, and at the service's status page",
            )
        else:
            yield finding("access.denied", where, why, hint)


def _buckets(world: World, now: datetime) -> Iterator[Finding]:
    del now
    observed = {bucket.name: bucket for bucket in world.buckets}
    for wanted in world.desired.buckets:
        found = observed.get(wanted.name)
        if found is not None:
            yield from _bucket(world.environment.environment, wanted, found)


def _bucket(environment: str, wanted: BucketSettings, found: ObservedBucket) -> Iterator[Finding]:
    where = f"s3://{wanted.name}"
    mend = f"pkiops ca apply {environment}"
    if not wanted.manage:
        mend = f"pkiops ca plan {environment} says what to add where the bucket is declared"
    if not found.exists:
        yield finding("bucket.missing", where, "does not exist", mend)
        return
    if found.region not in {None, wanted.region}:
        yield finding("bucket.region", where, f"is in {found.region}, not in {wanted.region}", "use another bucket")
    lacking = [one["Sid"] for one in wanted.statements if not _has(wanted, found, one)]
    if lacking:
        yield finding("bucket.policy", where, f"its policy lacks or changes {', '.join(lacking)}", mend)
    if not found.public_access_blocked:
        yield finding("bucket.public-access", where, "Block Public Access is not on in all four settings", mend)
    if not found.owner_enforced:
        yield finding("bucket.ownership", where, "object ownership is not BucketOwnerEnforced", mend)
    if not found.versioning:
        yield finding("bucket.versioning", where, "versioning is off", mend)
    if found.encryption not in {None, "AES256"}:
        hint = "use SSE-S3 (AES256) for what relying parties read"
        if wanted.tags["pkiops:purpose"] == "crl" and found.has_aws_managed_key:
            message = f"is encrypted with {found.encryption} and the key aws/s3, which the CA service cannot use"
            yield finding("bucket.encryption", where, message, hint)
        else:
            message = f"is encrypted with {found.encryption}: nobody can read from it without a right to the key"
            yield finding("bucket.encryption-key", where, message, hint)


def _has(wanted: BucketSettings, found: ObservedBucket, statement: Mapping[str, Any]) -> bool:
    """Whether a policy says what it must: in a bucket of other tooling, in whatever words."""
    if not wanted.manage:
        return any(covers(one, statement) for one in found.statements)
    return any(one.get("Sid") == statement["Sid"] and same_statement(one, statement) for one in found.statements)


def _authorities(world: World, now: datetime) -> Iterator[Finding]:
    environment = world.environment.environment
    silent = {(one.label, str(one.generation)) for one in world.desired.authorities if one.enabled is False}
    signers = {(one.label, str(one.generation)): one.issuer for one in world.desired.authorities if one.outside}
    by_identity: dict[tuple[str, str], list[ObservedAuthority]] = {}
    for one in of_environment(world.authorities, environment):
        tags = one.tags or {}
        by_identity.setdefault((tags.get(TAG_AUTHORITY, ""), tags.get(TAG_GENERATION, "")), []).append(one)
    for (label, generation), several in by_identity.items():
        if len(several) > 1:
            names = ", ".join(one.reference for one in several)
            hint = "decide which one is right, and remove the pkiops: tags from the others"
            yield finding("authority.duplicate", f"{environment}/ca/{label}", f"generation {generation}: {names}", hint)
        for one in several:
            # DISABLED as the file says is no finding
            if one.status is not AuthorityStatus.DISABLED or (label, generation) not in silent:
                signer = signers.get((label, generation))
                yield from _authority(world, one, now, signer)
            yield from _home(world.environment, label, generation, one)
    for wanted in world.desired.authorities:
        where = f"{environment}/ca/{wanted.label}"
        if (wanted.label, str(wanted.generation)) not in by_identity and wanted.request.home not in world.unlisted:
            yield _missing(world, wanted, where)
        if wanted.issuer is None and wanted.sha256 is None:
            message = "the file does not pin this root, so nobody can rely on the published index"
            yield finding(
                "authority.unpinned", where, message, f"pkiops ca show {environment} prints the sha256 to pin"
            )
    for name, outside in world.environment.external_authorities.items():
        if outside.issuer is None and outside.sha256 is None:
            message = (
                "the file does not pin this root, so it can be no anchor, and nobody can rely on the published index"
            )
            hint = f"compare it with the one that is kept elsewhere, then pin its sha256: pkiops ca show {environment}"
            yield finding("authority.unpinned", f"{environment}/ca/{name}", message, hint)
    for other in unmanaged(world.desired, world.authorities):
        hint = "adopt it (pkiops ca adopt), or delete it if nobody needs it"
        yield finding("authority.unmanaged", other.reference, f"{other.what}; {other.why}", hint)


def _missing(world: World, wanted: DesiredAuthority, where: str) -> Finding:
    environment = world.environment.environment
    message = f"generation {wanted.generation} does not exist"
    gone = keeps_place(wanted, world.authorities)
    if gone is None:
        return finding("authority.missing", where, message, f"pkiops ca apply {environment}")
    hint = gone_hint(gone, environment, wanted.label)
    return finding("authority.missing", where, f"{message}: {gone_text(gone)}", hint)


def _home(environment: Environment, label: str, generation: str, one: ObservedAuthority) -> Iterator[Finding]:
    """A CA that says it is one of the file's, in an account or region where the file does not have it."""
    number = int(generation) if generation.isascii() and generation.isdigit() and len(generation) <= 9 else 0
    if label in environment.authorities and not is_at_home(environment, label, number, one.reference):
        where = f"{environment.environment}/ca/{label}"
        message = f"{one.reference} carries its tags, but the file has it in {home_of(environment, label)}"
        hint = "find out who tagged it; an authority that is to move needs a new generation"
        yield finding("authority.elsewhere", where, message, hint)


def _address(world: World, one: ObservedAuthority) -> str:
    """The authority's address; an older generation of one says so."""
    tags = one.tags or {}
    label, generation = tags.get(TAG_AUTHORITY, ""), tags.get(TAG_GENERATION, "")
    declared = world.environment.authorities.get(label)
    where = f"{world.environment.environment}/ca/{label}"
    return (
        where if declared is not None and str(declared.generation) == generation else f"{where} generation {generation}"
    )


def _authority(world: World, one: ObservedAuthority, now: datetime, signer: str | None) -> Iterator[Finding]:
    """What is wrong with one CA; ``signer`` is its issuer where that is kept elsewhere."""
    environment, where = world.environment.environment, _address(world, one)
    tags = one.tags or {}
    label, generation = tags.get(TAG_AUTHORITY, ""), tags.get(TAG_GENERATION, "")
    declared = world.environment.authorities.get(label)
    is_old = declared is None or str(declared.generation) != generation
    words = f"{environment} {label} --generation {generation}" if is_old else f"{environment} {label}"
    renew = _SIGNED_ELSEWHERE.format(environment=environment, label=label, issuer=signer)
    if one.status in _STATES:
        code, hint = _STATES[one.status]
        if is_old and one.status in _NO_VALID_CERTIFICATE:
            hint = _OLD
        elif signer is not None and one.status in _NO_VALID_CERTIFICATE:
            hint = renew
        hint = hint.format(environment=environment, label=label, words=words)
        yield finding(code, where, f"{one.reference} is {one.status.value}", hint)
    # a CA that lives for a year is not near its end for half of its life
    lifetime = one.not_after - one.not_before if one.not_after and one.not_before else None
    notice = min(_NOTICE, lifetime / 4) if lifetime else _NOTICE
    if one.not_after is not None and one.status is AuthorityStatus.ACTIVE and one.not_after - now < notice:
        days = (one.not_after - now).days
        message = f"{one.reference} ends {one.not_after:%Y-%m-%d}, in {days} days"
        hint = f"declare a new generation now, so that its anchor is everywhere in time; with the same key: pkiops ca renew {words}"
        if is_old:
            hint = _OLD.format(words=words)
        elif signer is not None:
            hint = renew
        yield finding("authority.expiring", where, message, hint)


def _issuing(world: World, now: datetime) -> Iterator[Finding]:
    """From which day on a full-length certificate, or CA certificate, does not fit below its issuer."""
    environment = world.environment
    current = {one.label: _current(world, one) for one in world.desired.authorities}
    for name, profile in environment.profiles.items():
        issuer = current.get(profile.authority)
        if issuer is None or issuer.not_after is None:
            continue
        last = issuer.not_after - timedelta(seconds=profile.validity.max.approximate_seconds())
        if last - now < _LEAF_NOTICE:
            message = (
                f"from {last:%Y-%m-%d} on, certificates of profile {name} get less than their {profile.validity.max}"
            )
            hint = (
                f"declare generation {environment.authorities[profile.authority].generation + 1} of {profile.authority}, "
                f"or renew it: pkiops ca renew {environment.environment} {profile.authority}"
            )
            yield finding(
                "authority.leaf-no-longer-fits", f"{environment.environment}/ca/{profile.authority}", message, hint
            )


def _current(world: World, wanted: DesiredAuthority) -> ObservedAuthority | None:
    one = _tagged(world, wanted)
    return one if one is not None and one.status is AuthorityStatus.ACTIVE else None


def _tagged(world: World, wanted: DesiredAuthority) -> ObservedAuthority | None:
    """The one CA that carries the identity of an authority; None where there are none or two."""
    environment = world.environment.environment
    tags = {TAG_ENVIRONMENT: environment, TAG_AUTHORITY: wanted.label, TAG_GENERATION: str(wanted.generation)}
    matches = [
        one for one in of_environment(world.authorities, environment) if tags.items() <= dict(one.tags or {}).items()
    ]
    return matches[0] if len(matches) == 1 else None


def _crls(world: World, now: datetime) -> Iterator[Finding]:
    environment = world.environment.environment
    for one in of_environment(world.authorities, environment):
        where = _address(world, one)
        if one.not_after is None or one.status not in {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED}:
            continue
        if one.crl is None:
            yield finding("crl.off", where, f"{one.reference} publishes no CRL", f"pkiops ca apply {environment}")
        elif not one.crl.complete:
            hint = f"pkiops crl status {environment} looks at the published parts; or write type: COMPLETE at its crl"
            yield finding("crl.partitioned", where, f"{one.reference} publishes its CRL in parts", hint)
        elif one.reference in world.crls:
            crl, speaks = world.crls[one.reference], _speaks(world, one.reference)
            # a DISABLED CA that issued nothing is going to write none
            if crl.present or speaks or one.status is AuthorityStatus.ACTIVE:
                yield from _crl(where, environment, crl, now, speaks=speaks)
        if world.acm_may_issue.get(one.reference) is False:
            message = "acm_permission is declared, but the permission is not there"
            yield finding("permission.acm", where, message, f"pkiops ca apply {environment}")


def _pins(world: World, now: datetime) -> Iterator[Finding]:
    """Certificates that are not the ones that the file pins, of CAs whose CRL was looked at."""
    del now
    for wanted in world.desired.authorities:
        one = _tagged(world, wanted)
        crl = world.crls.get(one.reference) if one else None
        if one is None or crl is None:
            continue
        for label, pin, found in (
            (wanted.label, wanted.sha256, crl.own_sha256),
            *((outside.label, outside.sha256, crl.issuer_sha256) for outside in wanted.outside[:1]),
        ):
            if pin is not None and found is not None and pin != found:
                where = f"{world.environment.environment}/ca/{label}"
                hint = "find out which one is right; if it was renewed, pin the new one by a reviewed commit"
                yield finding("authority.not-as-pinned", where, f"its sha256 is {found}, and the file pins {pin}", hint)


def _sharing(world: World, now: datetime) -> Iterator[Finding]:
    """What a look in depth found that the file does not speak of."""
    del now
    for wanted in world.desired.authorities:
        one = _tagged(world, wanted)
        details = world.details.get(one.reference) if one else None
        if one is None or details is None:
            continue
        for what in undeclared_sharing(wanted, details):
            where = f"{world.environment.environment}/ca/{wanted.label}"
            hint = "declare it (policy, acm_permission), or write policy: {} or acm_permission: false and apply"
            yield finding("permission.undeclared", where, f"{one.reference} has a {what}", hint)


def _speaks(world: World, reference: str) -> bool:
    """Whether a CA is known to have issued something: a certificate of the ledger's, or that of a CA below it."""
    own = world.crls[reference].own_sha256
    return reference in world.issuers or any(own and one.issuer_sha256 == own for one in world.crls.values())


def _crl(where: str, environment: str, crl: CrlHealth, now: datetime, *, speaks: bool) -> Iterator[Finding]:
    if not crl.present and speaks:
        hint = "the service writes it within half an hour of the first certificate: look at the bucket's policy, Block Public Access and encryption"
        yield finding("crl.missing", where, "has issued certificates, but there is no CRL of it", hint)
        return
    if not crl.present:
        hint = f"the service writes it with the first certificate: issue one, then pkiops crl publish {environment}, before clients depend on it"
        yield finding("crl.awaited", where, "wrote no CRL yet", hint)
        return
    if crl.problem is not None:
        yield finding("crl.unreadable", where, crl.problem, "find out who else writes into the bucket")
        return
    if crl.next_update is not None and crl.this_update is not None:
        half = crl.this_update + (crl.next_update - crl.this_update) / 2
        hint = "look at the bucket's policy, Block Public Access and encryption: the service could not write"
        if crl.next_update <= now:
            yield finding("crl.expired", where, f"the CRL expired {crl.next_update:%Y-%m-%d %H:%M}Z", hint)
        elif half + _LATE < now:
            message = f"the CRL of {crl.this_update:%Y-%m-%d} was to be replaced {half:%Y-%m-%d}; it expires {crl.next_update:%Y-%m-%d}"
            yield finding("crl.stale", where, message, hint)
    if crl.entries > _MOST * _MAX_REVOKED:
        message = f"{crl.entries} of {_MAX_REVOKED} entries"
        yield finding("crl.large", where, message, "make a new generation, with a partitioned CRL")
    if crl.serving_problem is not None:
        hint = f"serve the CRL bucket at that host (docs/guides/crl-host.md), then run pkiops ca doctor {environment} again"
        problem = (
            crl.serving_problem if crl.url and crl.url in crl.serving_problem else f"{crl.url}: {crl.serving_problem}"
        )
        yield finding("cdp.unreachable", where, problem, hint)
    elif crl.served_number is not None and crl.number is not None and crl.served_number < crl.number:
        message = f"{crl.url} serves CRL number {crl.served_number}, the bucket holds {crl.number}"
        yield finding("cdp.other", where, message, "shorten what the CDN caches, or wait")


def _account(world: World, now: datetime) -> Iterator[Finding]:
    del now
    environment = world.environment
    default = default_home(environment)
    for home, count in Counter(home_of_reference(one.reference) or default for one in world.authorities).items():
        if count >= _MOST * AUTHORITIES_QUOTA:
            message = f"{count} CAs exist in {home.region}, {AUTHORITIES_QUOTA} are allowed unless raised"
            yield finding("quota.authorities", home.account, message, "ask Service Quotas for more (L-799883CD)")
    for where, policies in world.caller_policies.items():
        if all(name.rpartition("/")[2] != "AWSPrivateCAUser" for name in policies):
            continue
        message = "its explicit deny lets only the template EndEntityCertificate/V1 through, and no clientAuth template"
        hint = (
            f"detach it, and attach what this prints: pkiops env iam-policy {environment.environment} --persona issuer"
        )
        yield finding("caller.user-policy", where, message, hint)
    if world.index_is_current is False and of_environment(world.authorities, environment.environment):
        message = "does not fit this file and the authorities that exist"
        hint = f"pkiops ca apply {environment.environment}"
        yield finding("index.stale", f"{environment.environment}/index/authorities", message, hint)
