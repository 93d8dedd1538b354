"""What each persona does with its role's credentials, and what makes it need all of its policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from pkiops.environment.models import Persona
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.csr import build_csr
from pkiops.x509.keys import generate_private_key, private_key_pem
from pkiops.x509.names import build_name
from pkiops.x509.san import SanKind, SubjectAltName
from tests.aws.persona_world import (
    CHANGED,
    CRL_BUCKET,
    LEDGER_TABLE,
    MORE,
    TRUST_BUCKET,
    World,
    environment_text,
    without_policy,
)

Credentials = Mapping[str, Any]
# what a role could not do, or nothing: it could do all
Refusal = str | None
_DENIED = (6, 7)


def prepare(world: World) -> None:
    """Hierarchies of two environments, requests of two kinds, a certificate to revoke; all by the administrator."""
    world.done("ca", "apply", "dev", "--yes")
    _issue_a_leaf(world)


def _issue_a_leaf(world: World) -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    for name, subject in (("same", {"organization": "Example Ltd"}), ("other", {})):
        host = f"{name}.svc.dev.example.com"
        csr = build_csr(key, build_name({**subject, "common_name": host}), [SubjectAltName(SanKind.DNS, host)])
        (world.folder / f"{name}.csr").write_bytes(csr)
    (world.folder / "leaf.key").write_bytes(private_key_pem(key))
    world.done(
        "cert", "issue", "dev", "--profile", "service", "--csr", "@same.csr", "--output", "@leaf.pem", "--overwrite"
    )


def work(persona: Persona, world: World, credentials: Credentials) -> Refusal:
    """All that the persona does; the first thing that was refused.

    Raises:
        AssertionError: something went wrong that is no refusal.
    """
    world.somebody_creates_a_ca()
    return next((refusal for refusal in _WORK[persona](world, credentials) if refusal), None)


def _said(world: World, credentials: Credentials, *words: str) -> Refusal:
    """One call that is done or refused for lack of a permission."""
    result = world.run(credentials, *words)
    if result.exit_code == 0:
        return None
    assert result.exit_code in _DENIED, (words, result.output)
    assert any(text in result.output for text in ("AccessDenied", "we may not look at it")), (words, result.output)
    return f"{' '.join(words)}: {result.output}"


def _provisioner(world: World, credentials: Credentials) -> Iterator[Refusal]:
    yield _said(world, credentials, "ca", "plan", "dev")
    yield _said(world, credentials, "ca", "apply", "dev", "--yes")
    yield _said(world, credentials, "ca", "show", "dev")
    yield _said(world, credentials, "ca", "plan", "dev", "--detailed-exitcode")
    # somebody switches off what protects the ledger, in which there is a certificate to count by now
    _issue_a_leaf(world)
    world.sandbox.client("dynamodb").update_table(TableName=LEDGER_TABLE, DeletionProtectionEnabled=False)
    world.write(without_policy(environment_text(changes=CHANGED)))
    yield _said(world, credentials, "ca", "apply", "dev", "--yes")
    # somebody takes the tags off a CA that is ACTIVE: it has to be adopted
    arn = world.authorities()["dev/clients"]
    tags = [{"Key": f"pkiops:{name}"} for name in ("environment", "authority", "generation")]
    world.sandbox.client("acm-pca").untag_certificate_authority(CertificateAuthorityArn=arn, Tags=tags)
    yield _said(world, credentials, "ca", "adopt", "dev", "clients", arn, "--yes")
    # somebody claimed a CA and died: the claim has to be read before it is replaced
    world.write(without_policy(environment_text(changes=CHANGED)).replace("profiles:\n", MORE))
    world.sandbox.client("s3").put_object(Bucket=TRUST_BUCKET, Key="dev/claims/more/1.json", Body=b"{}")
    world.clock.advance(timedelta(minutes=11))
    yield _said(world, credentials, "ca", "apply", "dev", "--yes")


def _issuer(world: World, credentials: Credentials) -> Iterator[Refusal]:
    # the ledger is shared: a request that it knows needs no right to issue
    request_id = f"{world.strangers}"
    for csr in ("@same.csr", "@other.csr"):
        order = ("--profile", "service", "--csr", csr, "--output", "issued.pem", "--request-id", request_id)
        yield _said(world, credentials, "cert", "issue", "dev", *order)
    key = ("--key", "@leaf.key", "--output", "@leaf.pem", "--overwrite", "--validity", f"{world.strangers + 1}d")
    yield _said(world, credentials, "cert", "renew", "dev", "@leaf.pem", *key)


def _revoker(world: World, credentials: Credentials) -> Iterator[Refusal]:
    yield _said(world, credentials, "cert", "revoke", "dev", "@leaf.pem", "--reason", "superseded", "--yes")


def _publisher(world: World, credentials: Credentials) -> Iterator[Refusal]:
    empty(world, TRUST_BUCKET, "dev/crl/")
    yield _said(world, credentials, "crl", "publish", "dev")
    yield _said(world, credentials, "crl", "publish", "dev")
    yield _said(world, credentials, "trust", "render", "dev", "--to", f"@trust-{world.strangers}")
    yield _removal(world, credentials)
    # a CA whose first CRL is still to come: that, and no lack of a permission, has to be the answer
    crl = f"crl/{world.authorities()['dev/root'].rpartition('/')[2]}.crl"
    s3 = world.sandbox.client("s3")
    kept = s3.get_object(Bucket=CRL_BUCKET, Key=crl)["Body"].read()
    empty(world, CRL_BUCKET, crl)
    try:
        missing = world.run(credentials, "crl", "publish", "dev")
    finally:
        s3.put_object(Bucket=CRL_BUCKET, Key=crl, Body=kept)
    assert missing.exit_code in {8, *_DENIED}, missing.output
    yield None if missing.exit_code == 8 else missing.output


def _removal(world: World, credentials: Credentials) -> Refusal:
    """An anchor leaves a bundle: what lives below it is counted in the ledger, in which nothing does."""
    (path, *_) = (world.folder / f"trust-{world.strangers}").rglob("MANIFEST.json")
    document = json.loads(path.read_text())
    gone = {**document["certificates"][0], "subject": "CN=Gone", "sha256": "0" * 64, "ski": "00" * 20}
    path.write_text(json.dumps({**document, "certificates": [*document["certificates"], gone]}))
    result = world.run(credentials, "trust", "render", "dev", "--to", f"@trust-{world.strangers}")
    if result.exit_code == 9:
        assert "the ledger cannot be read" in result.output
        assert "AccessDenied" in result.output
        return result.output
    assert result.exit_code == 0, result.output
    assert "no live certificate is below it" in result.output
    return None


def _auditor(world: World, credentials: Credentials) -> Iterator[Refusal]:
    yield _said(world, credentials, "ca", "show", "dev")
    yield _said(world, credentials, "ca", "cost", "dev")
    yield _said(world, credentials, "inventory", "export", "dev", "--format", "json", "--output", "inventory.json")
    for search in (
        ("--name", "same.svc.dev.example.com"),
        ("--serial", "abc"),
        ("--authority", "clients"),
        ("--state", "open"),
        ("--expiring-before", "2027-01-31T00:00:00Z"),
    ):
        yield _said(world, credentials, "cert", "list", "dev", *search)
    yield _not_looked_at(world, credentials)
    entry = _entry_of_the_leaf(world)
    yield _said(world, credentials, "cert", "show", entry, "--env", "dev")
    doctor = world.run(credentials, "ca", "doctor", "dev", "--no-probe", "--format", "json")
    assert doctor.exit_code == 0, doctor.output
    findings = json.loads(doctor.stdout)["findings"]
    yield next((str(one["message"]) for one in findings if one["code"] == "access.denied"), None)


def _not_looked_at(world: World, credentials: Credentials) -> Refusal:
    """What ``crl status`` could not look at for lack of a permission: that is no failure of it."""
    result = world.run(credentials, "crl", "status", "dev", "--format", "json")
    if result.exit_code != 0:
        assert result.exit_code in _DENIED, result.output
        return result.output
    skipped = json.loads(result.stdout)["skipped"]
    return next((str(one["reason"]) for one in skipped if "AccessDenied" in one["reason"]), None)


def _entry_of_the_leaf(world: World) -> str:
    found = world.done("cert", "list", "dev", "--name", "same.svc.dev.example.com", "--format", "json")
    return str(json.loads(found.stdout)["entries"][0]["entry"])


def _relying_party(world: World, credentials: Credentials) -> Iterator[Refusal]:
    """No command of a relying party's own exists yet: what it will read and write, and nothing of it by listing."""
    s3 = world.sandbox.client_as(credentials, "s3")
    user = world.sandbox.client_as(credentials, "sts").get_caller_identity()["UserId"]
    for key in ("dev/index.json", "dev/crl/current.json"):
        yield refusal_of(partial(s3.get_object, Bucket=TRUST_BUCKET, Key=key))
    yield refusal_of(lambda: s3.put_object(Bucket=TRUST_BUCKET, Key=f"dev/acks/{user}/services.json", Body=b"{}"))


def refusal_of(call: Callable[[], object]) -> Refusal:
    """What a call that is made or refused for lack of a permission was answered."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException", "403"}:
            raise
        return str(error)
    return None


def empty(world: World, bucket: str, prefix: str) -> None:
    """Remove every object below a prefix."""
    s3 = world.sandbox.client("s3")
    for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=one["Key"])


_WORK: Mapping[Persona, Callable[[World, Credentials], Iterator[Refusal]]] = {
    Persona.PROVISIONER: _provisioner,
    Persona.ISSUER: _issuer,
    Persona.REVOKER: _revoker,
    Persona.PUBLISHER: _publisher,
    Persona.RELYING_PARTY: _relying_party,
    Persona.AUDITOR: _auditor,
}
