"""``pkiops trust``: what it prints, writes and refuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cli.trust_verify import Tried, require_verified
from pkiops.errors import VerificationFailed
from pkiops.trust.matrix import Matrix, Untried
from pkiops.trust.probe import ProbeResult
from pkiops.trust.verify import VerifiedFolder
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.cli.estate import ENVIRONMENTS, Estate, running_estate

TREE = {
    "nginx": ["MANIFEST.json", "VERIFY.md", "ca.pem", "crl.pem", "mtls.conf"],
    "pem": ["MANIFEST.json", "VERIFY.md", "ca.pem", "certs", "crl.pem", "crls", "hashdir"],
}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Estate]:
    with running_estate(tmp_path) as estate:
        yield estate


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A good client, a revoked one, published CRLs, and everything rendered into ``out``."""
    folder = tmp_path_factory.mktemp("estate")
    with running_estate(folder) as estate:
        estate.issue("good")
        estate.issue("bad")
        estate.revoke("bad")
        estate.done("crl", "publish", "dev")
        estate.done("trust", "render", "dev", "--to", "@out")
        yield estate


def test_render_needs_published_crls(fresh: Estate) -> None:
    result = fresh.run("trust", "render", "dev", "--to", "@out")
    assert result.exit_code == 8
    assert result.stdout == ""
    assert "hint: pkiops crl publish dev" in result.stderr
    assert not (fresh.folder / "out").exists()


def test_render_writes_a_folder_for_each_target(estate: Estate) -> None:
    for target, names in TREE.items():
        assert sorted(os.listdir(estate.folder / "out" / "services" / target)) == names
    conf = (estate.folder / "out/services/nginx/mtls.conf").read_text()
    assert f'ssl_crl "{estate.folder}/out/services/nginx/crl.pem";' in conf


def test_render_again_says_that_nothing_changed(estate: Estate) -> None:
    result = estate.done("trust", "render", "dev", "--to", "@out", "--format", "json")
    body = json.loads(result.stdout)
    assert (body["kind"], body["environment"]) == ("trust-render", "dev")
    assert [(one["target"], one["change"]) for one in body["targets"]] == [("pem", "unchanged"), ("nginx", "unchanged")]
    assert body["unpinned_anchors"] == ["root-g1"]
    assert "not pinned: anchor root-g1" in result.stderr


def test_render_for_another_place(estate: Estate) -> None:
    estate.done("trust", "render", "dev", "--to", "@elsewhere", "--target", "nginx", "--path", "/etc/pki/trust/")
    conf = (estate.folder / "elsewhere/services/nginx/mtls.conf").read_text()
    assert 'ssl_client_certificate "/etc/pki/trust/services/nginx/ca.pem";' in conf
    assert os.listdir(estate.folder / "elsewhere/services") == ["nginx"]
    result = estate.done("trust", "verify", "dev", "@elsewhere", "--target", "nginx", "--format", "json")
    place = "/etc/pki/trust/services/nginx"
    assert json.loads(result.stdout)["folders"][0]["location"] == place
    assert f"its files are made to be found at {place}, which is not where they were looked at" in result.stderr
    assert "made to be found" not in estate.done("trust", "verify", "dev", "@out").stderr


def test_render_overwrites_only_its_own(estate: Estate) -> None:
    folder = estate.folder / "mine" / "services" / "nginx"
    folder.mkdir(parents=True)
    (folder / "precious").write_text("x")
    refused = estate.run("trust", "render", "dev", "--to", "@mine")
    assert refused.exit_code == 9
    assert os.listdir(estate.folder / "mine" / "services") == ["nginx"]
    assert os.listdir(folder) == ["precious"]
    estate.done("trust", "render", "dev", "--to", "@mine", "--overwrite")
    assert sorted(os.listdir(folder)) == TREE["nginx"]


