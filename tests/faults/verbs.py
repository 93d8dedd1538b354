"""The verbs whose every call is failed: how each one's world is prepared, what is run, and how one sees that it has been done."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.hierarchy import IDENTITY, assert_buckets_closed, assert_whole_dev
from tests.faults.issuing import ISSUING
from tests.faults.publishing import PUBLISHING
from tests.faults.retiring import RETIRING
from tests.faults.signing_verbs import SIGNING_VERBS
from tests.faults.world import EVERYTHING, Verb, World
from tests.seeded import SOAK

ACM = "acm.amazonaws.com"


def words(text: str) -> Callable[[World], list[str]]:
    """Arguments that do not depend on the world."""
    return lambda world: text.split()


def applied(world: World) -> None:
    """The hierarchy of the file exists."""
    world.done("ca", "apply", "dev", "--yes")


def whole(world: World) -> None:
    """The hierarchy of the file exists, and nothing is left to do."""
    assert_whole_dev(world.client("acm-pca"), world.client("s3"))
    world.done("ca", "plan", "dev", "--detailed-exitcode")


def _drifted(world: World) -> None:
    """The file asks for other settings of everything that the service can change."""
    applied(world)
    world.edit(
        "crl: {validity: 7d}",
        "crl: {validity: 9d}\n    tags: {team: payments}\n    acm_permission: true\n    policy: " + _POLICY,
    )
    s3 = world.client("s3")
    for bucket in ("example-pki-dev-crl", "example-pki-dev-trust"):
        s3.delete_bucket_policy(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        s3.delete_public_access_block(Bucket=bucket)


_POLICY = (
    '{"Statement": [{"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": "444455556666"}, '
    '"Action": ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate", '
    '"acm-pca:GetCertificateAuthorityCertificate", "acm-pca:ListPermissions", "acm-pca:ListTags"]}]}'
)


def _updated(world: World) -> None:
    whole(world)
    clients = world.authority("clients")
    assert clients["RevocationConfiguration"]["CrlConfiguration"]["ExpirationInDays"] == 9
    assert world.tags(clients["Arn"])["team"] == "payments"
    client = world.client("acm-pca")
    (permission,) = client.list_permissions(CertificateAuthorityArn=clients["Arn"])["Permissions"]
    assert permission["Principal"] == ACM
    assert "444455556666" in client.get_policy(ResourceArn=clients["Arn"])["Policy"]


def _switched(*, enabled: bool) -> Callable[[World], None]:
    def converged(world: World) -> None:
        assert world.authority("clients")["Status"] == ("ACTIVE" if enabled else "DISABLED")
        world.done("ca", "plan", "dev", "--detailed-exitcode")

    return converged


def _to_be_disabled(world: World) -> None:
    applied(world)
    world.edit("    issuer: root\n", "    issuer: root\n    enabled: false\n")


def _to_be_enabled(world: World) -> None:
    _to_be_disabled(world)
    applied(world)
    world.edit("enabled: false", "enabled: true")


def _stray(world: World) -> None:
    """A hierarchy as the file says, whose subordinate does not carry our tags."""
    applied(world)
    tags = [{"Key": key} for key in IDENTITY]
    world.client("acm-pca").untag_certificate_authority(CertificateAuthorityArn=world.arn("clients"), Tags=tags)


def _pinned(world: World) -> None:
    _stray(world)
    world.edit("    issuer: root\n", f"    issuer: root\n    arn: {world.arn('clients')}\n")


def _buckets_gone(world: World) -> None:
    """Somebody deleted the buckets of a hierarchy that lives on."""
    applied(world)
    s3 = world.client("s3")
    for bucket in ("example-pki-dev-crl", "example-pki-dev-trust"):
        for version in s3.list_object_versions(Bucket=bucket).get("Versions", []):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=bucket)


def _read(world: World) -> None:
    assert_whole_dev(world.client("acm-pca"), world.client("s3"))


def _nothing(world: World) -> None:
    assert world.authorities() == []


def _closed(world: World) -> None:
    assert_buckets_closed(world.client("s3"))
    whole(world)


# one fingerprint that cannot be read does not stop the rest
_FINGERPRINT = frozenset({"GetCertificateAuthorityCertificate"})
_APPLY = words("ca apply dev --yes")
VERBS = (
    Verb("apply creates", _APPLY, whole),
    Verb("apply updates", _APPLY, _updated, _drifted),
    Verb("apply disables", _APPLY, _switched(enabled=False), _to_be_disabled, looks_elsewhere=True),
    Verb("apply enables", _APPLY, _switched(enabled=True), _to_be_enabled, looks_elsewhere=True),
    Verb("apply adopts", _APPLY, whole, _pinned, looks_elsewhere=True, foreign=1),
    Verb("apply makes buckets", _APPLY, _closed, _buckets_gone, looks_elsewhere=True),
    Verb(
        "adopt",
        lambda world: ["ca", "adopt", "dev", "clients", world.arn("clients"), "--yes"],
        whole,
        _stray,
        foreign=1,
    ),
    Verb("plan nothing", words("ca plan dev"), _nothing, reads=True),
    Verb("plan", words("ca plan dev"), _read, applied, reads=True),
    Verb("show", words("ca show dev"), _read, applied, reads=True, tolerates=_FINGERPRINT),
    Verb("cost", words("ca cost dev"), _read, applied, reads=True),
    Verb("env iam-policy", words("env iam-policy dev --persona provisioner"), _nothing, reads=True),
    Verb("doctor", words("ca doctor dev --no-probe"), _read, applied, reads=True, tolerates=EVERYTHING),
    *SIGNING_VERBS,
    *RETIRING,
    *ISSUING,
    # test_publishers.py does this and more, in no time; here what is said is looked at, too
    *(PUBLISHING if SOAK else ()),
)
