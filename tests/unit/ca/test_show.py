"""The hierarchy drawn and given as data."""

from __future__ import annotations

from dataclasses import replace

from pkiops.backends.interface import AuthorityStatus, CrlSettings, ObservedAuthority
from pkiops.ca.desired import OutsideAuthority
from pkiops.ca.show import as_json, read_fingerprints, render_tree, shown_authorities
from pkiops.errors import AccessDenied
from tests.unit.ca.worlds import NOW, authority_as, desired

WANT = desired()
ROOT, CLIENTS = (authority_as(one) for one in WANT.authorities)


class Chains:
    """Reads every chain but one."""

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return (ROOT, CLIENTS)

    def describe_authority(self, reference: str) -> ObservedAuthority:
        raise AssertionError(reference)

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        if reference == ROOT.reference:
            raise AccessDenied("no right")
        return (b"certificate", b"root")


def test_one_unreadable_certificate_does_not_stop_the_rest() -> None:
    fingerprints, unreadable = read_fingerprints(Chains(), [ROOT, CLIENTS], "dev")
    assert list(fingerprints) == [CLIENTS.reference]
    assert unreadable == ("no fingerprint: no right",)


def test_the_tree_shows_what_exists_and_what_does_not() -> None:
    shown = shown_authorities(WANT, [ROOT], {})
    tree = render_tree("dev", shown, NOW)
    assert "root (generation 1)  ACTIVE" in tree
    assert "clients (generation 1)  does not exist" in tree
    assert [one["exists"] for one in as_json(shown)] == [True, False]


def test_an_expired_ca_says_since_when() -> None:
    old = authority_as(WANT.authorities[0], status=AuthorityStatus.EXPIRED, not_after=NOW.replace(year=2025))
    assert "expired 365 days ago" in render_tree("dev", shown_authorities(WANT, [old], {}), NOW)


def test_tagged_authorities_that_the_file_does_not_declare_are_shown() -> None:
    tags = {"pkiops:environment": "dev", "pkiops:authority": "old", "pkiops:generation": "x"}
    other = authority_as(WANT.authorities[1], reference="arn:old", tags=tags)
    shown = shown_authorities(WANT, [ROOT, CLIENTS, other], {})
    assert "old (generation 0)  ACTIVE  not declared in the file" in render_tree("dev", shown, NOW)


def test_the_tree_says_whether_a_certificate_is_the_pinned_one() -> None:
    want = replace(WANT, authorities=(replace(WANT.authorities[0], sha256="ab" * 32), WANT.authorities[1]))
    for actual, remark in (("ab" * 32, "as pinned"), ("cd" * 32, f"NOT AS PINNED: the file says {'ab' * 32}")):
        shown = shown_authorities(
            want, [ROOT, CLIENTS], {ROOT.reference: (actual,), CLIENTS.reference: ("ef" * 32, actual)}
        )
        lines = [line.strip(" │") for line in render_tree("dev", shown, NOW).splitlines() if "sha256" in line]
        assert lines == [f"sha256 {actual}  {remark}", f"sha256 {'ef' * 32}"]
        assert [one["pinned_sha256"] for one in as_json(shown)] == ["ab" * 32, None]


def test_those_kept_elsewhere_are_drawn_above_ours_with_what_stands_in_their_place() -> None:
    issuing = OutsideAuthority(label="company-issuing", subject=(("2.5.4.3", "Company Issuing CA"),))
    root = OutsideAuthority(label="company-root", sha256="ab" * 32)
    wanted = [
        replace(WANT.authorities[1], issuer="company-issuing", label=name, outside=(issuing, root))
        for name in ("one", "two")
    ]
    want = replace(WANT, authorities=tuple(wanted))
    there = [authority_as(one) for one in wanted]
    nothing_yet = shown_authorities(want, [], {})
    assert [(one.label, one.issuer, one.sha256) for one in nothing_yet[:2]] == [
        ("company-root", None, None), ("company-issuing", "company-root", None),
    ]  # fmt: skip
    assert "its certificate comes with the first one" in render_tree("dev", nothing_yet, NOW)
    prints = {
        there[0].reference: ("01" * 32, "02" * 32, "ab" * 32),
        there[1].reference: ("03" * 32, "04" * 32, "cd" * 32),
    }
    shown = shown_authorities(want, there, prints)
    tree = render_tree("dev", shown, NOW)
    assert tree.startswith("dev\n└── company-root  kept elsewhere\n")
    assert "    └── company-issuing  kept elsewhere\n        │   common_name=Company Issuing CA" in tree
    assert "        ├── one (generation 1)  ACTIVE" in tree
    assert f"sha256 {'ab' * 32}  as pinned" in tree
    assert f"sha256 {'cd' * 32}  NOT AS PINNED" in tree
    top = as_json(shown)[0]
    assert (top["external"], top["exists"], top["sha256"], top["pinned_sha256"]) == (True, True, "ab" * 32, "ab" * 32)


def test_an_older_generation_hangs_where_the_newest_does() -> None:
    newer = replace(WANT, authorities=(WANT.authorities[0], replace(WANT.authorities[1], generation=2)))
    shown = shown_authorities(newer, [ROOT, CLIENTS], {})
    tree = render_tree("dev", shown, NOW)
    assert "    ├── clients (generation 2)  does not exist" in tree
    assert "    └── clients (generation 1)  ACTIVE  an older generation" in tree
    assert [one["older_generation"] for one in as_json(shown)] == [False, False, True]


def test_the_tree_says_where_crl_and_ocsp_are_and_keeps_a_name_on_its_line() -> None:
    crl = CrlSettings(bucket="b", host="crl.example.com", validity_days=7, path="clients", complete=False)
    attributes = (
        ("0.9.2342.19200300.100.1.25", "com"),
        ("0.9.2342.19200300.100.1.25", "example"),
        ("2.5.4.3", "a\n└── b"),
    )
    odd = replace(CLIENTS, crl=crl, ocsp=True, subject_attributes=attributes)
    tree = render_tree("dev", shown_authorities(WANT, [ROOT, odd], {}), NOW)
    assert "crl 7d in s3://b, served at http://crl.example.com/clients/, in parts" in tree
    assert "domainComponent=com, domainComponent=example, common_name=a\\n└── b" in tree
    assert "ocsp at the host of the service" in tree
    (_, shown) = as_json(shown_authorities(WANT, [ROOT, odd], {}))
    assert [one["value"] for one in shown["subject_attributes"]] == ["com", "example", "a\n└── b"]
    assert (shown["crl"]["complete"], shown["ocsp"]) == (False, {"enabled": True, "host": None})