def test_verify_knocks_with_real_certificates(estate: Estate) -> None:
    probes = ("--probe", "@good.pem,@good.key", "--expect-refused", "@bad.pem,@bad.key")
    result = estate.done("trust", "verify", "dev", "@out", *probes)
    assert "services/pem: ok (1 anchor, 2 CRLs)" in result.stdout
    assert "it is revoked (OpenSSL 23: certificate revoked)" in result.stdout
    body = json.loads(
        estate.done("trust", "verify", "dev", "@out", "--target", "nginx", *probes, "--format", "json").stdout
    )
    (folder,) = body["folders"]
    assert (body["kind"], folder["target"], folder["findings"]) == ("trust-verify", "nginx", [])
    outcomes = [(one["tls"], one["result"]) for one in folder["handshakes"]]
    assert outcomes == [(v, r) for r in ("refused", "refused", "accepted", "refused") for v in ("1.2", "1.3")]
    cases = {one["client"]: one["result"] for one in folder["matrix"] if one["as_expected"]}
    assert len(cases) * 2 == len(folder["matrix"])
    assert {name for name, seen in cases.items() if seen == "accepted"} == {
        "good, of clients-g1",
        "no EKU",
        "old root, both in the bundle",
        "new root, both in the bundle",
        "new root, alone in it",
    }
    assert {"revoked issuer", "other environment", "old root, no longer in it", "three tiers"} <= set(cases)
    assert folder["not_tried"] == []
    assert "new root, both in the bundle  1.2, 1.3  accepted  as expected" in result.stdout


def test_verify_fails_when_the_wrong_one_gets_in(estate: Estate) -> None:
    result = estate.run("trust", "verify", "dev", "@out", "--target", "pem", "--expect-refused", "@good.pem,@good.key")
    assert result.exit_code == 8
    assert result.stdout.count("NOT EXPECTED") == 2
    assert "2 problems" in result.stderr
    assert "do not load these files" in result.stderr


def test_verify_of_sound_files_blames_the_probe_that_stays_outside(estate: Estate) -> None:
    result = estate.run("trust", "verify", "dev", "@out", "--target", "pem", "--probe", "@bad.pem,@bad.key")
    assert result.exit_code == 8
    assert "the files are sound, but 2 handshakes did not end as expected" in result.stderr
    assert "render again" not in result.stderr


def test_the_check_of_a_target_of_the_users_own_runs_only_if_allowed(estate: Estate) -> None:
    own = estate.folder / "checked" / "targets" / "gate"
    own.mkdir(parents=True)

    def declare(*command: str) -> None:
        (own / "target.yaml").write_text(
            "title: the gate\nrevocations: [chain]\nfiles: {ca.pem: authorities, crl.pem: crls}\n"
            f"check_command: {json.dumps(list(command))}\n"
        )

    text = (ENVIRONMENTS / "dev.yaml").read_text()
    (estate.folder / "checked" / "dev.yaml").write_text(text.replace("pem: {}", "pem: {folder: gate}"))
    at = ("--environments", "@checked", "trust")
    verify = (*at, "verify", "dev", "@gate", "--target", "pem")
    (estate.folder / "program").write_text(
        f'#!/bin/sh\necho "$@" >> {estate.folder}/ran; echo looked; exit $(cat {estate.folder}/code)\n'
    )
    (estate.folder / "program").chmod(0o755)
    (estate.folder / "code").write_text("0")
    declare(f"{estate.folder}/program", "--check", "{folder}/ca.pem", "; id")
    estate.done(*at, "render", "dev", "--to", "@gate", "--target", "pem")
    not_run = estate.done(*verify)
    assert "services/pem: its check was not run; --allow-check runs: " in not_run.stderr
    assert not (estate.folder / "ran").exists()
    done = estate.done(*verify, "--allow-check")
    assert (
        f"  check: ok: {estate.folder}/program --check {estate.folder}/gate/services/pem/ca.pem ; id\n    looked\n"
        in done.stdout
    )
    assert (estate.folder / "ran").read_text() == f"--check {estate.folder}/gate/services/pem/ca.pem ; id\n"
    (estate.folder / "code").write_text("3")
    failed = estate.run(*verify, "--allow-check", "--format", "json")
    assert failed.exit_code == 8
    assert json.loads(failed.stderr.splitlines()[-1])["error"]["code"] == "trust.own-check"
    (folder,) = json.loads(failed.stdout)["folders"]
    assert (folder["check"]["problem"], folder["check"]["output"]) == ("exit code 3", "looked")
    (estate.folder / "gate/services/pem/ca.pem").write_bytes(b"")
    (estate.folder / "ran").unlink()
    assert estate.run(*verify, "--allow-check").exit_code == 8
    assert not (estate.folder / "ran").exists(), "nothing is run over files that are not sound"
    declare("./program")
    assert estate.run(*verify, "--allow-check").exit_code == 2


