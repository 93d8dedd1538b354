"""``pkiops trust handshake --advertised``: what is said of servers, and the exit codes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from pkiops.cli.app import app
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.cli.estate import Estate, running_estate
from tests.live_programs import require_program

HOW = ("--advertised", "--insecure-server")


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A good client, a server's certificate, and files of names: ``ours``, ``both`` (a foreign one too), ``foreign``."""
    with running_estate(tmp_path_factory.mktemp("estate")) as estate:
        estate.issue("good")
        now = estate.sandbox.clock.now()
        server, foreign = builders.root_ca("Server", at=now), builders.root_ca("Foreign", at=now)
        estate.done("crl", "publish", "dev")
        estate.done("trust", "render", "dev", "--to", "@out", "--target", "pem")
        ours = (estate.folder / "out/services/pem/ca.pem").read_bytes()
        theirs = foreign.certificate.public_bytes(Encoding.PEM)
        written = {
            "server.pem": server.certificate.public_bytes(Encoding.PEM),
            "server.key": private_key_pem(server.key),
            "ours": ours,
            "both": ours + theirs,
            "foreign": theirs,
        }
        for name, data in written.items():
            (estate.folder / name).write_bytes(data)
        yield estate


@contextlib.contextmanager
def server(estate: Estate, *options: str) -> Iterator[str]:
    """``openssl s_server``; its address."""
    command = [require_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www"]
    command += ["-cert", "server.pem", "-key", "server.key", *options]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=estate.folder,
    ) as running:
        try:
            assert running.stdout is not None
            yield next(line for line in running.stdout if line.startswith("ACCEPT")).removeprefix("ACCEPT ").strip()
        finally:
            running.terminate()


def demanding(names: str) -> tuple[str, ...]:
    return ("-Verify", "3", "-verify_return_error", "-CAfile", names)


def test_a_server_with_the_names_of_its_bundle(estate: Estate) -> None:
    probes = ("--probe", "@good.pem,@good.key", "--expect-refused", "@server.pem,@server.key")
    with server(estate, *demanding("ours")) as address:
        text = estate.done("trust", "handshake", address, *HOW, "--env", "dev", *probes)
        body = json.loads(estate.done("trust", "handshake", address, *HOW, "--tls", "1.3", "--format", "json").stdout)
    assert f"{address} over TLS 1.2 and 1.3: asks for a client certificate and advertises 1 name of a CA" in text.stdout
    assert "anchor root-g1" in text.stdout
    assert text.stdout.count("as expected") == 6
    assert "note:" not in text.stdout
    assert (body["kind"], body["bundle"]) == ("trust-advertised", None)
    (version,) = body["versions"]
    assert (version["tls"], version["asks"], len(version["names"]), version["missing"]) == ("1.3", "yes", 1, None)
    assert "0x0403" in version["signature_schemes"]
    (client,) = body["clients"]
    assert (client["client"], client["alert"]) == ("no certificate", "certificate_required")


@pytest.mark.parametrize(
    ("names", "foreign", "missing", "said"),
    [
        ("both", [False, True], [], "most likely trusts it"),
        ("foreign", [True], ["root-g1"], "send no certificate"),
    ],
)
def test_a_server_with_other_names(
    estate: Estate, names: str, foreign: list[bool], missing: list[str], said: str
) -> None:
    with server(estate, *demanding(names)) as address:
        text = estate.run("trust", "handshake", address, *HOW, "--env", "dev", "--bundle", "services")
        result = estate.run("trust", "handshake", address, *HOW, "--env", "dev", "--format", "json", "--tls", "1.3")
    assert (text.exit_code, result.exit_code) == (8, 8)
    assert "FOREIGN" in text.stdout
    assert said in text.stdout
    assert ("MISSING: anchor root-g1" in text.stdout) is bool(missing)
    assert "not those of bundle dev/services" in text.stderr
    assert json.loads(result.stderr)["error"]["code"] == "handshake.advertised"
    (version,) = json.loads(result.stdout)["versions"]
    assert [one["foreign"] for one in version["names"]] == foreign
    assert [one["authority"] for one in version["missing"]] == missing


def test_a_server_without_names(estate: Estate) -> None:
    with server(estate, "-verify", "3") as address:
        how = (*HOW, "--tls", "1.3", "--env", "dev")
        optional = estate.done("trust", "handshake", address, *how, "--expect", "accepted")
        demanded = estate.run("trust", "handshake", address, *how)
    assert "advertises no names of CAs" in optional.stdout
    assert "every client chooses among all of its certificates" in optional.stdout
    assert demanded.exit_code == 8
    assert "no certificate  1.3  accepted  NOT EXPECTED" in demanded.stdout


