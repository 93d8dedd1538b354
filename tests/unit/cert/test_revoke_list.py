"""Lists of certificates to revoke, as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkiops.backends.interface import RevocationReason
from pkiops.cert.revoke import CertificateReference
from pkiops.cert.revoke_list import MAX_LIST_BYTES, BadRow, Wanted, argument_rows, list_rows, read_target
from pkiops.errors import InputError
from pkiops.x509.certificate import pem
from tests import builders

CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/abc"
LEAF = builders.end_entity(builders.root_ca("Root")).certificate
KEY, OLD = RevocationReason.KEY_COMPROMISE, RevocationReason.SUPERSEDED


def read(path: str) -> tuple[bytes, str]:
    with Path(path).open("rb") as stream:
        return stream.read(100_000), path


def rows(data: bytes, folder: Path = Path("/nowhere")) -> tuple[Wanted | BadRow, ...]:
    return list_rows(data, "a.txt", folder, OLD, read)


def wanted(data: bytes, folder: Path = Path("/nowhere")) -> list[Wanted]:
    found = rows(data, folder)
    return [one for one in found if isinstance(one, Wanted)]


def bad(data: bytes, folder: Path = Path("/nowhere")) -> list[tuple[str, str]]:
    return [(one.source, one.error.code) for one in rows(data, folder) if isinstance(one, BadRow)]


def test_a_line_is_a_serial_an_arn_or_a_file_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem(LEAF))
    data = b"\xef\xbb\xbf# incident 7\r\n\r\n  0x0A:FF  \r\n" + f"{CA}/certificate/0b\na.pem # stolen\n".encode()
    assert [(one.source, one.target) for one in wanted(data, tmp_path)] == [
        ("a.txt:3", 0x0AFF),
        ("a.txt:4", CertificateReference(CA, 0x0B)),
        ("a.txt:5", LEAF),
    ]
    assert bad(data, tmp_path) == []


def test_csv_has_a_reason_for_each_row_or_leaves_it_to_the_command() -> None:
    found = wanted(b'# c\nserial, reason\n0a,keyCompromise\n0b,\n0c\n"0d",keyCompromise\n')
    assert [(one.target, one.reason) for one in found] == [(10, KEY), (11, OLD), (12, OLD), (13, KEY)]
    assert [one.target for one in wanted(b"reason,serial\nkeyCompromise,0a\n")] == [10]
    assert [one.target for one in wanted(b"serial\n0a\n")] == [10]


def test_a_broken_line_is_named_and_spoils_no_other() -> None:
    lines = [b"serial,reason", b"0a", b"0b,stolen", b"0c,keyCompromise,x", b'"0d', b",keyCompromise", b"\xff\xfe"]
    data = b"\n".join([*lines, b"0" * 5000, b"a\x00b", b"-", b"0", b"x" * 4000, b"0e,superseded"])
    assert [one.target for one in wanted(data)] == [10, 14]
    assert bad(data) == [
        ("a.txt:3", "revoke-list.reason"),
        ("a.txt:4", "revoke-list.csv"),
        ("a.txt:5", "revoke-list.csv"),
        ("a.txt:6", "revoke-list.csv"),
        ("a.txt:7", "revoke-list.encoding"),
        ("a.txt:8", "revoke-list.too-long"),
        ("a.txt:9", "certificate.serial"),
        ("a.txt:10", "certificate.serial"),
        ("a.txt:11", "certificate.serial"),
        ("a.txt:12", "certificate.serial"),
    ]


def test_files_that_are_no_certificate_are_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("swordfish")
    (tmp_path / "0a").write_bytes(pem(LEAF))
    (tmp_path / "two.pem").write_bytes(pem(LEAF) * 2)
    (tmp_path / "folder").mkdir()
    found = rows(b"secret.txt\n0a\nfolder\n/dev/zero\n./0a\n", tmp_path)
    errors = [one.error for one in found if isinstance(one, BadRow)]
    assert [one.code for one in errors] == [
        "certificate.not-pem",
        "usage.arguments",
        "certificate.serial",
        "certificate.serial",
    ]
    assert "swordfish" not in "".join(f"{one.message}{one.hint}" for one in errors)
    assert [one.target for one in found if isinstance(one, Wanted)] == [LEAF]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "revoke-list.empty"),
        (b"# nothing\n\n", "revoke-list.empty"),
        (b"serial,reason\n", "revoke-list.empty"),
        (b"serial,why\n0a\n", "revoke-list.columns"),
        (b"serial,serial\n0a,0b\n", "revoke-list.columns"),
        (b"0a\n" * (MAX_LIST_BYTES // 3 + 1), "revoke-list.too-big"),
    ],
)
def test_a_list_that_is_none_is_refused_as_a_whole(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        rows(data)
    assert caught.value.code == code


@pytest.mark.parametrize("text", [f"{CA}/certificate/", f"{CA}/certificate/xy", "arn:aws/certificate/1\n2", f"{CA}"])
def test_an_arn_must_be_of_a_certificate(text: str) -> None:
    with pytest.raises(InputError):
        read_target(text, Path("/nowhere"), read)


def test_arguments_are_rows_too() -> None:
    found = list(argument_rows(["0a", "nonsense"], KEY, lambda word: read_target(word, Path("/nowhere"), read)))
    assert [(one.source, type(one)) for one in found] == [("argument 1", Wanted), ("argument 2", BadRow)]