@pytest.mark.parametrize(
    ("matrix", "count"),
    [
        (Matrix((ProbeResult("revoked", "1.2", accepted=True, expected=False, reason=""),), ()), "1 case"),
        (Matrix((), (Untried("revoked", "no CRL", excused=False), Untried("x", "no CRL", excused=False))), "2 cases"),
    ],
)
def test_verify_fails_when_a_case_of_the_matrix_differs(matrix: Matrix, count: str) -> None:
    folder = VerifiedFolder(Path("out"), "services", "pem", (), ("root",), (), None)
    with pytest.raises(VerificationFailed, match=f"{count} of the matrix did not end as expected") as caught:
        require_verified("dev", Path("out"), [Tried(folder, (), None), Tried(folder, (), matrix)])
    assert (caught.value.code, caught.value.exit_code) == ("trust.matrix", 8)
    excused = Matrix((ProbeResult("x", "1.2", accepted=False, expected=False, reason="y"),), (Untried("z", "", True),))
    require_verified("dev", Path("out"), [Tried(folder, (), excused)])


def test_verify_before_render_says_how_to_render(estate: Estate) -> None:
    result = estate.run("trust", "verify", "dev", "@never")
    assert result.exit_code == 2
    assert f"hint: render it first: pkiops trust render dev --to {estate.folder / 'never'}" in result.stderr


