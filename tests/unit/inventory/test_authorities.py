"""Which authorities an inventory lists, and what it says about each."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from pkiops.backends.interface import AuthorityStatus, AuthorityType
from pkiops.clock import ManualClock
from pkiops.environment.models import AuthoritySubject, ExternalAuthority
from pkiops.errors import AccessDenied, Throttled, Unreachable
from pkiops.inventory.collect import Table, collect
from pkiops.inventory.records import AuthorityRecord, Identity, Inventory, Position
from pkiops.x509.certificate import fingerprint
from tests import builders
from tests.unit.inventory.world import AT, CLIENTS_SUBJECT, ENVIRONMENT, ROOT_SUBJECT, Account, der, tags


def listed(account: Account, environment: object = ENVIRONMENT) -> Inventory:
    assert isinstance(environment, type(ENVIRONMENT))
    return collect(environment, account, lambda: (), ManualClock(AT), [Table.AUTHORITIES])


def authorities(account: Account, environment: object = ENVIRONMENT) -> tuple[AuthorityRecord, ...]:
    found = listed(account, environment).authorities
    assert found is not None
    return found


@pytest.fixture(scope="module")
def root() -> builders.Issued:
    return builders.root_ca(ROOT_SUBJECT)


@pytest.fixture(scope="module")
def clients(root: builders.Issued) -> builders.Issued:
    return builders.subordinate_ca(root, CLIENTS_SUBJECT)


def add_root(account: Account, root: builders.Issued) -> str:
    return account.add("root", tags("root"), (der(root),), type=AuthorityType.ROOT, subject=ROOT_SUBJECT)


def test_says_everything_about_an_authority(root: builders.Issued, clients: builders.Issued) -> None:
    account = Account()
    account.add("clients", tags("clients"), (der(clients), der(root)))
    root_reference = add_root(account, root)
    first, second = authorities(account)
    assert (first.authority, first.position, first.depth, first.issuer) == ("root", Position.ROOT, 0, None)
    assert (second.authority, second.position, second.depth) == ("clients", Position.ISSUING, 1)
    assert (second.issuer, second.issuer_reference) == ("root", root_reference)
    assert second.issuer_subject == "CN=Example Test Root CA G1,O=Example Ltd"
    certificate = clients.certificate
    assert second.serial == f"{certificate.serial_number:x}"
    assert second.not_after == certificate.not_valid_after_utc  # the certificate's word, not the service's
    assert second.days_left == (certificate.not_valid_after_utc - AT).days
    assert second.path_length == 0
    assert second.crl is not None
    assert second.crl.url == "http://pki.test.example.com/crl/clients.crl"
    assert second.tags == tags("clients")
    assert (second.declared, second.exists, second.identified_by) == (True, True, Identity.TAGS)
    assert second.remark is None
    unknown = {one.name for one in fields(second) if getattr(second, one.name) is None}
    assert unknown == {"restorable_until", "failure_reason", "remark"}


def test_lists_declared_authorities_that_do_not_exist() -> None:
    first, second = authorities(Account())
    assert [(one.authority, one.exists, one.status) for one in (first, second)] == [
        ("root", False, None),
        ("clients", False, None),
    ]
    assert second.subject == CLIENTS_SUBJECT
    assert (second.issuer, second.position, second.depth) == ("root", Position.ISSUING, 1)
    assert "does not exist" in (second.remark or "")


def test_lists_older_generations_undeclared_ones_and_broken_tags(
    root: builders.Issued, clients: builders.Issued
) -> None:
    account = Account()
    add_root(account, root)
    account.add("old", tags("clients", 1), (der(clients), der(root)))
    account.add("stray", tags("stray"), (der(builders.subordinate_ca(root, "Stray")), der(root)))
    account.add("odd", {**tags("clients"), "pkiops:generation": "two"}, (der(clients), der(root)))
    account.add("foreign", {**tags("clients"), "pkiops:environment": "prod"}, (der(clients), der(root)))
    account.add("untagged", {}, (der(clients), der(root)))
    second = replace(ENVIRONMENT.authorities["clients"], generation=2)
    environment = replace(ENVIRONMENT, authorities={**ENVIRONMENT.authorities, "clients": second})
    shown = {(one.authority, one.generation): one for one in authorities(account, environment)}
    assert set(shown) == {("root", 1), ("clients", 1), ("clients", 2), ("stray", 1), ("clients", None)}
    assert shown["clients", 1].remark == "the file declares generation 2"
    assert not shown["clients", 1].declared
    assert not shown["clients", 2].exists
    assert shown["stray", 1].remark == "not declared in the environment file"
    assert "do not name a generation" in (shown["clients", None].remark or "")


def test_lists_deleted_ones_by_subject_and_type() -> None:
    account = Account()
    until = AT + timedelta(days=7)
    account.add("gone", None, status=AuthorityStatus.DELETED, restorable_until=until)
    account.add("other", None, status=AuthorityStatus.DELETED, subject={"common_name": "somebody else's"})
    account.add("type", None, status=AuthorityStatus.DELETED, type=AuthorityType.ROOT)
    found = listed(account)
    gone = [one for one in found.authorities or () if one.exists]
    assert [(one.authority, one.generation, one.tags, one.identified_by) for one in gone] == [
        ("clients", None, None, Identity.SUBJECT)
    ]
    assert gone[0].restorable_until == until
    assert account.asked == []
    assert [one.reason for one in found.skipped] == ["a CA that is DELETED has no certificate that can be read"]
    assert sum(one.authority == "clients" for one in found.authorities or ()) == 2  # the missing one is told as well


@pytest.mark.parametrize(
    "answer",
    [AccessDenied("no permission"), Throttled("slow down"), (b"\x30\x03not a certificate",), (b"",)],
    ids=["denied", "throttled", "malformed", "empty"],
)
def test_one_unreadable_certificate_does_not_stop_the_rest(
    root: builders.Issued, answer: tuple[bytes, ...] | AccessDenied
) -> None:
    account = Account()
    reference = account.add("clients", tags("clients"), answer)
    add_root(account, root)
    found = listed(account)
    first, second = found.authorities or ()
    assert first.sha256 is not None
    assert second.sha256 is None
    assert second.serial is None
    assert second.not_after == AT + timedelta(days=10)
    # the file says who issues it, and there is one such CA
    assert (second.issuer, second.issuer_reference) == ("root", first.reference)
    assert [(one.item, one.what) for one in found.skipped] == [(reference, "certificate")]
    assert found.skipped[0].reason in (second.remark or "")


@pytest.mark.parametrize(
    "status", [AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE, AuthorityStatus.FAILED]
)
def test_asks_no_certificate_of_a_ca_that_has_none(status: AuthorityStatus) -> None:
    account = Account()
    account.add("root", tags("root"), status=status, type=AuthorityType.ROOT, failure_reason="OTHER")
    assert authorities(account)[0].status == status
    assert account.asked == []


@pytest.mark.parametrize("status", [AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED])
def test_reads_the_certificate_of_a_ca_that_issues_no_more(root: builders.Issued, status: AuthorityStatus) -> None:
    account = Account()
    ended = AT + timedelta(days=3652, hours=1)
    account.add("root", tags("root"), (der(root),), type=AuthorityType.ROOT, status=status)
    found = collect(ENVIRONMENT, account, lambda: (), ManualClock(ended), [Table.AUTHORITIES])
    assert found.authorities is not None
    assert found.authorities[0].sha256 is not None
    assert (found.authorities[0].days_left or 0) < 0


def test_twins_and_wrong_pins_are_remarked_on(root: builders.Issued) -> None:
    account = Account()
    add_root(account, root)
    account.add("twin", tags("root"), (der(builders.root_ca(ROOT_SUBJECT)),), type=AuthorityType.ROOT)
    pinned = replace(ENVIRONMENT.authorities["root"], sha256="0" * 64)
    environment = replace(ENVIRONMENT, authorities={**ENVIRONMENT.authorities, "root": pinned})
    twins = [one for one in authorities(account, environment) if one.authority == "root"]
    assert len(twins) == 2
    for one in twins:
        assert "another CA carries the same identity tags" in (one.remark or "")
        assert "the file pins another certificate" in (one.remark or "")
    clients = authorities(account, environment)[-1]
    assert (clients.issuer, clients.issuer_reference) == ("root", None)  # which of the two is not known


def test_an_issuer_outside_the_environment_is_named_by_its_subject(clients: builders.Issued) -> None:
    account = Account()
    offline = builders.root_ca("Offline Root")
    between = builders.subordinate_ca(offline, "Policy CA", path_length=1)
    lowest = builders.subordinate_ca(between, CLIENTS_SUBJECT)
    account.add("clients", tags("clients"), (der(lowest), der(between), der(offline)))
    found = next(one for one in authorities(account) if one.exists)
    assert (found.depth, found.position, found.issuer, found.issuer_reference) == (2, Position.ISSUING, None, None)
    assert found.issuer_subject == "CN=Policy CA,O=Example Ltd"


def test_what_signed_another_is_an_intermediate(root: builders.Issued) -> None:
    account = Account()
    add_root(account, root)
    middle = builders.subordinate_ca(root, "Middle", path_length=1)
    lowest = builders.subordinate_ca(middle, CLIENTS_SUBJECT)
    account.add("middle", tags("middle"), (der(middle), der(root)))
    account.add("clients", tags("clients"), (der(lowest), der(middle), der(root)))
    shown = [(one.authority, one.position, one.depth, one.issuer) for one in authorities(account)]
    assert shown == [
        ("root", Position.ROOT, 0, None),
        ("middle", Position.INTERMEDIATE, 1, "root"),
        ("clients", Position.ISSUING, 2, "middle"),
    ]


def test_an_account_that_cannot_be_listed_is_an_error() -> None:
    class Down(Account):
        def list_authorities(self) -> tuple[()]:
            raise Unreachable("no answer")

    with pytest.raises(Unreachable):
        listed(Down())


def outside_environment(pin: str | None = None) -> object:
    clients = replace(ENVIRONMENT.authorities["clients"], issuer="company-issuing")
    return replace(
        ENVIRONMENT,
        authorities={"clients": clients},
        external_authorities={
            "company-issuing": ExternalAuthority(issuer="company-root"),
            "company-root": ExternalAuthority(sha256=pin, subject=AuthoritySubject(common_name="Company Root")),
        },
    )


def test_cas_kept_elsewhere_are_known_by_the_chains_of_ours() -> None:
    top = builders.root_ca("Company Root")
    issuing = builders.subordinate_ca(top, "Company Issuing", path_length=1)
    own = builders.subordinate_ca(issuing, CLIENTS_SUBJECT)
    account = Account()
    account.add("clients", tags("clients"), (der(own), der(issuing), der(top)))
    sha256 = fingerprint(top.certificate)
    root, middle, clients = authorities(account, outside_environment(sha256))
    assert (root.authority, root.status, root.identified_by, root.reference) == (
        "company-root", "EXTERNAL", Identity.CHAIN, None,
    )  # fmt: skip
    assert (root.position, root.depth, root.exists, root.sha256) == (Position.ROOT, 0, True, sha256)
    assert (root.subject["common_name"], root.key_algorithm) == ("Company Root", "EC_prime256v1")
    assert root.remark == "kept elsewhere: its CRL and its own condition are not known here"
    assert (middle.position, middle.issuer, middle.issuer_subject) == (
        Position.INTERMEDIATE, "company-root", "CN=Company Root,O=Example Ltd",
    )  # fmt: skip
    assert "the file does not pin it" in str(middle.remark)
    assert (clients.issuer, clients.issuer_reference, clients.depth) == ("company-issuing", None, 2)
    other = authorities(account, outside_environment("ab" * 32))[0]
    assert "the file pins another certificate" in str(other.remark)


def test_cas_kept_elsewhere_that_stand_in_no_chain_yet_are_told_by_the_file() -> None:
    root, middle, clients = authorities(Account(), outside_environment())
    assert (root.exists, root.sha256, root.subject) == (False, None, {"common_name": "Company Root"})
    assert "no CA of ours has a certificate of it yet" in str(root.remark)
    assert (middle.exists, clients.exists, clients.issuer) == (False, False, "company-issuing")


def test_a_certificate_in_the_place_of_a_pinned_issuer_is_not_called_by_its_name() -> None:
    top = builders.root_ca("Company Root")
    own = builders.subordinate_ca(top, CLIENTS_SUBJECT)
    account = Account()
    account.add("clients", tags("clients"), (der(own), der(top)))
    clients = replace(ENVIRONMENT.authorities["clients"], issuer="company-root")
    pinned = {"company-root": ExternalAuthority(sha256="ab" * 32)}
    environment = replace(ENVIRONMENT, authorities={"clients": clients}, external_authorities=pinned)
    assert [one.issuer for one in authorities(account, environment) if one.authority == "clients"] == [None]
