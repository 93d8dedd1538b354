"""An accepted issuance that comes to nothing."""

from __future__ import annotations

from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Pace
from tests.unit.sandbox.ocsp_requests import ask, read, request_for_serial
from tests.unit.sandbox.test_extensions import load_authority
from tests.unit.sandbox.test_ocsp import OCSP
from tests.unit.sandbox.world import World, csr

PACE = Pace(creating_polls=0, certificate_polls=1)


def test_it_fails_once_it_would_have_been_ready() -> None:
    world = World(pace=PACE, settings=Settings(late_failures=frozenset({1, 3})))
    arn = world.create()
    request = {"CertificateAuthorityArn": arn}
    for turn in range(1, 5):
        certificate_arn = world.issue(arn, world.authority_csr(arn), "arn:aws:acm-pca:::template/RootCACertificate/V1")
        request["CertificateArn"] = certificate_arn
        world.refused("RequestInProgressException", "GetCertificate", **request)
        if turn in {1, 3}:
            message = world.refused("RequestFailedException", "GetCertificate", **request)
            assert certificate_arn in message
            world.refused("RequestFailedException", "GetCertificate", **request)
        else:
            assert world.get(arn, certificate_arn)["Certificate"]


def test_what_failed_was_never_issued() -> None:
    world = World(settings=Settings(late_failures=frozenset({2})))
    arn = world.root(RevocationConfiguration=OCSP)
    serial = world.issue(arn, csr(), IdempotencyToken="t").rpartition("/")[2]
    world.refused(
        "ResourceNotFoundException",
        "RevokeCertificate",
        CertificateAuthorityArn=arn,
        CertificateSerial=serial,
        RevocationReason="SUPERSEDED",
    )
    response = read(ask(world, request_for_serial(load_authority(world, arn), int(serial, 16))))
    assert response.certificate_status.name == "UNKNOWN"
    # its token still names it, as the first answer did
    assert world.issue(arn, csr(), IdempotencyToken="t").endswith(serial)
    assert world.issued(arn, csr()).serial_number
