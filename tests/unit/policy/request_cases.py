"""Requests by topic of the RFCs, each with the codes that refuse it under a profile; none where it is allowed.

A row is (topic and what it is, profile, request, codes). Codes without a dot are ``policy.`` codes.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import replace
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from pkiops.policy.rules import FromRequest, Profile, SanRule, SubjectRule, ValidityRule
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.duration import Duration
from tests.raw_csr import (
    BMP,
    BOOLEAN,
    CHALLENGE_PASSWORD,
    DIRECTORY,
    DNS,
    EDI_PARTY,
    EMAIL,
    IA5,
    IP,
    MS_EXTENSION_REQUEST,
    NULL,
    NUMERIC,
    OTHER_NAME,
    PRINTABLE,
    REGISTERED,
    SEQUENCE,
    SET,
    TELETEX,
    UNIVERSAL,
    URI,
    UTF8,
    X400,
    Key,
    RawCsr,
    RawExtension,
    dns,
    email,
    integer,
    ip,
    oid,
    spki_of,
    subject,
    tlv,
    uri,
)

P256 = ec.generate_private_key(ec.SECP256R1())
_OTHER = ec.generate_private_key(ec.SECP256R1())
RSA_2048 = rsa.generate_private_key(65537, 2048)
ONE, SPIFFE = "orders.svc.example.com", "spiffe://example.com/ns/shop/sa/orders"
_FROM_REQUEST = FromRequest(source="request")
SERVICE = Profile(
    authority="clients",
    validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
    subject=SubjectRule(organization="Example Ltd", common_name=_FROM_REQUEST),
    san=SanRule(
        dns=(
            "*.svc.example.com",
            "**.deep.example.com",
            "*.*.two.example.com",
            "exact.example.com",
            "*.xn--bcher-kva.example",
        ),
        uri=(
            "spiffe://example.com/ns/*/sa/*",
            "spiffe://deep.example.com/**",
            "https://example.com/app/*",
            "urn:example:one",
        ),
        ip=("10.1.0.0/16", "192.0.2.7", "2001:db8::/32"),
        email=("*@ops.example.com", "jane@*.example.org"),
    ),
)
PROFILES: dict[str, Profile] = {
    "service": SERVICE,
    "wild": replace(SERVICE, san=replace(SERVICE.san, wildcards=True)),
    "small": replace(SERVICE, san=replace(SERVICE.san, max_names=3, max_length=24)),
    "spiffe": replace(SERVICE, san=replace(SERVICE.san, required_kinds=("uri",))),
    "unnamed": replace(SERVICE, subject=SubjectRule(), san=replace(SERVICE.san, required=False)),
    "patterned": replace(
        SERVICE,
        subject=SubjectRule(common_name=FromRequest(source="request", patterns=("app-*", "system:node:**"))),
        san=replace(SERVICE.san, required=False),
    ),
    "team": replace(
        SERVICE, subject=SubjectRule(organizational_unit=FromRequest(source="request", patterns=("Team *", "Billing")), common_name=None)
    ),
    "template": replace(SERVICE, subject=SubjectRule(organizational_unit=FromRequest(source="names", template="{dns.0}"), common_name="fixed")),
    "curves": replace(SERVICE, keys=(KeyAlgorithm.EC_prime256v1, KeyAlgorithm.EC_secp521r1)),
    "nothing": replace(SERVICE, san=SanRule()),
}  # fmt: skip

Case: TypeAlias = tuple[str, str, bytes, frozenset[str]]
_CASES: list[Case] = []


def case(what: str, request: RawCsr | bytes, *codes: str, profile: str = "service") -> None:
    data = request if isinstance(request, bytes) else request.der()
    _CASES.append((what, profile, data, frozenset(one if "." in one else f"policy.{one}" for one in codes)))


def csr(names: tuple[tuple[int, bytes], ...] | None = dns(ONE), **changes: object) -> RawCsr:
    return RawCsr(**{"key": P256, "names": names, **changes})  # type: ignore[arg-type]


def cn(*values: str, tag: int = UTF8) -> tuple[tuple[tuple[str, int, bytes], ...], ...]:
    return subject(*(("CN", value) for value in values), tag=tag)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> RawExtension:
    return RawExtension(dotted, value, critical)


# a table
# fmt: off
# RFC 2986 and 2985: the request itself
_sound = csr().der()
case("2986 a sound request", _sound)
case("2986 sound in PEM", b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(_sound) + b"-----END CERTIFICATE REQUEST-----\n")
case("2986 another label", b"-----BEGIN NEW CERTIFICATE REQUEST-----\n" + base64.encodebytes(_sound) + b"-----END NEW CERTIFICATE REQUEST-----\n")
case("2986 signed by another key", csr(spki=spki_of(_OTHER)), "csr.proof-of-possession")
case("2986 last byte changed", _sound[:-1] + bytes([_sound[-1] ^ 1]), "csr.proof-of-possession")
case("2986 trailing bytes", _sound + b"\x00", "csr.malformed")
case("2986 cut off", _sound[:-10], "csr.truncated")
case("2986 empty", b"", "csr.not-pem")
case("2986 version 1", csr(version=1), "csr.malformed")
case("2986 version 2", csr(version=2), "csr.malformed")
case("2986 version -1", csr(version=-1), "csr.malformed")
case("2986 indefinite length", b"\x30\x80" + _sound[3:] + b"\x00\x00", "csr.not-pem")
case("2986 length in more octets than needed", b"\x30\x82\x00" + _sound[2:], "csr.malformed")
case("2986 too large", csr(attributes=(tlv(SEQUENCE, oid(CHALLENGE_PASSWORD), tlv(SET, tlv(UTF8, b"x" * 33_000))),)), "csr.too-big")
case("2985 challenge password", csr(attributes=(tlv(SEQUENCE, oid(CHALLENGE_PASSWORD), tlv(SET, tlv(UTF8, b"secret"))),)))
case("2985 unknown attribute", csr(attributes=(tlv(SEQUENCE, oid("1.2.3.4"), tlv(SET, tlv(NULL))),)))
case("2985 Microsoft's extension request", csr(request_oid=MS_EXTENSION_REQUEST))
_again = tlv(SEQUENCE, oid("1.2.840.113549.1.9.14"),
    tlv(SET, tlv(SEQUENCE, extension("2.5.29.17", tlv(SEQUENCE, tlv(DNS, b"evil.example.com"))).der())))
case("2985 two extension requests", csr(attributes=(_again,)), "csr.malformed")
_ms_again = _again.replace(oid("1.2.840.113549.1.9.14"), oid(MS_EXTENSION_REQUEST))
case("2985 one extension request of each kind",
     csr(attributes=(tlv(SEQUENCE, oid(MS_EXTENSION_REQUEST), _again[_again.index(b"\x31"):]),)), "csr.malformed")
case("2985 no attributes, no names", csr(None), "san-required")
case("7468 a private key beside the request",
     b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + b"-----BEGIN CERTIFICATE REQUEST-----\n"
     + base64.encodebytes(_sound) + b"-----END CERTIFICATE REQUEST-----\n", "csr.private-key")
_pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(_sound) + b"-----END CERTIFICATE REQUEST-----\n"
case("7468 two requests", _pem + _pem, "csr.several")
case("7468 text around it", b"Certificate Request:\n  Data:\n" + _pem + b"bye\n")
case("7468 another label", _pem.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"), "csr.wrong-pem-type")

# RFC 5280 section 4.1.2.4 and 4.1.2.6: subjects
for _name, _tag in (("UTF8String", UTF8), ("PrintableString", PRINTABLE), ("BMPString", BMP), ("UniversalString", UNIVERSAL), ("IA5String", IA5)):
    case(f"5280 4.1.2.4 common name as {_name}", csr(subject=cn(ONE, tag=_tag)))
case("5280 4.1.2.4 common name as TeletexString", csr(subject=cn(ONE, tag=TELETEX)))
case("5280 4.1.2.4 an empty common name", csr(subject=cn("")))
case("5280 4.1.2.4 control characters", csr(subject=cn(ONE + "\x1b[2J")), "csr.bad-name")
case("5280 4.1.2.4 a null character", csr(subject=cn("a\x00" + ONE)), "csr.bad-name")
case("5280 4.1.2.4 bidirectional override", csr(subject=cn("\u202e" + ONE)), "csr.bad-name")
case("5280 4.1.2.4 zero width space", csr(subject=cn("orders\u200b.svc.example.com")), "csr.bad-name")
case("5280 4.1.2.4 no UTF-8", csr(subject=((("CN", UTF8, b"\xff\xfe"),),)), "csr.malformed")
case("5280 4.1.2.4 country of three letters", csr(subject=subject(("C", "GBR"))))
case("5280 4.1.2.4 other attributes are ignored", csr(subject=subject(("O", "Evil Corp"), ("OU", "Admins"), ("L", "Mars"))))
case("5280 4.1.2.4 attributes of unknown type", csr(subject=subject(("1.2.3.4.5", "x"), ("UID", "root"), ("DC", "example"))))
case("5280 4.1.2.4 several attributes in one RDN", csr(subject=((("CN", UTF8, ONE.encode()), ("O", UTF8, b"x")),)))
case("5280 4.1.2.4 order does not matter", csr(subject=subject(("CN", ONE), ("C", "GB"))))
case("5280 4.1.2.6 an empty subject", csr())
case("5280 4.1.2.6 an empty subject and critical names", csr(critical_names=True))
case("5280 4.1.2.6 email in the subject is ignored", csr(subject=subject(("emailAddress", "root@example.com"), tag=IA5)))
case("5280 A.1 a common name of 64", csr(subject=cn("x" * 64)), "common-name-not-allowed")
case("5280 A.1 a common name of 65", csr(subject=cn("x" * 65)), "common-name-too-long")
case("9525 common name equals a name", csr(subject=cn(ONE)))
case("9525 common name in other case", csr(subject=cn(ONE.upper())))
case("9525 common name is another name", csr(subject=cn("other.svc.example.com")), "common-name-not-allowed")
case("9525 common name root", csr(subject=cn("root")), "common-name-not-allowed")
case("9525 two common names", csr(subject=cn(ONE, "admin")), "common-name-several")
case("9525 two equal common names", csr(subject=cn(ONE, ONE)), "common-name-several")
case("9525 common name equals a URI", csr(uri(SPIFFE), subject=cn(SPIFFE)))
case("9525 common name equals an address", csr(ip((10, 1, 2, 3)), subject=cn("10.1.2.3")))
case("9525 common name with a homograph", csr(subject=cn("\u043erders.svc.example.com")), "common-name-not-allowed")
case("9525 common name of a refused name",
     csr(dns("evil.example.com"), subject=cn("evil.example.com")), "san-dns-not-allowed", "common-name-not-allowed")
case("9525 common name with a trailing dot", csr(subject=cn(ONE + ".")), "common-name-not-allowed")
case("9525 common name alone", csr(None, subject=cn(ONE)), "san-required", "common-name-not-allowed")
for _cn, _codes in (("app-orders", ()), ("app-", ("common-name-not-allowed",)), ("app-a.b", ("common-name-not-allowed",)), ("system:node:n1.x", ()),
                    ("system:masters", ("common-name-not-allowed",)), ("system:node:", ("common-name-not-allowed",)),
                    ("app-x\u0301", ("common-name-not-allowed",)), ("APP-orders", ("common-name-not-allowed",)), ("app-a b",
                    ("common-name-not-allowed",))):
    case(f"patterned common name {_cn!r}", csr(None, subject=cn(_cn)), *_codes, profile="patterned")
case("patterned neither name nor common name", csr(None), "no-name", profile="unnamed")
case("patterned no name but a subject of the profile's", csr(None, subject=cn("app-1")), profile="patterned")
case("subject from the request", csr(subject=subject(("OU", "Team blue"))), profile="team")
case("subject from the request, a word", csr(subject=subject(("OU", "Billing"))), profile="team")
case("subject from the request, not allowed", csr(subject=subject(("OU", "Admins"))), "subject-not-allowed", profile="team")
case("subject from the request, twice", csr(subject=subject(("OU", "Billing"), ("OU", "Team blue"))), "subject-several", profile="team")
case("subject from the request, none", csr(), profile="team")
case("subject from the request, 65 characters", csr(subject=subject(("OU", "Team " + "x" * 60))), "subject-not-allowed", profile="team")
case("subject from names", csr(), profile="template")
case("subject from names, none of the kind", csr(uri(SPIFFE)), "subject-template", profile="template")
case("subject fixed, the request's ignored", csr(subject=cn("root")), profile="template")

# RFC 5280 section 4.2.1.6: names of other kinds, and how they are encoded
case("5280 4.2.1.6 an empty list of names", csr((), critical_names=True), "san-required")
_upn = tlv(OTHER_NAME, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(UTF8, b"root@example.com")))
case("5280 4.2.1.6 otherName", csr((*dns(ONE), (OTHER_NAME, _upn[2:]))), "san-unsupported")
case("5280 4.2.1.6 directoryName",
     csr((*dns(ONE), (DIRECTORY, tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, oid("2.5.4.3"), tlv(UTF8, b"x"))))))), "san-unsupported")
case("5280 4.2.1.6 registeredID", csr((*dns(ONE), (REGISTERED, oid("1.2.3")[2:]))), "san-unsupported")
case("5280 4.2.1.6 x400Address", csr((*dns(ONE), (X400, b""))), "csr.malformed")
case("5280 4.2.1.6 ediPartyName", csr((*dns(ONE), (EDI_PARTY, tlv(0xA1, tlv(UTF8, b"x"))))), "csr.malformed")
case("5280 4.2.1.6 an unknown tag", csr((*dns(ONE), (0x89, b"x"))), "csr.malformed")
case("5280 4.2.1.6 a name twice", csr(dns(ONE, ONE)))
case("5280 4.2.1.6 a name twice in other case", csr(dns(ONE, ONE.upper())))
case("5280 4.2.1.6 the extension twice", csr(extensions=(extension("2.5.29.17", tlv(SEQUENCE, tlv(DNS, b"exact.example.com"))),)), "csr.malformed")
case("5280 4.2.1.6 an address of 3 octets", csr(((IP, b"\x0a\x01\x02"),)), "csr.malformed")
case("5280 4.2.1.6 an address with a mask", csr(((IP, b"\x0a\x01\x00\x00\xff\xff\x00\x00"),)), "san-unsupported", "san-required")
case("5280 4.2.1.6 a name with a null", csr(((DNS, b"orders.svc.example.com\x00.evil.org"),)), "csr.bad-name")
case("5280 4.2.1.6 a name beyond ASCII", csr(((DNS, b"b\xc3\xbccher.example"),)), "csr.bad-name")
case("5280 4.2.1.6 an empty name", csr(((DNS, b""),)), "csr.bad-name")
case("5280 4.2.1.6 a space", csr(((DNS, b" "),)), "csr.bad-name")
case("5280 4.2.1.6 all four kinds", csr((*dns(ONE), *uri(SPIFFE), *ip((10, 1, 9, 9)), *email("a@ops.example.com"))))

# RFC 5280 sections 4.2.1.3, .9, .10, .12, .13: what else is asked for is the template's and the profile's to give
case("5280 4.2.1.9 CA:TRUE is ignored", csr(extensions=(extension("2.5.29.19", tlv(SEQUENCE, tlv(BOOLEAN, b"\xff")), critical=True),)))
case("5280 4.2.1.3 keyCertSign is ignored", csr(extensions=(extension("2.5.29.15", b"\x03\x02\x02\x04", critical=True),)))
case("5280 4.2.1.12 anyExtendedKeyUsage is ignored", csr(extensions=(extension("2.5.29.37", tlv(SEQUENCE, oid("2.5.29.37.0"))),)))
case("5280 4.2.1.12 codeSigning is ignored", csr(extensions=(extension("2.5.29.37", tlv(SEQUENCE, oid("1.3.6.1.5.5.7.3.3"))),)))
case("5280 4.2.1.10 name constraints are ignored", csr(extensions=(extension("2.5.29.30", tlv(SEQUENCE, tlv(0xA0, tlv(SEQUENCE, tlv(DNS, b"x"))))),)))
case("5280 4.2.1.13 a distribution point is ignored",
     csr(extensions=(extension("2.5.29.31", tlv(SEQUENCE, tlv(SEQUENCE, tlv(0xA0, tlv(0xA0, tlv(URI, b"http://x/")))))),)))
case("5280 4.2 an unknown critical extension is ignored", csr(extensions=(extension("1.2.3.4", b"\x05\x00", critical=True),)))
case("5280 4.2 an extension that is no DER", csr(extensions=(extension("2.5.29.19", b"\xff"),)), "csr.malformed")
case("7633 must-staple is ignored", csr(extensions=(extension("1.3.6.1.5.5.7.1.24", tlv(SEQUENCE, integer(5))),)))

# RFC 1034, 1123 and 5280: DNS names
for _dns, _code in (
    ("a.svc.example.com", ""), ("a-b.svc.example.com", ""), ("1.svc.example.com", ""), ("x" * 63 + ".svc.example.com", ""),
    ("svc.example.com", "san-dns-not-allowed"), ("a.b.svc.example.com", "san-dns-not-allowed"), ("asvc.example.com", "san-dns-not-allowed"),
    ("a.svc.example.com.evil.org", "san-dns-not-allowed"), ("a.svc.example.comx", "san-dns-not-allowed"), ("example.com", "san-dns-not-allowed"),
    ("localhost", "san-dns-not-allowed"), ("com", "san-dns-not-allowed"), ("a.deep.example.com", ""), ("a.b.c.deep.example.com", ""),
    ("deep.example.com", "san-dns-not-allowed"), ("a.b.two.example.com", ""), ("a.two.example.com", "san-dns-not-allowed"),
    ("a.b.c.two.example.com", "san-dns-not-allowed"), ("exact.example.com", ""), ("x.exact.example.com", "san-dns-not-allowed"),
    ("a.svc.example.com.", "csr.bad-name"), (".svc.example.com", "csr.bad-name"), ("a..svc.example.com", "csr.bad-name"),
    ("-a.svc.example.com", "csr.bad-name"), ("a-.svc.example.com", "csr.bad-name"), ("a_b.svc.example.com", "csr.bad-name"),
    ("a b.svc.example.com", "csr.bad-name"), ("x" * 64 + ".svc.example.com", "csr.bad-name"), ("10.1.2.3", "csr.bad-name"),
    (".".join(["abcdefg"] * 32) + ".deep.example.com", "csr.bad-name"), ("a/b.svc.example.com", "csr.bad-name"),
    ("a.svc.example.com\n", "csr.bad-name"),
    ("https://a.svc.example.com", "csr.bad-name"), ("a@svc.example.com", "csr.bad-name"),
):  # fmt: skip
    case(f"1034 {_dns[:24]!r} of {len(_dns)}", csr(dns(_dns)), *([_code] if _code else []))

# RFC 9525 section 6.3: wildcard names
for _dns, _plain, _wild in (
    ("*.svc.example.com", "san-wildcard", ""), ("*.deep.example.com", "san-wildcard", ""), ("*.a.deep.example.com", "san-wildcard", ""),
    ("*.exact.example.com", "san-wildcard", "san-dns-not-allowed"), ("*.example.com", "san-wildcard", "san-dns-not-allowed"),
    ("*.com", "san-wildcard", "san-dns-not-allowed"), ("*.b.two.example.com", "san-wildcard", ""), ("*", "csr.bad-name", "csr.bad-name"),
    ("a.*.two.example.com", "csr.bad-name", "csr.bad-name"), ("*.*.two.example.com", "csr.bad-name", "csr.bad-name"),
    ("a*.svc.example.com", "csr.bad-name", "csr.bad-name"), ("**.svc.example.com", "csr.bad-name", "csr.bad-name"),
):  # fmt: skip
    case(f"9525 wildcard {_dns}", csr(dns(_dns)), *([_plain] if _plain else []))
    case(f"9525 wildcard {_dns} where they are allowed", csr(dns(_dns)), *([_wild] if _wild else []), profile="wild")

# RFC 5890 to 5892: international names
for _dns, _code in (
    ("shop.xn--bcher-kva.example", ""), ("xn--strae-oqa.svc.example.com", ""), ("xn--80ak6aa92e.svc.example.com", ""),
    ("xn--.svc.example.com", "csr.bad-name"), ("xn--abc.svc.example.com", "csr.bad-name"), ("xn--99zzzz99.svc.example.com", "csr.bad-name"),
    ("xn--ls8h.svc.example.com", "csr.bad-name"), ("XN--BCHER-KVA.svc.example.com", ""), ("shop.bucher.example", "san-dns-not-allowed"),
    ("r3---sn.svc.example.com", ""),
):  # fmt: skip
    case(f"5891 {_dns}", csr(dns(_dns)), *([_code] if _code else []))

# RFC 3986 and the SPIFFE ID standard: URIs
for _uri, _code in (
    (SPIFFE, ""), ("spiffe://example.com/ns/a/sa/b/c", "san-uri-not-allowed"), ("spiffe://example.com/ns/a", "san-uri-not-allowed"),
    ("spiffe://evil.example/ns/a/sa/b", "san-uri-not-allowed"), ("spiffe://deep.example.com/a/b/c/d", ""),
    ("spiffe://example.com/ns/a/sa/..", "san-malformed"), ("spiffe://example.com/ns/./sa/b", "san-malformed"),
    ("spiffe://example.com/ns//sa/b", "san-malformed"), ("spiffe://example.com/ns/a/sa/b/", "san-malformed"),
    ("spiffe://example.com/ns/a%2Fb/sa/c", "san-malformed"), ("spiffe://Example.com/ns/a/sa/b", "san-malformed"),
    ("SPIFFE://example.com/ns/a/sa/b", "san-malformed"), ("spiffe://example.com:443/ns/a/sa/b", "san-malformed"),
    ("spiffe://u@example.com/ns/a/sa/b", "san-malformed"), ("spiffe://example.com/ns/a/sa/b?c=d", "san-malformed"),
    ("spiffe://example.com/ns/a/sa/b#c", "san-malformed"), ("spiffe://example.com", "san-malformed"), ("spiffe:///ns/a/sa/b", "san-malformed"),
    ("spiffe:example.com", "san-malformed"), ("spiffe://example.com/ns/" + "a" * 2048 + "/sa/b", "csr.bad-name"),
    ("https://example.com/app/x", ""), ("https://example.com/app/x/y", "san-uri-not-allowed"), ("https://example.com/app/", "san-uri-not-allowed"),
    ("https://example.com/app/..", "san-uri-not-allowed"), ("https://example.com/app/%2e%2e", "san-uri-not-allowed"),
    ("https://example.com@evil.org/app/x", "san-uri-not-allowed"), ("https://example.com.evil.org/app/x", "san-uri-not-allowed"),
    ("http://example.com/app/x", "san-uri-not-allowed"), ("https://example.com/app/x?y", "san-uri-not-allowed"), ("urn:example:one", ""),
    ("urn:example:two", "san-uri-not-allowed"), ("javascript:alert(1)", "san-uri-not-allowed"), ("no-scheme", "csr.bad-name"),
    ("https://example.com/app/a b", "csr.bad-name"), ("ldap://example.com/cn=x", "san-uri-not-allowed"),
):  # fmt: skip
    case(f"3986 {_uri[:60]!r}", csr(uri(_uri)), *([_code] if _code else []))
case("X.509-SVID two SPIFFE IDs", csr(uri(SPIFFE, "spiffe://deep.example.com/a")), "san-spiffe-several")
case("X.509-SVID a SPIFFE ID and another URI", csr(uri(SPIFFE, "https://example.com/app/x")), "san-spiffe-several")
case("X.509-SVID a SPIFFE ID and DNS names", csr((*uri(SPIFFE), *dns(ONE))))
case("X.509-SVID a URI is required", csr(), "san-kind-required", profile="spiffe")
case("X.509-SVID a URI is required and there", csr(uri(SPIFFE)), profile="spiffe")

# RFC 4632 and 4291: addresses
for _ip, _code in (
    ("10.1.0.0", ""), ("10.1.255.255", ""), ("10.2.0.0", "san-ip-not-allowed"), ("10.0.255.255", "san-ip-not-allowed"), ("192.0.2.7", ""),
    ("192.0.2.8", "san-ip-not-allowed"), ("127.0.0.1", "san-ip-not-allowed"), ("0.0.0.0", "san-ip-not-allowed"),
    ("255.255.255.255", "san-ip-not-allowed"),
    ("2001:db8::1", ""), ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ""), ("2001:db9::1", "san-ip-not-allowed"), ("::1", "san-ip-not-allowed"),
    ("::ffff:10.1.0.1", "san-ip-not-allowed"), ("fe80::1", "san-ip-not-allowed"),
):  # fmt: skip
    case(f"4291 {_ip}", csr(((IP, ipaddress.ip_address(_ip).packed),)), *([_code] if _code else []))

# RFC 5321: addresses of mail
for _mail, _code in (
    ("a@ops.example.com", ""), ("first.last+tag@ops.example.com", ""), ("a@OPS.example.com", ""), ("a@example.com", "san-email-not-allowed"),
    ("a@x.ops.example.com", "san-email-not-allowed"), ("jane@a.example.org", ""), ("Jane@a.example.org", "san-email-not-allowed"),
    ("john@a.example.org", "san-email-not-allowed"), ("jane@example.org", "san-email-not-allowed"), ("ops.example.com", "csr.bad-name"),
    ("@ops.example.com", "csr.bad-name"), ("a@b@ops.example.com", "csr.bad-name"), ("a b@ops.example.com", "csr.bad-name"),
    ("\"a\"@ops.example.com", "csr.bad-name"), ("a@[10.1.0.1]", "csr.bad-name"), ("x" * 65 + "@ops.example.com", "csr.bad-name"),
):  # fmt: skip
    case(f"5321 {_mail[:40]!r}", csr(email(_mail)), *([_code] if _code else []))
case("6531 an address beyond ASCII", csr(((EMAIL, "jos\u00e9@ops.example.com".encode()),)), "csr.bad-name")
case("8398 SmtpUTF8Mailbox",
     csr((*dns(ONE), (OTHER_NAME, oid("1.3.6.1.5.5.7.8.9") + tlv(0xA0, tlv(UTF8, "jos\u00e9@ops.example.com".encode()))))), "san-unsupported")

# counts and lengths
case("count 150 names", csr(dns(*(f"n{number}.svc.example.com" for number in range(150)))))
case("count 151 names", csr(dns(*(f"n{number}.svc.example.com" for number in range(151)))), "san-too-many")
case("count one good name and one bad", csr(dns(ONE, "evil.example.com")), "san-dns-not-allowed")
case("count 3 of 3", csr(dns("a.svc.example.com", "b.svc.example.com", "c.svc.example.com")), profile="small")
case("count 4 of 3", csr(dns(*(f"{name}.svc.example.com" for name in "abcd"))), "san-too-many", profile="small")
case("length 24 of 24", csr(dns("a" * 8 + ".svc.example.com")), profile="small")
case("length 25 of 24", csr(dns("a" * 9 + ".svc.example.com")), "san-too-long", profile="small")
case("nothing is allowed that is not listed", csr(), "san-dns-not-allowed", profile="nothing")
case("nothing is allowed, of any kind",
     csr((*uri(SPIFFE), *ip((10, 1, 0, 1)), *email("a@ops.example.com"))), "san-uri-not-allowed", "san-ip-not-allowed",
     "san-email-not-allowed", profile="nothing")

# RFC 8017, 5480, 8410: keys
_KEYS: tuple[tuple[str, Key, tuple[str, ...]], ...] = (
    ("8017 RSA 2048", RSA_2048, ()), ("8017 RSA 1024", rsa.generate_private_key(65537, 1024), ("key-not-allowed",)),  # noqa: S505 - weak on purpose
    ("8017 RSA 2048, exponent 3", rsa.generate_private_key(3, 2048), ("key-weak",)),
    ("5480 P-256", P256, ()), ("5480 P-384", ec.generate_private_key(ec.SECP384R1()), ()),
    ("5480 P-521", ec.generate_private_key(ec.SECP521R1()), ("key-not-allowed",)), ("5480 P-224", ec.generate_private_key(ec.SECP224R1()),
    ("key-not-allowed",)),
    ("5480 P-192", ec.generate_private_key(ec.SECP192R1()), ("key-not-allowed",)),
    ("secp256k1", ec.generate_private_key(ec.SECP256K1()), ("key-not-allowed",)),
    ("5639 brainpool", ec.generate_private_key(ec.BrainpoolP256R1()), ("key-not-allowed",)),
    ("8410 Ed25519", ed25519.Ed25519PrivateKey.generate(), ("key-not-allowed",)), ("8410 Ed448", ed448.Ed448PrivateKey.generate(),
    ("key-not-allowed",)),
)  # fmt: skip
for _what, _key, _wanted in _KEYS:
    case(f"key {_what}", csr(key=_key), *_wanted)
case("key P-384 where only two curves are allowed", csr(key=_KEYS[4][1]), "key-not-allowed", profile="curves")
case("key P-521 where it is allowed", csr(key=_KEYS[5][1]), profile="curves")
case("key RSA where only curves are allowed", csr(key=RSA_2048), "key-not-allowed", profile="curves")
case("key signed with SHA-384", csr(digest="SHA384"))
_point = spki_of(P256)
case("key a point that is not on the curve", csr(spki=_point[:-1] + bytes([_point[-1] ^ 1])), "csr.malformed")
case("key of an unknown algorithm", csr(spki=tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.3.4")), tlv(0x03, b"\x00\x01"))), "csr.malformed")
case("key the point at infinity", csr(spki=tlv(SEQUENCE, _point[2:23], tlv(0x03, b"\x00\x00"))), "csr.malformed")
case("everything wrong at once",
     csr((*dns("evil.example.org"), *uri("https://evil.example.org/")), subject=cn("root"), key=_KEYS[10][1]), "key-not-allowed",
     "san-dns-not-allowed", "san-uri-not-allowed", "common-name-not-allowed")

# fmt: on
CASES: tuple[Case, ...] = tuple(_CASES)
__all__ = ["CASES", "NUMERIC", "P256", "PROFILES", "SERVICE", "Case"]
