"""Entries of CRLs: odd ones crash nothing, and openssl reads the same out of ten thousand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pkiops.errors import InputError
from pkiops.x509.crl import read_crls
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.revoked import RevokedEntry, RevokedSerials, revoked_entries, revoked_entry
from tests.builders import AT, key, root_ca
from tests.raw_crl import CERTIFICATE_ISSUER_OID, REASON_OID, REVOKED_AT, crl_der, entry, random_entries, reason
from tests.raw_csr import SEQUENCE, RawExtension, tlv
from tests.seeded import seeded

KEY = key()
ROOT = root_ca(private_key=KEY)
FAR = b"\x18\x0f20510101000000Z"
INVALID_SINCE = RawExtension("2.5.29.24", b"\x18\x0f20200101000000Z")
UNKNOWN = RawExtension("1.2.3.4", b"\x05\x00", critical=True)
OF_ANOTHER_CA = RawExtension(CERTIFICATE_ISSUER_OID, b"\x30\x00", critical=True)


def der_of(*entries: bytes) -> bytes:
    return crl_der(KEY, ROOT.name.public_bytes(), entries, this_update=AT)


def loaded(*entries: bytes) -> LoadedCrl:
    (found,) = read_crls(der_of(*entries), "a.crl")
    return found


# what it is: (an entry, its serial number, its reason)
ODD: dict[str, tuple[bytes, int, str | None]] = {
    "no reason": (entry(5), 5, None),
    "a reason": (entry(5, reason(1)), 5, "keyCompromise"),
    "reason 7, which is not used": (entry(5, reason(7)), 5, "unreadable"),
    "reason 99": (entry(5, reason(99)), 5, "unreadable"),
    "a reason that is not minimal": (entry(5, RawExtension(REASON_OID, b"\x0a\x02\x00\x01")), 5, "unreadable"),
    "a reason that is none": (entry(5, RawExtension(REASON_OID, b"\x05\x00")), 5, "unreadable"),
    "two reasons": (entry(5, reason(1), reason(3)), 5, "unreadable"),
    "a critical reason": (entry(5, RawExtension(REASON_OID, b"\x0a\x01\x04", critical=True)), 5, "superseded"),
    "an unknown critical extension": (entry(5, UNKNOWN, reason(1)), 5, "keyCompromise"),
    "of another CA": (entry(5, OF_ANOTHER_CA, reason(1)), 5, "keyCompromise"),
    "an invalidity date": (entry(5, INVALID_SINCE, reason(6)), 5, "certificateHold"),
    "serial 0": (entry(0), 0, None),
    "serial -1": (entry(-1, reason(1)), -1, "keyCompromise"),
    "serial -128": (entry(-128), -128, None),
    "serial of 100 octets": (entry(b"\x01" * 100), int.from_bytes(b"\x01" * 100, "big"), None),
    "serial of 200 octets": (entry(b"\x7f" * 200, reason(3)), int.from_bytes(b"\x7f" * 200, "big"), "affiliationChanged"),
    "serial of 70,000 octets": (entry(b"\x02" * 70_000), int.from_bytes(b"\x02" * 70_000, "big"), None),
    "long extensions": (entry(5, RawExtension("1.2.3.5", tlv(0x04, bytes(300))), reason(9)), 5, "privilegeWithdrawn"),
}  # fmt: skip


@pytest.mark.parametrize("odd", [pytest.param(one, id=name) for name, one in ODD.items()])
def test_odd_entries_are_revoked_all_the_same(odd: tuple[bytes, int, str | None]) -> None:
    made, serial, why = odd
    found = loaded(entry(77), made, entry(78, reason(1)))
    expected = RevokedEntry(REVOKED_AT, why)
    assert list(revoked_entries(found))[1] == (serial, expected)
    assert revoked_entry(found.crl, serial) == expected
    serials = RevokedSerials(found.der)
    assert set(serials) == {77, serial, 78}
    assert all(one in serials for one in (77, serial, 78))
    assert not {serial + 1, -serial - 5, 2**200} & set(serials)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(entry(b"\x00\x05"), id="padded serial"),
        pytest.param(entry(b"\xff\x85"), id="padded negative serial"),
        pytest.param(entry(b""), id="empty serial"),
        pytest.param(entry(5, at=b"\x17\x0c209901000000"), id="no time"),
        pytest.param(entry(5)[:-1] + b"\x05", id="damaged time"),
        pytest.param(b"\x05\x00", id="null"),
        pytest.param(tlv(SEQUENCE, b"\x02\x01\x05"), id="no date"),
    ],
)
def test_what_is_no_entry_is_one_clear_error(wrong: bytes) -> None:
    with pytest.raises(InputError) as caught:
        loaded(entry(77), wrong)
    assert caught.value.code == "crl.malformed"


def test_a_date_after_2049_and_none_at_all() -> None:
    ((_, far),) = revoked_entries(loaded(entry(5, at=FAR)))
    assert far.date.year == 2051
    assert list(revoked_entries(loaded())) == []
    assert 0 not in RevokedSerials(loaded().der)


def test_a_serial_that_is_there_twice_is_listed_twice_and_counted_once() -> None:
    found = loaded(entry(5, reason(1)), entry(5))
    assert [serial for serial, _ in revoked_entries(found)] == [5, 5]
    assert len(RevokedSerials(found.der)) == 1
    assert revoked_entry(found.crl, 5) == RevokedEntry(REVOKED_AT, "keyCompromise")


def test_more_kinds_of_extensions_than_are_remembered() -> None:
    made = [entry(n, RawExtension("1.2.3.5", n.to_bytes(4, "big")), reason(n % 7)) for n in range(1500)]
    names = ["unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
             "certificateHold"]  # fmt: skip
    assert [one.reason for _, one in revoked_entries(loaded(*made))] == [names[n % 7] for n in range(1500)]


@seeded(100)
@given(st.lists(st.integers(-(2**170), 2**170), max_size=40), st.integers(-(2**170), 2**170))
def test_lookups_and_lists_agree_with_what_was_written(serials: list[int], other: int) -> None:
    found = loaded(*(entry(one) for one in serials))
    assert [serial for serial, _ in revoked_entries(found)] == serials
    looked = RevokedSerials(found.der)
    assert set(looked) == set(serials)
    assert (other in looked) is (other in serials)
    assert (revoked_entry(found.crl, other) is not None) is (other in serials)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_reads_the_same_out_of_ten_thousand(tmp_path: Path) -> None:
    entries, serials = random_entries(10_000, 13)
    made = der_of(entries)
    (tmp_path / "a.crl").write_bytes(made)
    command = ["openssl", "crl", "-inform", "DER", "-in", str(tmp_path / "a.crl"), "-noout", "-text"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    theirs = re.findall(r"Serial Number: ([0-9A-F]+)\s+Revocation Date: .*\n.*\n.*X509v3 CRL Reason Code:\s+(.*)", text)
    words = {"Key Compromise": "keyCompromise", "Affiliation Changed": "affiliationChanged", "Superseded": "superseded",
             "Cessation Of Operation": "cessationOfOperation"}  # fmt: skip
    (found,) = read_crls(made, "a.crl")
    ours = [(serial, one.reason) for serial, one in revoked_entries(found)]
    assert ours == [(int(serial, 16), words[why.strip()]) for serial, why in theirs]
    assert [serial for serial, _ in ours] == serials
    assert set(RevokedSerials(made)) == set(serials)
    (again,) = read_crls(found.crl.public_bytes(Encoding.PEM), "a.pem")
    assert again.der == made
