"""``pkiops ca disable|enable|delete|restore`` over the sandbox: what is said, what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner

from pkiops.cli.app import app
from pkiops.sandbox.engine.settings import Settings
from tests.cli.test_ca import edit, folder, pkiops, sandbox
from tests.cli.test_ca_adopt import arns, tags
from tests.sandbox_server import RunningSandbox, running_sandbox

__all__ = ["folder", "pkiops", "sandbox"]
ARCHIVE = "dev-clients-g1-archive"


@pytest.fixture
def cas(pkiops: Any, sandbox: RunningSandbox) -> dict[str, str]:
    """The hierarchy of the sample, applied: ARNs by label."""
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    return arns(sandbox)


def status(sandbox: RunningSandbox, arn: str) -> str:
    described = sandbox.client("acm-pca").describe_certificate_authority(CertificateAuthorityArn=arn)
    return str(described["CertificateAuthority"]["Status"])


def issue(pkiops: Any, name: str) -> str:
    """Issue a client certificate; its serial."""
    request = pkiops(
        *("cert", "request", "dev", "--profile", "service", "--san", f"dns:{name}.svc.dev.example.com"),
        *("--key", f"{name}.key", "--csr", f"{name}.csr"),
    )
    assert request.exit_code == 0, request.stderr
    issued = pkiops("cert", "issue", "dev", "--profile", "service", "--csr", f"{name}.csr", "--output", f"{name}.pem")
    assert issued.exit_code == 0, issued.stderr
    certificate = x509.load_pem_x509_certificates(Path(f"{name}.pem").read_bytes())[0]
    return f"{certificate.serial_number:x}"


def indexed(sandbox: RunningSandbox) -> set[str]:
    body = sandbox.client("s3").get_object(Bucket="example-pki-dev-trust", Key="dev/index.json")["Body"].read()
    return {one["authority"] for one in json.loads(body)["authorities"]}


def later(sandbox: RunningSandbox, by: timedelta) -> None:
    sandbox.clock.advance(by)  # type: ignore[attr-defined]


def test_disable_and_enable_say_what_stops_and_are_done_once(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    issue(pkiops, "a")
    disabled = pkiops("ca", "disable", "dev", "clients", "--yes")
    assert (disabled.exit_code, disabled.stdout) == (0, "done: disable dev/ca/clients\n")
    assert "live certificates below it: 1" in disabled.stderr
    assert "it issues nothing more; revoking, CRL and OCSP go on, and so does the bill" in disabled.stderr
    assert "nothing is issued by profile service" in disabled.stderr
    assert "write enabled: false" in disabled.stderr
    assert status(sandbox, cas["clients"]) == "DISABLED"
    assert "clients" in indexed(sandbox)

    again = pkiops("ca", "disable", "dev", "clients")
    assert again.exit_code == 0
    assert again.stdout.startswith("nothing to do: dev/ca/clients:")

    edit(folder, "    issuer: root\n", "    issuer: root\n    enabled: false\n")
    enabled = pkiops("ca", "enable", "dev", "clients", "--yes", "--format", "json")
    assert enabled.exit_code == 0, enabled.stderr
    body = json.loads(enabled.stdout)
    # that the file says otherwise is another digest of the index, so that one is written anew
    assert (body["kind"], body["done"][0]) == ("ca-enable", {"kind": "enable", "address": "dev/ca/clients"})
    assert "the file says enabled: false, so the next ca apply disables it again: write enabled: true" in enabled.stderr
    assert status(sandbox, cas["clients"]) == "ACTIVE"


def test_a_file_that_enables_is_told_of(pkiops: Any, folder: Path, cas: dict[str, str]) -> None:
    edit(folder, "    issuer: root\n", "    issuer: root\n    enabled: true\n")
    disabled = pkiops("ca", "disable", "dev", "clients", "--yes")
    assert "so the next ca apply enables it again: write enabled: false" in disabled.stderr
    assert "~ enable dev/ca/clients" in pkiops("ca", "plan", "dev").stdout


def test_disabling_a_root_names_what_is_below(pkiops: Any, cas: dict[str, str]) -> None:
    disabled = pkiops("ca", "disable", "dev", "root", "--yes")
    assert disabled.exit_code == 0
    assert "clients below it go on issuing, but can be neither renewed nor made anew" in disabled.stderr


@pytest.mark.parametrize("verb", ["disable", "enable", "delete", "restore"])
def test_nothing_is_done_without_consent(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str], verb: str) -> None:
    client, arn = sandbox.client("acm-pca"), cas["clients"]
    if verb != "disable":
        client.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    if verb == "restore":
        client.delete_certificate_authority(CertificateAuthorityArn=arn)
    before = status(sandbox, arn)
    result = pkiops("ca", verb, "dev", "clients")
    assert (result.exit_code, result.stdout) == (9, "")
    assert f"{verb} dev/ca/clients" in result.stderr
    assert "run again with --yes" in result.stderr
    assert status(sandbox, arn) == before
    assert not Path(ARCHIVE).exists()


def test_delete_archives_everything_first(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    serials = {issue(pkiops, "a"), issue(pkiops, "b")}
    assert pkiops("cert", "revoke", "dev", "a.pem", "--yes").exit_code == 0
    assert pkiops("ca", "disable", "dev", "clients", "--yes").exit_code == 0
    later(sandbox, timedelta(days=40))
    deleted = pkiops("ca", "delete", "dev", "clients", "--yes", "--days", "10")
    assert deleted.exit_code == 0, deleted.stderr
    assert deleted.stdout.splitlines() == [
        "done: delete dev/ca/clients",
        "done: update dev/index/authorities",
        f"reference: {cas['clients']}",
        f"archive: {ARCHIVE}",
        "restorable until: 2027-01-14T12:00:00Z",
        f"restore with: pkiops ca restore dev clients --arn {cas['clients']}",
    ]
    assert "saves USD 400 a month" in deleted.stderr
    assert "irreversible: restorable until 2027-01-14" in deleted.stderr
    assert "the file still declares it" in deleted.stderr
    assert status(sandbox, cas["clients"]) == "DELETED"
    assert indexed(sandbox) == {"root"}

    folder = Path(ARCHIVE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {one.relative_to(folder).as_posix(): one for one in folder.rglob("*") if one.is_file()}
    assert {stat.S_IMODE(one.stat().st_mode) for one in files.values()} == {0o600}
    kept = {
        name.removeprefix("certificates/").removesuffix(".pem") for name in files if name.startswith("certificates/")
    }
    assert kept == serials
    own = x509.load_pem_x509_certificate(files["authority.pem"].read_bytes())
    for serial in serials:
        certificate = x509.load_pem_x509_certificate(files[f"certificates/{serial}.pem"].read_bytes())
        certificate.verify_directly_issued_by(own)
    assert len(x509.load_pem_x509_certificates(files["chain.pem"].read_bytes())) == 1
    crl = x509.load_der_x509_crl(files["crl/authority.crl"].read_bytes())
    assert crl.is_signature_valid(own.public_key())  # type: ignore[arg-type]
    assert {row["serial"].replace(":", "") for row in json.loads(files["audit-report.json"].read_bytes())} == serials

    lines = [line.split("  ") for line in files["SHA256SUMS"].read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sums == {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if name not in {"manifest.json", "SHA256SUMS"}
    }
    manifest = json.loads(files["manifest.json"].read_text())
    assert manifest["sums_sha256"] == hashlib.sha256(files["SHA256SUMS"].read_bytes()).hexdigest()
    assert (manifest["complete"], manifest["certificates"], manifest["live_certificates"]) == (True, 2, 0)
    assert manifest["reference"] == cas["clients"]


def test_an_active_ca_is_not_deleted(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    result = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert result.exit_code == 9
    assert "is ACTIVE: what is in use is not deleted" in result.stderr
    assert "pkiops ca disable dev clients" in result.stderr
    assert status(sandbox, cas["clients"]) == "ACTIVE"


def test_live_certificates_hold_a_ca_back_until_told(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    serial = issue(pkiops, "a")
    pkiops("ca", "disable", "dev", "clients", "--yes")
    refused = pkiops("ca", "delete", "dev", "clients", "--yes", "--format", "json")
    assert refused.exit_code == 9
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["code"] == "ca.live-certificates"
    assert error["details"]["live"] == 1
    assert serial in error["message"]
    assert "--allow-live-certificates" in error["hint"]
    assert not Path(ARCHIVE).exists()
    assert status(sandbox, cas["clients"]) == "DISABLED"
    allowed = pkiops("ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates")
    assert allowed.exit_code == 0
    assert "live certificates below it: 1" in allowed.stderr
    assert status(sandbox, cas["clients"]) == "DELETED"


def test_a_ca_below_holds_a_root_back(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    pkiops("ca", "disable", "dev", "root", "--yes")
    refused = pkiops("ca", "delete", "dev", "root", "--yes")
    assert refused.exit_code == 9
    # its own certificate is in the report too, and hangs below nothing
    assert "has 1 live certificate (1 of them of CAs) below it, the last until 2031-11-25" in refused.stderr
    assert "CA CN=Example Dev Clients CA G1" in refused.stderr
    serial = x509.load_pem_x509_certificate(
        sandbox.client("acm-pca")
        .get_certificate_authority_certificate(CertificateAuthorityArn=cas["clients"])["Certificate"]
        .encode()
    ).serial_number
    assert "of a CA: aws acm-pca revoke-certificate" in refused.stderr
    later(sandbox, timedelta(hours=1))
    sandbox.client("acm-pca").revoke_certificate(
        CertificateAuthorityArn=cas["root"], CertificateSerial=f"{serial:x}", RevocationReason="CESSATION_OF_OPERATION"
    )
    deleted = pkiops("ca", "delete", "dev", "root", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert len(list(Path("dev-root-g1-archive/certificates").iterdir())) == 2


def test_a_report_from_before_the_disabling_is_not_enough(
    pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    client, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
    report = client.create_certificate_authority_audit_report(
        CertificateAuthorityArn=cas["clients"], S3BucketName="example-pki-dev-crl", AuditReportResponseFormat="JSON"
    )
    later(sandbox, timedelta(minutes=5))
    client.describe_certificate_authority_audit_report(
        CertificateAuthorityArn=cas["clients"], AuditReportId=report["AuditReportId"]
    )
    assert s3.get_object(Bucket="example-pki-dev-crl", Key=report["S3Key"])
    pkiops("ca", "disable", "dev", "clients", "--yes")
    early = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert early.exit_code == 6
    assert "run the same command again after 2026-11-25 12:30:00Z" in early.stderr
    assert status(sandbox, cas["clients"]) == "DISABLED"
    later(sandbox, timedelta(minutes=26))
    assert pkiops("ca", "delete", "dev", "clients", "--yes").exit_code == 0


def test_a_folder_of_something_else_is_not_touched(pkiops: Any, folder: Path, cas: dict[str, str]) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    (folder / ARCHIVE).mkdir()
    (folder / ARCHIVE / "holiday.jpg").write_bytes(b"x")
    refused = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert refused.exit_code == 9
    assert "exists and is not the archive of" in refused.stderr
    assert [one.name for one in (folder / ARCHIVE).iterdir()] == ["holiday.jpg"]
    assert pkiops("ca", "delete", "dev", "clients", "--yes", "--archive", "nowhere/x").exit_code == 2
    assert pkiops("ca", "delete", "dev", "clients", "--yes", "--archive", "kept").exit_code == 0
    assert (folder / "kept" / "manifest.json").exists()


def test_an_archive_that_was_interrupted_is_continued(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    serials = sorted([issue(pkiops, "a"), issue(pkiops, "b")])
    pkiops("ca", "disable", "dev", "clients", "--yes")
    bucket = {"Bucket": "example-pki-dev-crl", "Key": f"crl/{cas['clients'].rpartition('/')[2]}.crl"}
    s3 = sandbox.client("s3")
    good = s3.get_object(**bucket)["Body"].read()
    s3.put_object(**bucket, Body=b"not a CRL")
    command = ("ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates")
    failed = pkiops(*command)
    assert failed.exit_code == 8
    assert "nothing was deleted" in failed.stderr
    assert json.loads((folder / ARCHIVE / "manifest.json").read_text())["complete"] is False
    s3.put_object(**bucket, Body=good)
    certificates = folder / ARCHIVE / "certificates"
    (certificates / f"{serials[0]}.pem").write_bytes(b"cut of")
    (certificates / ".new-left").write_bytes(b"half")
    done = pkiops(*command)
    assert done.exit_code == 0, done.stderr
    assert sorted(one.stem for one in certificates.iterdir()) == serials
    mended = x509.load_pem_x509_certificate((certificates / f"{serials[0]}.pem").read_bytes())
    assert f"{mended.serial_number:x}" == serials[0]


def test_the_archive_of_another_ca_is_not_continued(pkiops: Any, cas: dict[str, str]) -> None:
    for label in ("clients", "root"):
        pkiops("ca", "disable", "dev", label, "--yes")
    assert pkiops("ca", "delete", "dev", "clients", "--yes", "--archive", "kept").exit_code == 0
    refused = pkiops("ca", "delete", "dev", "root", "--yes", "--allow-live-certificates", "--archive", "kept")
    assert refused.exit_code == 9
    assert "choose another folder" in refused.stderr


def test_deleting_again_changes_nothing(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    assert pkiops("ca", "delete", "dev", "clients", "--yes").exit_code == 0
    # as if the run had ended before the index was written
    sandbox.client("s3").delete_object(Bucket="example-pki-dev-trust", Key="dev/index.json")
    again = pkiops("ca", "delete", "dev", "clients")
    assert again.exit_code == 0
    assert "is DELETED already and can be restored until 2026-12-25" in again.stdout
    assert indexed(sandbox) == {"root"}


def test_a_deleted_ca_waits_in_the_plan_and_comes_back(
    pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    pkiops("ca", "delete", "dev", "clients", "--yes")
    planned = pkiops("ca", "plan", "dev")
    assert "! blocked dev/ca/clients" in planned.stdout
    assert "restore it (pkiops ca restore dev clients)" in planned.stdout
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 9
    assert len(sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]) == 2

    restored = pkiops("ca", "restore", "dev", "clients", "--yes")
    assert restored.exit_code == 0, restored.stderr
    assert restored.stdout.splitlines() == [
        "done: restore dev/ca/clients",
        "done: update dev/index/authorities",
        f"reference: {cas['clients']}",
        "status: DISABLED",
        "enable with: pkiops ca enable dev clients",
    ]
    assert "billed for the days in which it was deleted" in restored.stderr
    assert "costs USD 400 a month again" in restored.stderr
    assert indexed(sandbox) == {"root", "clients"}
    again = pkiops("ca", "restore", "dev", "clients")
    assert again.exit_code == 0
    assert "there is nothing to restore" in again.stdout
    assert pkiops("ca", "enable", "dev", "clients", "--yes").exit_code == 0
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0


def twin_of(sandbox: RunningSandbox, arn: str, token: str) -> str:
    """A CA with the same configuration, deleted at once; nobody can read its tags."""
    client = sandbox.client("acm-pca")
    described = client.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    twin = str(
        client.create_certificate_authority(
            CertificateAuthorityType=described["Type"],
            CertificateAuthorityConfiguration=described["CertificateAuthorityConfiguration"],
            IdempotencyToken=token,
            Tags=[{"Key": "team", "Value": "other"}],
        )["CertificateAuthorityArn"]
    )
    later(sandbox, timedelta(seconds=10))
    client.get_certificate_authority_csr(CertificateAuthorityArn=twin)
    client.delete_certificate_authority(CertificateAuthorityArn=twin)
    return twin


def test_two_candidates_are_named_and_none_is_chosen(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    twin = twin_of(sandbox, cas["clients"], "twin")
    pkiops("ca", "disable", "dev", "clients", "--yes")
    assert pkiops("ca", "delete", "dev", "clients", "--yes").exit_code == 0
    refused = pkiops("ca", "restore", "dev", "clients", "--yes", "--format", "json")
    assert refused.exit_code == 9
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["code"] == "ca.duplicate-deleted"
    assert sorted(error["details"]["references"]) == sorted([twin, cas["clients"]])
    restored = pkiops("ca", "restore", "dev", "clients", "--arn", cas["clients"], "--yes")
    assert restored.exit_code == 0, restored.stderr
    assert status(sandbox, twin) == "DELETED"
    # the place is taken now
    second = pkiops("ca", "restore", "dev", "clients", "--arn", twin, "--yes")
    assert second.exit_code == 9
    assert "would make two of it" in second.stderr


def test_a_restored_ca_of_somebody_else_is_reported(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    twin = twin_of(sandbox, cas["clients"], "twin")
    client = sandbox.client("acm-pca")
    client.untag_certificate_authority(CertificateAuthorityArn=cas["clients"], Tags=[{"Key": "pkiops:authority"}])
    result = pkiops("ca", "restore", "dev", "clients", "--yes")
    assert result.exit_code == 8
    assert "its tags are team=other" in result.stderr
    assert "adopt" in result.stderr
    assert status(sandbox, twin) == "PENDING_CERTIFICATE"


def test_after_the_window_there_is_nothing_to_restore(
    pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    pkiops("ca", "disable", "dev", "clients", "--yes")
    pkiops("ca", "delete", "dev", "clients", "--yes", "--days", "7")
    later(sandbox, timedelta(days=8))
    gone = pkiops("ca", "restore", "dev", "clients", "--yes")
    assert gone.exit_code == 6
    assert "no DELETED CA has the subject and type" in gone.stderr
    named = pkiops("ca", "restore", "dev", "clients", "--arn", cas["clients"], "--yes")
    assert named.exit_code == 6
    assert "gone for ever" in named.stderr


def test_an_authority_that_left_the_file_is_retired_by_its_name(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    path = folder / "environments" / "dev.yaml"
    text = path.read_text()
    start, end = text.index("  clients:\n"), text.index("profiles:\n")
    path.write_text(text[:start] + "\n" + text[end : text.index("profiles:\n")] + "trust:" + text.split("trust:")[2])
    assert pkiops("env", "validate", "dev").exit_code == 0
    assert pkiops("ca", "disable", "dev", "clients", "--yes").exit_code == 0
    deleted = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert "the file still declares it" not in deleted.stderr
    assert f"restore with: pkiops ca restore dev clients --generation 1 --arn {cas['clients']}" in deleted.stdout
    unnamed = pkiops("ca", "restore", "dev", "clients", "--yes")
    assert unnamed.exit_code == 2
    assert cas["clients"] in unnamed.stderr
    restored = pkiops("ca", "restore", "dev", "clients", "--generation", "1", "--arn", cas["clients"], "--yes")
    assert restored.exit_code == 0, restored.stderr
    assert tags(sandbox, cas["clients"])["pkiops:authority"] == "clients"


def test_an_older_generation_is_chosen_by_its_number(
    pkiops: Any, folder: Path, sandbox: RunningSandbox, cas: dict[str, str]
) -> None:
    edit(
        folder,
        "    subject: {common_name: Example Dev Clients CA G1,",
        "    generation: 2\n    subject: {common_name: Example Dev Clients CA G2,",
    )
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    assert pkiops("ca", "disable", "dev", "clients", "--generation", "1", "--yes").exit_code == 0
    assert status(sandbox, cas["clients"]) == "DISABLED"
    deleted = pkiops("ca", "delete", "dev", "clients", "--generation", "1", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert Path("dev-clients-g1-archive/manifest.json").exists()
    assert pkiops("ca", "plan", "dev", "--detailed-exitcode").exit_code == 0
    missing = pkiops("ca", "disable", "dev", "clients", "--generation", "3", "--yes")
    assert missing.exit_code == 6
    assert "it exists in generation 2" in missing.stderr


def test_what_does_not_exist_is_said(pkiops: Any, cas: dict[str, str]) -> None:
    for verb in ("disable", "enable", "delete"):
        result = pkiops("ca", verb, "dev", "servers", "--yes")
        assert result.exit_code == 6
        assert "dev has clients, root" in result.stderr
    foreign = pkiops("ca", "delete", "dev", "clients", "--arn", cas["root"], "--yes")
    assert foreign.exit_code == 9
    assert "its tags are" in foreign.stderr
    assert pkiops("ca", "delete", "dev", "clients", "--days", "31", "--yes").exit_code == 2


def test_a_ca_without_certificate_is_deleted_without_archive(
    pkiops: Any, folder: Path, sandbox: RunningSandbox
) -> None:
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    client = sandbox.client("acm-pca")
    edit(
        folder,
        "    subject: {common_name: Example Dev Clients CA G1,",
        "    generation: 2\n    subject: {common_name: Example Dev Clients CA G2,",
    )
    pkiops("ca", "disable", "dev", "root", "--yes")
    described = client.describe_certificate_authority(CertificateAuthorityArn=arns(sandbox)["clients"])
    configuration = described["CertificateAuthority"]["CertificateAuthorityConfiguration"]
    configuration["Subject"]["CommonName"] = "Example Dev Clients CA G2"
    identity = {"environment": "dev", "authority": "clients", "generation": "2"}
    pending = client.create_certificate_authority(
        CertificateAuthorityType="SUBORDINATE",
        CertificateAuthorityConfiguration=configuration,
        Tags=[{"Key": f"pkiops:{key}", "Value": value} for key, value in identity.items()],
    )["CertificateAuthorityArn"]
    later(sandbox, timedelta(seconds=10))
    assert pkiops("ca", "enable", "dev", "clients", "--yes").exit_code == 6
    refused = pkiops("ca", "disable", "dev", "clients", "--yes")
    assert refused.exit_code == 6
    assert "PENDING_CERTIFICATE and cannot be disabled" in refused.stderr
    deleted = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert not list(folder.glob("*-archive"))
    assert "archive" not in deleted.stdout
    restored = pkiops("ca", "restore", "dev", "clients", "--yes")
    assert "status: PENDING_CERTIFICATE" in restored.stdout
    assert status(sandbox, pending) == "PENDING_CERTIFICATE"


def test_an_expired_ca_is_deleted_with_what_there_is(pkiops: Any, sandbox: RunningSandbox, cas: dict[str, str]) -> None:
    issue(pkiops, "a")
    later(sandbox, timedelta(days=6 * 365))
    assert status(sandbox, cas["clients"]) == "EXPIRED"
    refused = pkiops("ca", "disable", "dev", "clients", "--yes")
    assert refused.exit_code == 6
    assert "pkiops ca renew dev clients" in refused.stderr
    deleted = pkiops("ca", "delete", "dev", "clients", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert "the service makes no audit report of an EXPIRED CA" in deleted.stderr
    manifest = json.loads(Path(ARCHIVE, "manifest.json").read_text())
    assert (manifest["audit_report"], manifest["crls"]) == (None, ["crl/authority.crl"])


def test_a_failed_ca_is_found_by_its_subject_and_gone_at_once(folder: Path) -> None:
    with running_sandbox(settings=Settings(failed_creations={2: "OTHER"})) as sandbox:

        def run(*arguments: str) -> Any:
            return CliRunner().invoke(app, list(arguments), env={"PKIOPS_SANDBOX_URL": sandbox.url})

        assert run("ca", "apply", "dev", "--yes").exit_code == 7
        planned = run("ca", "plan", "dev")
        assert "FAILED and never recovers: delete it (pkiops ca delete dev clients)" in planned.stdout
        deleted = run("ca", "delete", "dev", "clients", "--yes")
        assert deleted.exit_code == 0, deleted.stderr
        assert "gone at once and cannot be restored" in deleted.stderr
        assert "restorable" not in deleted.stdout
        assert "wait five minutes before the next ca apply" in deleted.stderr
        later(sandbox, timedelta(minutes=5, seconds=1))
        assert run("ca", "apply", "dev", "--yes").exit_code == 0


def test_the_parts_of_a_partitioned_crl_are_kept(pkiops: Any, folder: Path, sandbox: RunningSandbox) -> None:
    edit(folder, "    crl: {validity: 7d}", "    crl: {validity: 7d, type: PARTITIONED, path: parts}")
    edit(folder, "revocation: chain", "revocation: none")
    assert pkiops("ca", "apply", "dev", "--yes").exit_code == 0
    issue(pkiops, "a")
    bucket = "example-pki-dev-crl"
    s3 = sandbox.client("s3")
    parts = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="parts/")["Contents"]]
    s3.put_object(Bucket=bucket, Key="parts/other.crl", Body=b"somebody else's")
    pkiops("ca", "disable", "dev", "clients", "--yes")
    deleted = pkiops("ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates")
    assert deleted.exit_code == 0, deleted.stderr
    kept = sorted(one.name for one in Path(ARCHIVE, "crl").iterdir())
    assert kept == sorted(key.rpartition("/")[2] for key in parts)
    assert len(kept) == 1
