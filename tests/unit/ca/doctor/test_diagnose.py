"""Every check of the doctor: a world in which it finds something, and the sound one in which nothing does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.details import Details
from pkiops.ca.doctor.catalogue import BY_CODE, CHECKS, Severity
from pkiops.ca.doctor.diagnose import diagnose
from pkiops.ca.doctor.world import CrlHealth, World
from pkiops.crl.manifest import CrlRecord
from pkiops.environment.homes import default_home
from pkiops.environment.load import load_file
from pkiops.environment.models import Bundle, Environment, Revocation, Target, Trust
from pkiops.ledger.tables import ObservedTable, TableSettings
from tests.offline_root import SAMPLE
from tests.unit.ca.worlds import NOW, authority_as, bucket_as, desired, dev

PIN = "ab" * 32
CLIENTS_REFERENCE = authority_as(desired().authorities[1]).reference


def pinned() -> Environment:
    return replace(dev(), authorities={**dev().authorities, "root": replace(dev().authorities["root"], sha256=PIN)})


def a_crl(**changes: object) -> CrlHealth:
    sound = CrlHealth(
        present=True,
        number=5,
        this_update=NOW - timedelta(days=1),
        next_update=NOW + timedelta(days=6),
        entries=3,
        url="http://pki.dev.example.com/crl/x.crl",
        served_number=5,
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


def sound() -> World:
    environment = pinned()
    want = desired(environment)
    authorities = tuple(authority_as(one) for one in want.authorities)
    return World(
        environment=environment,
        desired=want,
        buckets=tuple(bucket_as(one) for one in want.buckets),
        authorities=authorities,
        crls={one.reference: a_crl() for one in authorities},
        caller_policies={"the caller": ("arn:aws:iam::aws:policy/ReadOnlyAccess",)},
        index_is_current=True,
    )


def with_bucket(**changes: object) -> Callable[[World], World]:
    return lambda world: replace(world, buckets=(replace(world.buckets[0], **changes), *world.buckets[1:]))  # type: ignore[arg-type]


def with_clients(**changes: object) -> Callable[[World], World]:
    def change(world: World) -> World:
        root, clients = world.authorities
        return replace(world, authorities=(root, replace(clients, **changes)))  # type: ignore[arg-type]

    return change


def with_crl(**changes: object) -> Callable[[World], World]:
    return lambda world: replace(world, crls={CLIENTS_REFERENCE: a_crl(**changes)})


def many(world: World) -> World:
    others = tuple(
        replace(world.authorities[0], reference=f"arn:{n}", tags={"pkiops:environment": "x"}) for n in range(160)
    )
    return replace(world, authorities=(*world.authorities, *others))


def twin(world: World) -> World:
    return replace(world, authorities=(*world.authorities, replace(world.authorities[1], reference="arn:twin")))


def stranger(world: World) -> World:
    return replace(
        world, authorities=(*world.authorities, replace(world.authorities[1], reference="arn:other", tags={}))
    )


def parts(world: World) -> World:
    crl = world.authorities[1].crl
    assert crl is not None
    return with_clients(crl=replace(crl, complete=False))(world)


TABLE = ObservedTable(name="ledger", exists=True, active=True, shape=True, deletion_protection=True, recovery=True)


def with_table(**changes: object) -> Callable[[World], World]:
    def change(world: World) -> World:
        wanted = replace(world.desired, tables=(TableSettings(name="ledger", tags={"pkiops:environment": "dev"}),))
        return replace(world, desired=wanted, tables=(replace(TABLE, **changes),))  # type: ignore[arg-type]

    return change


def unpinned(world: World) -> World:
    return replace(world, environment=dev(), desired=desired())


SICK: dict[str, Callable[[World], World]] = {
    "access.failed": lambda world: replace(
        world, unread={"s3://x": "GetBucketPolicy: SlowDown"}, failed=frozenset({"s3://x"})
    ),
    "access.denied": lambda world: replace(world, unread={"s3://x": "GetBucketPolicy: AccessDenied"}),
    "authority.creating": with_clients(status=AuthorityStatus.CREATING, not_after=None),
    "authority.disabled": with_clients(status=AuthorityStatus.DISABLED),
    "authority.duplicate": twin,
    "authority.elsewhere": with_clients(reference=CLIENTS_REFERENCE.replace("eu-west-1", "us-east-1")),
    "authority.expired": with_clients(status=AuthorityStatus.EXPIRED),
    "authority.expiring": with_clients(not_before=NOW - timedelta(days=1700), not_after=NOW + timedelta(days=100)),
    "authority.failed": with_clients(status=AuthorityStatus.FAILED, not_after=None),
    "authority.leaf-no-longer-fits": with_clients(not_after=NOW + timedelta(days=120)),
    "authority.missing": lambda world: replace(world, authorities=world.authorities[:1]),
    "authority.not-as-pinned": lambda world: replace(
        world, crls={world.authorities[0].reference: a_crl(own_sha256="cd" * 32)}
    ),
    "authority.pending": with_clients(status=AuthorityStatus.PENDING_CERTIFICATE, not_after=None),
    "authority.unmanaged": stranger,
    "authority.unpinned": unpinned,
    "bucket.encryption": with_bucket(encryption="aws:kms"),
    "bucket.encryption-key": with_bucket(encryption="aws:kms", encryption_key="arn:aws:kms:eu-west-1:1:key/x"),
    "bucket.missing": with_bucket(exists=False),
    "bucket.ownership": with_bucket(owner_enforced=False),
    "bucket.policy": with_bucket(statements=()),
    "bucket.public-access": with_bucket(public_access_blocked=False),
    "bucket.region": with_bucket(region="us-east-1"),
    "bucket.versioning": with_bucket(versioning=False),
    "caller.user-policy": lambda world: replace(
        world, caller_policies={"the caller": ("arn:aws:iam::aws:policy/AWSPrivateCAUser",)}
    ),
    "cdp.other": with_crl(served_number=4),
    "cdp.unreachable": with_crl(serving_problem="cannot fetch: no such host", served_number=None),
    "crl.awaited": with_crl(present=False),
    "crl.expired": with_crl(this_update=NOW - timedelta(days=8), next_update=NOW - timedelta(days=1)),
    "crl.large": with_crl(entries=900_000),
    "crl.missing": lambda world: replace(with_crl(present=False)(world), issuers=frozenset({CLIENTS_REFERENCE})),
    "crl.off": with_clients(crl=None),
    "crl.partitioned": parts,
    "crl.stale": with_crl(this_update=NOW - timedelta(days=6), next_update=NOW + timedelta(days=1)),
    "crl.unreadable": with_crl(problem="signed by somebody else"),
    "index.stale": lambda world: replace(world, index_is_current=False),
    "ledger.inactive": with_table(active=False),
    "ledger.missing": with_table(exists=False),
    "ledger.shape": with_table(missing_indexes=("by-key",)),
    "ledger.unprotected": with_table(recovery=False),
    "permission.acm": lambda world: replace(world, acm_may_issue={CLIENTS_REFERENCE: False}),
    "permission.undeclared": lambda world: replace(
        world, details={CLIENTS_REFERENCE: Details(policy={"Statement": []})}
    ),
    "quota.authorities": many,
}
# decided where the account is asked, before anything else can be
ELSEWHERE = {"account.credentials", "account.mismatch", "account.unreachable"}


def test_a_sound_world_has_no_finding() -> None:
    assert diagnose(sound(), NOW) == ()
    assert diagnose(with_table()(sound()), NOW) == ()


def test_of_a_table_the_worst_is_said_alone() -> None:
    worst = with_table(shape=False, missing_indexes=("by-key",), active=False, recovery=False)(sound())
    (only,) = diagnose(worst, NOW)
    assert (only.check.code, only.where) == ("ledger.shape", "dev/table/ledger")
    assert "keys, index by-key" in only.message
    both = diagnose(with_table(deletion_protection=False, recovery=False)(sound()), NOW)
    assert [one.message for one in both] == ["deletion protection is off", "point-in-time recovery is off"]
    assert {one.hint for one in both} == {"pkiops ca apply dev"}


def test_a_ca_that_signed_another_is_not_waiting_for_its_first_certificate() -> None:
    world = sound()
    root, clients = (one.reference for one in world.authorities)
    silent = a_crl(present=False, own_sha256=PIN)
    below = a_crl(own_sha256="c", issuer_sha256=PIN)
    found = diagnose(replace(world, crls={root: silent, clients: below}), NOW)
    assert [one.check.code for one in found] == ["crl.missing"]
    found = diagnose(replace(world, crls={root: silent, clients: replace(below, issuer_sha256="old")}), NOW)
    assert [one.check.code for one in found] == ["crl.awaited"]


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (AuthorityStatus.DISABLED, "pkiops ca enable dev clients --generation 1, or pkiops ca delete dev clients"),
        (AuthorityStatus.EXPIRED, "pkiops ca delete dev clients --generation 1, once nobody needs it"),
        (AuthorityStatus.FAILED, "pkiops ca delete dev clients --generation 1, then pkiops ca apply dev"),
    ],
)
def test_hints_about_an_older_generation_name_it(status: AuthorityStatus, hint: str) -> None:
    """Without ``--generation`` they would speak of the one that is in use."""
    world = sound()
    environment = replace(
        world.environment,
        authorities={
            **world.environment.authorities,
            "clients": replace(world.environment.authorities["clients"], generation=2),
        },
    )
    want = desired(environment)
    now = tuple(authority_as(one) for one in want.authorities)
    old = authority_as(world.desired.authorities[1], status=status)
    found = diagnose(replace(world, environment=environment, desired=want, authorities=(*now, old)), NOW)
    (about,) = [one for one in found if one.where == "dev/ca/clients generation 1"]
    assert about.hint.startswith(hint)


def test_a_disabled_ca_that_issued_nothing_is_not_told_to_issue() -> None:
    world = with_clients(status=AuthorityStatus.DISABLED)(sound())
    silent = replace(world, crls={CLIENTS_REFERENCE: a_crl(present=False)})
    assert [one.check.code for one in diagnose(silent, NOW)] == ["authority.disabled"]
    used = replace(silent, issuers=frozenset({CLIENTS_REFERENCE}))
    assert [one.check.code for one in diagnose(used, NOW)] == ["authority.disabled", "crl.missing"]


def test_a_ca_that_is_disabled_as_the_file_says_is_no_finding() -> None:
    world = with_clients(status=AuthorityStatus.DISABLED)(sound())
    root, clients = world.desired.authorities
    meant = replace(world.desired, authorities=(root, replace(clients, enabled=False)))
    assert diagnose(replace(world, desired=meant), NOW) == ()
    ordered = replace(world.desired, authorities=(root, replace(clients, enabled=True)))
    assert [one.check.code for one in diagnose(replace(world, desired=ordered), NOW)] == ["authority.disabled"]


@pytest.mark.parametrize("key", [None, "alias/aws/s3", "arn:aws:kms:eu-west-1:123456789012:alias/aws/s3"])
def test_the_key_of_s3_itself_is_of_no_use_to_the_service(key: str | None) -> None:
    found = diagnose(with_bucket(encryption="aws:kms", encryption_key=key)(sound()), NOW)
    assert [one.check.code for one in found] == ["bucket.encryption"]


def test_every_check_is_tested() -> None:
    assert SICK.keys() | OUTSIDE.keys() | ELSEWHERE == BY_CODE.keys()
    assert len(BY_CODE) == len(CHECKS)
    assert [check.code for check in CHECKS] == sorted(check.code for check in CHECKS)


@pytest.mark.parametrize("code", SICK)
def test_each_check_finds_what_it_is_for(code: str) -> None:
    found = diagnose(SICK[code](sound()), NOW)
    assert code in {one.check.code for one in found}
    assert all(one.message and one.hint and one.where for one in found)


def test_the_worst_comes_first() -> None:
    world = SICK["crl.missing"](SICK["bucket.missing"](stranger(sound())))
    severities = [one.check.severity for one in diagnose(world, NOW)]
    assert severities == sorted(severities, reverse=True)
    assert severities[0] is Severity.ERROR


def test_what_could_not_be_listed_is_not_called_missing() -> None:
    world = replace(
        sound(),
        authorities=(),
        crls={},
        unread={"authorities": "ListCertificateAuthorities: AccessDenied"},
        unlisted=frozenset({default_home(sound().environment)}),
    )
    assert {one.check.code for one in diagnose(world, NOW)} == {"access.denied"}


def test_the_crl_of_a_deleted_or_pending_ca_is_nobody_s_business() -> None:
    def sick(one: ObservedAuthority) -> ObservedAuthority:
        return replace(one, status=AuthorityStatus.PENDING_CERTIFICATE, not_after=None, crl=None)

    world = sound()
    world = replace(world, authorities=(world.authorities[0], sick(world.authorities[1])))
    assert not any(one.check.code.startswith("crl.") for one in diagnose(world, NOW))


def test_a_ca_of_a_short_life_is_not_near_its_end_from_the_start() -> None:
    started = NOW - timedelta(days=30)
    world = with_clients(not_before=started, not_after=started + timedelta(days=200))(sound())
    assert "authority.expiring" not in {one.check.code for one in diagnose(world, NOW)}
    later = diagnose(world, NOW + timedelta(days=130))
    assert "authority.expiring" in {one.check.code for one in later}


def test_a_bucket_of_other_tooling_may_say_it_in_its_own_words() -> None:
    world = sound()
    wanted, *others = world.desired.buckets
    foreign = replace(world.desired, buckets=(replace(wanted, manage=False), *others))
    renamed = tuple({**statement, "Sid": f"Theirs{n}"} for n, statement in enumerate(wanted.statements))
    world = replace(world, desired=foreign, buckets=(replace(world.buckets[0], statements=renamed), *world.buckets[1:]))
    assert diagnose(world, NOW) == ()
    (found,) = diagnose(with_bucket(statements=())(world), NOW)
    assert found.check.code == "bucket.policy"
    assert "ca apply" not in found.hint


def outside(status: AuthorityStatus, pin: str | None = None) -> list[tuple[str, str, str]]:
    environment = load_file(SAMPLE)
    root = replace(environment.external_authorities["offline-root"], sha256=pin)
    environment = replace(environment, external_authorities={"offline-root": root})
    want = desired(environment)
    life: dict[str, object] = {"not_before": NOW - timedelta(days=1000), "not_after": NOW + timedelta(days=10)}
    if status is AuthorityStatus.PENDING_CERTIFICATE:
        life = {"not_before": None, "not_after": None}
    world = World(
        environment=environment,
        desired=want,
        buckets=tuple(bucket_as(one) for one in want.buckets),
        authorities=(authority_as(want.authorities[0], "offline", status=status, **life),),
    )
    return [(one.check.code, one.where, one.hint) for one in diagnose(world, NOW)]


@pytest.mark.parametrize(
    "status", [AuthorityStatus.PENDING_CERTIFICATE, AuthorityStatus.EXPIRED, AuthorityStatus.ACTIVE]
)
def test_what_is_signed_elsewhere_says_who_signs(status: AuthorityStatus) -> None:
    hints = [
        hint
        for code, where, hint in outside(status, PIN)
        if code.startswith("authority.") and where == "offline/ca/clients"
    ]
    assert any(
        "signed by offline-root (pkiops ca csr offline clients), then pkiops ca install" in hint for hint in hints
    )


def test_a_root_that_is_kept_elsewhere_is_pinned_like_any_other() -> None:
    unpinned = ("authority.unpinned", "offline/ca/offline-root")
    assert unpinned in [(code, where) for code, where, _ in outside(AuthorityStatus.ACTIVE)]
    assert unpinned not in [(code, where) for code, where, _ in outside(AuthorityStatus.ACTIVE, PIN)]


def offline(**life: timedelta) -> World:
    """``clients`` below a root that is kept elsewhere, in a set that holds its CRL unless no life is given; a bundle wants all CRLs."""
    environment = load_file(SAMPLE)
    root = replace(environment.external_authorities["offline-root"], sha256=PIN)
    bundle = Bundle(anchors=("offline-root",), targets={"pem": Target()})
    environment = replace(
        environment, external_authorities={"offline-root": root}, trust=Trust(bundles={"services": bundle})
    )
    want = desired(environment)
    record = CrlRecord(
        authority="offline-root",
        generation=1,
        issuer="CN=Example Offline Root CA G1",
        aki="ab" * 20,
        number=1,
        this_update=NOW - life.get("old", timedelta(0)),
        next_update=NOW + life.get("left", timedelta(0)),
        entries=0,
        sha256=PIN,
    )
    one = authority_as(want.authorities[0], "offline")
    return World(
        environment=environment,
        desired=want,
        buckets=tuple(bucket_as(bucket) for bucket in want.buckets),
        authorities=(one,),
        crls={one.reference: a_crl()},
        index_is_current=True,
        published_crls={record.name: record} if life else {},
    )


OUTSIDE: dict[str, Callable[[], World]] = {
    "crl.external-expired": lambda: offline(old=timedelta(days=90), left=timedelta(0)),
    "crl.external-expiring": lambda: offline(old=timedelta(days=150), left=timedelta(days=29)),
    "crl.external-missing": offline,
}


@pytest.mark.parametrize("code", OUTSIDE)
def test_the_crl_of_a_ca_that_is_kept_elsewhere_is_watched(code: str) -> None:
    (found,) = diagnose(OUTSIDE[code](), NOW)
    assert (found.check.code, found.where) == (code, "offline/ca/offline-root")
    assert "pkiops crl publish offline --external-crl FILE" in found.hint


def test_a_crl_from_elsewhere_is_not_near_its_end_for_half_of_its_life_and_missed_only_where_it_is_wanted() -> None:
    assert diagnose(offline(old=timedelta(days=1), left=timedelta(days=29)), NOW) == ()
    missing = offline()
    assert diagnose(replace(missing, published_crls=None), NOW) == ()  # nothing was published yet
    leaf_only = replace(missing.environment.trust.bundles["services"], revocation=Revocation.LEAF)
    relaxed = replace(missing.environment, trust=Trust(bundles={"services": leaf_only}))
    assert diagnose(replace(missing, environment=relaxed), NOW) == ()
    without = tuple(
        replace(one, status=AuthorityStatus.PENDING_CERTIFICATE, not_after=None) for one in missing.authorities
    )
    waiting = diagnose(replace(missing, authorities=without), NOW)
    assert [one.check.code for one in waiting] == ["authority.pending"]
