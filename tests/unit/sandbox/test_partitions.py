"""Partitioned CRLs, the switch to them, the delay after a revocation, and turning CRLs off."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from pkiops.sandbox.engine.settings import Settings
from tests.unit.sandbox.test_extensions import crl_urls, load_authority
from tests.unit.sandbox.test_revocation import crl_with, hex_serial, number_of, revoke
from tests.unit.sandbox.world import CRL, START, TEMPLATE, World, csr, key_of

PARTITIONED = crl_with(CrlType="PARTITIONED", CustomCname="pki.example.com")
BUCKET = "example-crl"


def scope_of(crl: x509.CertificateRevocationList) -> str | None:
    """The URI of the issuingDistributionPoint, which must be critical and say nothing else; None without one."""
    try:
        extension = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return None
    assert extension.critical
    point = extension.value
    assert point.only_some_reasons is None
    flags = (point.indirect_crl, point.only_contains_ca_certs, point.only_contains_user_certs)
    assert not any((*flags, point.only_contains_attribute_certs))
    (name,) = list(point.full_name or [])
    return str(name.value)


class Case:
    """A root with partitioned CRLs of two certificates each."""

    def __init__(self, configuration: dict[str, Any] | None = None, *, size: int = 2, **settings: Any) -> None:
        self.world = World(settings=Settings(partition_size=size, **settings))
        self.arn = self.world.root(RevocationConfiguration=configuration or PARTITIONED)

    def leaf(self, **more: Any) -> x509.Certificate:
        return self.world.issued(self.arn, csr(), **more)

    def revoke(self, leaf: x509.Certificate) -> None:
        revoke(self.world, self.arn, f"{leaf.serial_number:x}")

    def configure(self, configuration: dict[str, Any]) -> None:
        self.world.call(
            "UpdateCertificateAuthority", CertificateAuthorityArn=self.arn, RevocationConfiguration=configuration
        )

    def crl(self, url: str) -> x509.CertificateRevocationList:
        """The CRL a distribution point names, out of the bucket."""
        return x509.load_der_x509_crl(self.world.buckets.objects[BUCKET, url.split("/", 3)[3]])

    def keys(self) -> list[str]:
        return sorted(key for _, key in self.world.buckets.objects if key.endswith(".crl"))


def serials(crl: x509.CertificateRevocationList) -> set[int]:
    return {entry.serial_number for entry in crl}


def test_each_certificate_points_at_its_own_partition() -> None:
    case = Case()
    leaves = [case.leaf() for _ in range(5)]
    urls = [crl_urls(leaf)[0] for leaf in leaves]
    assert [urls.count(url) for url in dict.fromkeys(urls)] == [2, 2, 1]
    for url in set(urls):
        prefix, _, name = url.rpartition("/")
        assert prefix == "http://pki.example.com/crl"
        assert uuid.UUID(name.removesuffix(".crl")).version == 4
        assert scope_of(case.crl(url)) == url
        assert case.crl(url).is_signature_valid(key_of(load_authority(case.world, case.arn)))
    assert len(case.keys()) == 3
    assert f"crl/{case.arn.rpartition('/')[2]}.crl" not in set(case.keys())


def test_a_revocation_is_in_its_partition_only_and_all_are_made_again() -> None:
    case = Case()
    leaves = [case.leaf() for _ in range(4)]
    first, second = crl_urls(leaves[0])[0], crl_urls(leaves[2])[0]
    before = number_of(case.crl(second))
    case.revoke(leaves[0])
    assert serials(case.crl(first)) == {leaves[0].serial_number}
    assert serials(case.crl(second)) == set()
    assert number_of(case.crl(first)) == number_of(case.crl(second)) > before


def test_all_partitions_are_made_again_at_half_of_their_life() -> None:
    case = Case()
    urls = {crl_urls(case.leaf())[0] for _ in range(3)}
    case.world.advance(days=4)
    case.world.status(case.arn)
    for url in urls:
        assert case.crl(url).next_update_utc == START + timedelta(days=12)


@pytest.mark.parametrize("path", ["a/b", "/"])
def test_partitions_under_a_custom_path(path: str) -> None:
    case = Case(crl_with(CrlType="PARTITIONED", CustomPath=path))
    url = crl_urls(case.leaf())[0]
    folder = "" if path == "/" else f"{path}/"
    assert url.startswith(f"http://example-crl.s3.eu-west-1.amazonaws.com/{folder}")
    assert scope_of(case.crl(url)) == url


def test_a_new_name_opens_a_new_partition_and_the_old_one_stays() -> None:
    case = Case(size=100)
    old = case.leaf()
    case.configure(crl_with(CrlType="PARTITIONED", CustomCname="new.example.com"))
    new = case.leaf()
    assert crl_urls(new)[0].startswith("http://new.example.com/crl/")
    case.revoke(old)
    assert scope_of(case.crl(crl_urls(old)[0])) == crl_urls(old)[0]
    assert serials(case.crl(crl_urls(old)[0])) == {old.serial_number}
    assert serials(case.crl(crl_urls(new)[0])) == set()


def test_an_omitted_distribution_point_still_has_partitions() -> None:
    case = Case(crl_with(CrlType="PARTITIONED", CrlDistributionPointExtensionConfiguration={"OmitExtension": True}))
    leaf = case.leaf()
    assert crl_urls(leaf) == []
    case.revoke(leaf)
    (key,) = case.keys()
    assert serials(case.crl(f"http://x/{key}")) == {leaf.serial_number}


def test_after_the_switch_the_first_crl_has_a_scope_too() -> None:
    case = Case(CRL)
    early = case.leaf()
    url = crl_urls(early)[0]
    case.revoke(early)
    assert scope_of(case.crl(url)) is None
    case.configure(crl_with(CrlType="PARTITIONED"))
    assert scope_of(case.crl(url)) == url
    late = case.leaf()
    case.revoke(late)
    assert serials(case.crl(url)) == {early.serial_number}
    assert serials(case.crl(crl_urls(late)[0])) == {late.serial_number}


def test_and_back_again() -> None:
    case = Case()
    early = case.leaf()
    case.revoke(early)
    case.configure(CRL)
    late = case.leaf()
    case.revoke(late)
    complete = case.crl(crl_urls(late)[0])
    assert scope_of(complete) is None
    assert serials(complete) == {early.serial_number, late.serial_number}
    assert serials(case.crl(crl_urls(early)[0])) == {early.serial_number}


def test_a_subordinate_of_a_partitioned_root_has_a_partition_as_well() -> None:
    case = Case()
    sub = load_authority(case.world, case.world.subordinate(case.arn))
    case.revoke(sub)
    assert serials(case.crl(crl_urls(sub)[0])) == {sub.serial_number}


def test_what_fails_later_takes_no_place() -> None:
    case = Case(size=1, late_failures=frozenset({2}))  # the root's own certificate is the first
    case.world.issue(case.arn, csr())
    assert case.keys() == []
    case.leaf()
    assert len(case.keys()) == 1


def test_revocations_wait_for_the_delay() -> None:
    case = Case(crl_delay=timedelta(minutes=30))
    first, second = case.leaf(), case.leaf()
    url = crl_urls(first)[0]
    case.revoke(first)
    case.world.advance(minutes=20)
    case.revoke(second)
    case.world.advance(minutes=10, seconds=-1)
    case.world.status(case.arn)
    assert serials(case.crl(url)) == set()
    case.world.advance(seconds=1)
    case.world.status(case.arn)
    # what was revoked meanwhile is in it
    assert serials(case.crl(url)) == {first.serial_number, second.serial_number}
    assert case.crl(url).last_update_utc == START + timedelta(minutes=30) - timedelta(hours=1)


@pytest.mark.parametrize("retry", [timedelta(minutes=15), timedelta(minutes=1)])
def test_a_refused_write_is_tried_again_after_the_delay_of_the_settings(retry: timedelta) -> None:
    case = Case(crl_delay=timedelta(minutes=30), crl_retry=retry)
    leaf = case.leaf()
    case.revoke(leaf)
    case.world.buckets.refusing = "for a test"
    case.world.advance(minutes=30)
    case.world.status(case.arn)
    case.world.buckets.refusing = None
    case.world.advance(seconds=retry.total_seconds() - 1)
    case.world.status(case.arn)
    assert serials(case.crl(crl_urls(leaf)[0])) == set()
    case.world.advance(seconds=1)
    case.world.status(case.arn)
    assert serials(case.crl(crl_urls(leaf)[0])) == {leaf.serial_number}


def test_an_authority_that_expires_before_the_delay_publishes_nothing() -> None:
    world = World(settings=Settings(crl_delay=timedelta(minutes=30)))
    arn = world.root(years=1, RevocationConfiguration=CRL)
    serial = hex_serial(world, arn, Validity={"Type": "DAYS", "Value": 365})
    world.advance(days=365, minutes=-10)
    world.status(arn)
    revoke(world, arn, serial)
    world.advance(hours=1)
    world.status(arn)
    assert len(world.crl(arn)) == 0


def test_off_means_no_more_crls_and_no_distribution_point() -> None:
    case = Case(CRL)
    leaf = case.leaf()
    before = number_of(case.crl(crl_urls(leaf)[0]))
    case.configure({"CrlConfiguration": {"Enabled": False}})
    assert crl_urls(case.leaf()) == []
    case.revoke(leaf)
    case.world.advance(days=5)
    case.world.status(case.arn)
    assert number_of(case.crl(crl_urls(leaf)[0])) == before
    case.configure(CRL)
    assert serials(case.crl(crl_urls(leaf)[0])) == {leaf.serial_number}
    assert number_of(case.crl(crl_urls(leaf)[0])) > before


def test_numbers_never_go_back_even_if_the_clock_does() -> None:
    case = Case(CRL)
    leaf = case.leaf()
    url = crl_urls(leaf)[0]
    before = number_of(case.crl(url))
    case.world.advance(days=-1)
    case.revoke(leaf)
    assert number_of(case.crl(url)) == before + 1


def test_a_root_certificate_belongs_to_no_partition() -> None:
    case = Case()
    request = case.world.authority_csr(case.arn)
    case.world.issued(case.arn, request, TEMPLATE.format("RootCACertificate"))
    assert case.keys() == []