def test_a_server_that_does_not_ask(estate: Estate) -> None:
    with server(estate, "-tls1_3") as address:
        result = estate.run("trust", "handshake", address, *HOW)
        old = estate.run("trust", "handshake", address, *HOW, "--tls", "1.2", "--format", "json")
    assert result.exit_code == 8
    assert "TLS 1.2: not offered by this server" in result.stdout
    assert "TLS 1.3: does NOT ask for a client certificate" in result.stdout
    assert "error: " in result.stderr
    assert "does not ask for a client certificate" in result.stderr
    assert json.loads(old.stderr)["error"]["code"] == "handshake.unknown"


def test_a_server_that_we_do_not_trust(estate: Estate) -> None:
    with server(estate, *demanding("ours")) as address:
        result = estate.run("trust", "handshake", address, "--advertised")
    assert result.exit_code == 8
    assert "ended before the server could ask" in result.stdout
    assert "give the CA of the server with --ca FILE" in result.stderr


def test_nobody(estate: Estate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = estate.run("trust", "handshake", f"127.0.0.1:{port}", *HOW, "--format", "json")
    assert result.exit_code == 6
    assert json.loads(result.stdout)["versions"] == []
    assert json.loads(result.stderr)["error"]["code"] == "handshake.connection-refused"


@pytest.mark.parametrize(
    "options",
    [
        ("--env", "dev"),
        ("--bundle", "services"),
        ("--probe", "a,b"),
        ("--expect-refused", "a,b"),
        ("--advertised", "--bundle", "services"),
        ("--advertised", "--cert", "@good.pem", "--key", "@good.key"),
        ("--advertised", "--env", "dev", "--bundle", "none"),
        ("--advertised", "--env", "nowhere"),
        ("--advertised", "--probe", "@good.pem"),
    ],
)
def test_options_that_do_not_fit(estate: Estate, options: tuple[str, ...]) -> None:
    result = estate.run("trust", "handshake", "127.0.0.1:9", *options)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_steps_go_to_stderr_as_they_happen(estate: Estate) -> None:
    with server(estate, *demanding("ours")) as address:
        how = ("trust", "handshake", address, "--insecure-server", "--tls", "1.3", "--expect", "refused")
        verbose = estate.done("-v", *how)
        body = json.loads(estate.done("-v", *how, "--format", "json").stdout)
        quiet = estate.done(*how, "--format", "json")
        many = json.loads(estate.done("-v", "trust", "handshake", address, *HOW, "--format", "json").stdout)["steps"]
        survey = estate.done("-v", "trust", "handshake", address, *HOW, "--expect-refused", "@server.pem,@server.key")
    assert verbose.stdout.startswith("REFUSED by the server")
    assert "mutual  <-  CertificateRequest: the server asks for a client certificate issued below " in verbose.stderr
    assert "mutual  ->  Certificate: an empty list: we send no certificate" in verbose.stderr
    assert "after the handshake was over for us: certificate_required" in verbose.stderr
    assert "CertificateRequest" not in verbose.stdout + quiet.stderr
    assert body["steps"][0]["name"] == "connect"
    assert {"name": "CertificateRequest", "part": "mutual", "from": "server"}.items() <= body["steps"][4].items()
    assert json.loads(quiet.stdout)["steps"] is None
    assert [(one["client"], one["tls"]) for one in many] == [("no certificate", "1.2"), ("no certificate", "1.3")]
    assert all((one["steps"][0]["name"], one["steps"][-1]["name"]) == ("connect", "Alert") for one in many)
    assert survey.stderr.count("ClientHello") == 4
    assert f"TLS 1.2, {estate.folder}/server.pem:" in survey.stderr


def test_a_certificate_that_nobody_asked_for(estate: Estate) -> None:
    how = ("--insecure-server", "--cert", "@good.pem", "--key", "@good.key")
    with server(estate) as address:
        text = estate.done("trust", "handshake", address, *how)
        body = json.loads(estate.done("trust", "handshake", address, *how, "--format", "json").stdout)
    with server(estate, *demanding("ours")) as address:
        asked = json.loads(estate.run("trust", "handshake", address, *how, "--format", "json").stdout)
    assert "note:  the server did not ask for a client certificate, so yours was not sent" in text.stdout
    assert (body["certificate_asked_for"], body["certificate_sent"]) == (False, False)
    assert (asked["certificate_asked_for"], asked["certificate_sent"]) == (True, True)


def test_variables_for_other_calls_do_not_matter(estate: Estate) -> None:
    with server(estate) as address:
        command = [*["--environments", "environments", "trust", "handshake", "--insecure-server"], address]
        variables = {"PKIOPS_ENV": "dev", "PKIOPS_BUNDLE": "services", "PKIOPS_PROBE_WITH": "a,b"}
        result = CliRunner().invoke(app, command, env=variables, prog_name="pkiops")
    assert result.exit_code == 0, result.output