def test_verify_finds_what_was_changed(estate: Estate) -> None:
    estate.done("trust", "render", "dev", "--to", "@changed", "--target", "nginx")
    path = estate.folder / "changed/services/nginx/crl.pem"
    path.write_bytes(b"")
    result = estate.run("trust", "verify", "dev", "@changed", "--target", "nginx")
    assert result.exit_code == 8
    assert "crl.pem is empty [trust.file-empty]" in result.stdout
    assert "render again" in result.stderr
    inside = estate.run("trust", "verify", "dev", "@changed/services/nginx")
    assert inside.exit_code == 2
    assert "services/nginx is the folder of one target; give the one that was given to trust render" in inside.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("render", "dev"), 2),
        (("render", "nowhere", "--to", "@x"), 2),
        (("render", "dev", "--to", "@x", "--bundle", "none"), 2),
        (("render", "dev", "--to", "@x", "--target", "none"), 2),
        (("render", "dev", "--to", "@x", "--path", '/x"y'), 2),
        (("render", "dev", "--to", "@x", "--path", "etc/pki"), 2),
        (("render", "dev", "--to", "@good.pem"), 2),
        (("verify", "dev", "@none"), 2),
        (("verify", "dev", "@out", "--probe", "@good.pem"), 2),
        (("verify", "dev", "@out", "--probe", "@good.pem,@bad.key"), 2),
        (("verify", "dev", "@out", "--probe", "@none,@none"), 2),
        (("handshake", "nonsense"), 2),
        (("handshake", "127.0.0.1:9", "--cert", "@good.pem"), 2),
        (("handshake", "127.0.0.1:9", "--cert", "@good.pem", "--key", "@bad.key"), 2),
        (("handshake", "127.0.0.1:9", "--ca", "@none"), 2),
        (("handshake", "127.0.0.1:9", "--ca", "@good.pem", "--insecure-server"), 2),
        (("handshake", "127.0.0.1:9", "--tls", "1.1"), 2),
        (("handshake", "no-such-host.invalid:443"), 6),
    ],
)
def test_errors(estate: Estate, arguments: tuple[str, ...], code: int) -> None:
    result = estate.run("trust", *arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert not (estate.folder / "x").exists()


@contextlib.contextmanager
def server(estate: Estate) -> Iterator[str]:
    """A TLS server that loads what was rendered for it; its address."""
    own = builders.root_ca("Server", at=estate.sandbox.clock.now())
    (estate.folder / "server.pem").write_bytes(own.certificate.public_bytes(Encoding.PEM))
    (estate.folder / "server.key").write_bytes(private_key_pem(own.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(estate.folder / "server.pem", estate.folder / "server.key")
    for name in ("ca.pem", "crl.pem"):
        context.load_verify_locations(cafile=estate.folder / "out/services/pem" / name)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.settimeout(5)
                    with connection, context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(4096)
                        secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join(timeout=10)


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_handshake(estate: Estate, tls: str) -> None:
    with server(estate) as address:
        how = ("--insecure-server", "--tls", tls)
        good = estate.done("trust", "handshake", address, "--cert", "@good.pem", "--key", "@good.key", *how)
        assert good.stdout.startswith(f"ACCEPTED: {address}")
        bad = estate.run("trust", "handshake", address, "--cert", "@bad.pem", "--key", "@bad.key", *how)
        assert bad.exit_code == 8
        assert "is revoked" in bad.stdout
        assert "request a new certificate" in bad.stderr
        expected = estate.done("trust", "handshake", address, *how, "--expect", "refused", "--format", "json")
        body = json.loads(expected.stdout)
        assert (body["kind"], body["result"], body["refused_by"]) == ("trust-handshake", "refused", "server")
        assert body["code"] == "no-certificate"
        surprise = estate.run(
            "trust", "handshake", address, "--cert", "@good.pem", "--key", "@good.key", *how, "--expect", "refused"
        )
        assert surprise.exit_code == 8
        distrust = estate.run("trust", "handshake", address, "--tls", tls)
        assert distrust.exit_code == 8
        assert "REFUSED by us" in distrust.stdout
        expected = estate.run("trust", "handshake", address, "--tls", tls, "--expect", "refused")
        assert expected.exit_code == 8, "a server that we refuse has not refused us"
        assert "it was we who refused" in expected.stderr


def test_handshake_with_nobody(estate: Estate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = estate.run("trust", "handshake", f"127.0.0.1:{port}", "--expect", "refused", "--format", "json")
    assert result.exit_code == 6, "nobody there is not a refusal"
    assert json.loads(result.stdout)["code"] == "connection-refused"
    assert json.loads(result.stderr)["error"]["code"] == "handshake.connection-refused"


def test_every_target_that_fits_and_one_of_the_users_own(estate: Estate) -> None:
    kinds = [
        "haproxy",
        "apache",
        "envoy",
        "java",
        "kubernetes",
        "postgresql",
        "nodejs",
        "python",
        "go",
        "rabbitmq",
        "aws-alb",
        "aws-rolesanywhere",
    ]
    own = estate.folder / "environments" / "targets" / "gate"
    own.mkdir(parents=True)
    (own / "target.yaml").write_text(
        "title: the gate\nrevocations: [chain]\nfiles: {ca.pem: authorities, crl.pem: crls, gate.conf: gate.conf.j2}\n"
    )
    (own / "gate.conf.j2").write_text('trust "{{ location }}/ca.pem"\n')
    text = (ENVIRONMENTS / "dev.yaml").read_text()
    added = ["mine: {folder: gate}", *(f"{kind}: {{}}" for kind in kinds)]
    changed, places = re.subn(
        r"( +)(pem: \{\}.*)\n", lambda m: "".join(f"{m[1]}{one}\n" for one in (m[2], *added)), text
    )
    assert places == 1
    (estate.folder / "environments" / "dev.yaml").write_text(changed)
    at = ("--environments", "@environments", "trust")
    estate.done(*at, "render", "dev", "--to", "@all")
    assert sorted(os.listdir(estate.folder / "all/services")) == sorted([*kinds, "mine", "nginx", "pem"])
    gate = (estate.folder / "all/services/mine/gate.conf").read_text()
    assert gate == f'trust "{estate.folder}/all/services/mine/ca.pem"\n'
    probes = ("--probe", "@good.pem,@good.key", "--expect-refused", "@bad.pem,@bad.key")
    verified = estate.done(*at, "verify", "dev", "@all", *probes)
    assert verified.stdout.count(": ok (1 anchor, 2 CRLs)") == len(kinds) + 3


def leaving_anchor(folder: Path) -> None:
    """As if the folder had held one more root when it was written."""
    path = folder / "services" / "nginx" / "MANIFEST.json"
    document = json.loads(path.read_text())
    gone = {**document["certificates"][0], "authority": "old-root-g1", "sha256": "0" * 64, "ski": "00" * 20}
    path.write_text(json.dumps({**document, "certificates": [*document["certificates"], gone]}))


def test_render_lets_no_anchor_go_that_somebody_may_need(estate: Estate) -> None:
    folder = estate.folder / "removal"
    render = ("trust", "render", "dev", "--to", "@removal", "--target", "nginx")
    estate.done(*render)
    leaving_anchor(folder)
    done = estate.done(*render)
    assert "anchor old-root-g1" in done.stderr
    assert "no live certificate is below it" in done.stderr
    leaving_anchor(folder)
    ledger = Path(".pkiops/dev.db")
    ledger.rename("kept.db")
    try:
        refused = estate.run(*render, "--format", "json")
        allowed = estate.done(*render, "--format", "json", "--allow-removal")
    finally:
        Path("kept.db").rename(ledger)
    assert refused.exit_code == 9
    error = json.loads(refused.stderr[refused.stderr.index("{") :])["error"]
    assert error["code"] == "guard.removal"
    assert "there is no ledger here" in error["message"]
    (removal,) = json.loads(allowed.stdout)["removals"]
    assert (removal["authority"], removal["live_certificates"]) == ("old-root-g1", None)
    assert json.loads(estate.done(*render, "--format", "json").stdout)["removals"] == []
