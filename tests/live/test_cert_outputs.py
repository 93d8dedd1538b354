"""Programs of others read what ``--output`` writes: openssl, Java's keytool, nginx."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from pkiops.cert.formats import Material, SecretName, kubernetes_secret, render
from pkiops.cert.output_formats import OutputFormat
from pkiops.cert.server_folder import Owner, folder_files
from pkiops.cli.cert_folder import check_folder, stage_version, switch
from pkiops.clock import SeededRandomness
from pkiops.x509.certificate import fingerprint, pem
from pkiops.x509.keys import PrivateKey, private_key_der, private_key_pem
from tests import builders
from tests.jks import read_jks
from tests.live_programs import require_program

pytestmark = pytest.mark.live
ROOT = builders.root_ca()
ISSUER = builders.subordinate_ca(ROOT)
PASSPHRASE = "pass word %1"
OWNER = Owner("test", "service", ("dns:orders.svc.test.example.com",))


def material(key: PrivateKey | None = None, common_name: str = "orders.svc.test.example.com") -> Material:
    leaf = builders.end_entity(ISSUER, common_name, private_key=key, usage=("clientAuth", "serverAuth"))
    chain = (ISSUER.certificate, ROOT.certificate)
    return Material(
        certificate=leaf.certificate,
        chain=chain,
        key=leaf.key,
        passphrase=PASSPHRASE.encode(),
        dated=builders.AT,
        randomness=SeededRandomness(5),
    )


@pytest.fixture(params=["EC", "RSA"])
def made(request: pytest.FixtureRequest) -> Material:
    return material(rsa.generate_private_key(65537, 2048) if request.param == "RSA" else None)


def run(name: str, *arguments: str, folder: Path, stdin: bytes = b"") -> str:
    program = require_program(name)
    environment = {"PW": PASSPHRASE, "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, cwd=folder, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode() + done.stderr.decode()


def test_openssl_reads_pkcs12_and_finds_key_and_chain(tmp_path: Path, made: Material) -> None:
    (tmp_path / "a.p12").write_bytes(render(OutputFormat.PKCS12, made))
    said = run("openssl", "pkcs12", "-in", "a.p12", "-passin", "env:PW", "-noenc", "-info", folder=tmp_path)
    assert "AES-256-CBC" in said
    assert "hmacWithSHA256" in said
    assert pem(made.certificate).decode() in said
    assert pem(ISSUER.certificate).decode() in said
    assert pem(ROOT.certificate).decode() not in said
    assert private_key_pem(made.key).decode() in said  # type: ignore[arg-type]


def test_openssl_reads_the_legacy_form_with_the_legacy_ciphers(tmp_path: Path, made: Material) -> None:
    (tmp_path / "a.p12").write_bytes(render(OutputFormat.PKCS12_LEGACY, made))
    arguments = ("pkcs12", "-in", "a.p12", "-passin", "env:PW", "-noenc", "-info")
    said = run("openssl", *arguments, folder=tmp_path)
    assert "pbeWithSHA1And3-KeyTripleDES-CBC" in said
    assert "MAC: sha1" in said
    assert private_key_pem(made.key).decode() in said  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", [OutputFormat.PKCS12, OutputFormat.PKCS12_LEGACY])
def test_java_reads_both_and_can_make_a_jks_of_them(tmp_path: Path, made: Material, format_: OutputFormat) -> None:
    (tmp_path / "a.p12").write_bytes(render(format_, made))
    said = run("keytool", "-list", "-v", "-keystore", "a.p12", "-storepass:env", "PW", folder=tmp_path)
    assert "Entry type: PrivateKeyEntry" in said
    assert "Alias name: orders.svc.test.example.com" in said
    assert "Certificate chain length: 2" in said
    assert fingerprint(made.certificate).upper() in said.replace(":", "")
    convert = ("-importkeystore", "-srckeystore", "a.p12", "-destkeystore", "a.jks", "-deststoretype", "JKS")
    passwords = ("-srcstorepass:env", "PW", "-deststorepass:env", "PW")
    run("keytool", *convert, *passwords, "-noprompt", folder=tmp_path)
    # the reader that judges our own JKS reads Java's
    (entry,) = read_jks((tmp_path / "a.jks").read_bytes(), PASSPHRASE)
    assert entry.key == private_key_der(made.key)  # type: ignore[arg-type]
    assert entry.chain == tuple(one.public_bytes(Encoding.DER) for one in made.sent)


def test_keytool_lists_our_jks_and_makes_pkcs12_of_it(tmp_path: Path, made: Material) -> None:
    (tmp_path / "a.jks").write_bytes(render(OutputFormat.JKS, made))
    said = run("keytool", "-list", "-v", "-keystore", "a.jks", "-storepass:env", "PW", folder=tmp_path)
    assert "Keystore type: JKS" in said
    assert "proprietary format" in said  # the warning that the guide speaks of
    assert "Your keystore contains 1 entry" in said
    assert "Entry type: PrivateKeyEntry" in said
    assert "Alias name: orders.svc.test.example.com" in said
    assert f"Creation date: {builders.AT:%b} {builders.AT.day}, {builders.AT.year}" in said
    assert "Certificate chain length: 2" in said
    assert fingerprint(made.certificate).upper() in said.replace(":", "")
    convert = ("-importkeystore", "-srckeystore", "a.jks", "-destkeystore", "a.p12", "-deststoretype", "PKCS12")
    passwords = ("-srcstorepass:env", "PW", "-deststorepass:env", "PW")
    run("keytool", *convert, *passwords, "-noprompt", folder=tmp_path)
    found = pkcs12.load_pkcs12((tmp_path / "a.p12").read_bytes(), PASSPHRASE.encode())
    assert found.cert is not None
    assert found.cert.certificate == made.certificate
    assert [one.certificate for one in found.additional_certs] == [ISSUER.certificate]
    assert private_key_pem(found.key) == private_key_pem(made.key)  # type: ignore[arg-type]


OPEN_JKS = """
import java.io.*;
import java.security.*;
import java.security.cert.Certificate;

class OpenJks {
    static final char[] PASSPHRASE = System.getenv("PW").toCharArray();

    public static void main(String[] files) throws Exception {
        for (String file : files) {
            System.out.println(file + ": " + open(file, PASSPHRASE));
            try {
                open(file, "pass word %2".toCharArray());
                System.out.println("opened under another passphrase");
            } catch (IOException error) {
                System.out.println(error.getCause().getClass().getSimpleName() + ": " + error.getMessage());
            }
        }
    }

    static String open(String file, char[] passphrase) throws Exception {
        KeyStore store = KeyStore.getInstance("JKS");
        try (InputStream data = new FileInputStream(file)) {
            store.load(data, passphrase);
        }
        String alias = store.aliases().nextElement();
        PrivateKey key = (PrivateKey) store.getKey(alias, passphrase);
        Certificate[] chain = store.getCertificateChain(alias);
        chain[0].verify(chain[1].getPublicKey());
        String algorithm = switch (key.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            default -> "EdDSA";
        };
        Signature signer = Signature.getInstance(algorithm);
        signer.initSign(key);
        signer.update(file.getBytes());
        byte[] signature = signer.sign();
        Signature verifier = Signature.getInstance(algorithm);
        verifier.initVerify(chain[0]);
        verifier.update(file.getBytes());
        String verdict = verifier.verify(signature) ? "signed with " : "NOT signed with ";
        return verdict + algorithm + ", " + chain.length + " certificates, " + store.getCreationDate(alias).toInstant();
    }
}
"""


def test_a_java_program_signs_with_the_key_of_our_jks(tmp_path: Path) -> None:
    keys: dict[str, tuple[PrivateKey, str]] = {
        "RSA": (rsa.generate_private_key(65537, 2048), "SHA256withRSA"),
        "P-256": (ec.generate_private_key(ec.SECP256R1()), "SHA256withECDSA"),
        "P-521": (ec.generate_private_key(ec.SECP521R1()), "SHA256withECDSA"),
        "Ed25519": (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    }
    (tmp_path / "OpenJks.java").write_text(OPEN_JKS)
    said = []
    for name, (key, algorithm) in keys.items():
        # an alias in capitals would be listed, and never found
        (tmp_path / name).write_bytes(render(OutputFormat.JKS, material(key, f"Orders {name}")))
        said.append(f"{name}: signed with {algorithm}, 2 certificates, {builders.AT:%Y-%m-%dT%H:%M:%SZ}")
        said.append("UnrecoverableKeyException: Keystore was tampered with, or password was incorrect")
    options = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    assert run("java", *options, "OpenJks.java", *keys, folder=tmp_path).splitlines() == said


@pytest.mark.parametrize(("format_", "inform"), [(OutputFormat.PKCS7, "DER"), (OutputFormat.PKCS7_PEM, "PEM")])
def test_openssl_reads_pkcs7(tmp_path: Path, made: Material, format_: OutputFormat, inform: str) -> None:
    said = run(
        "openssl", "pkcs7", "-inform", inform, "-print_certs", folder=tmp_path, stdin=render(format_, made)
    )  # fmt: skip
    assert said.count("BEGIN CERTIFICATE") == 2
    assert pem(made.certificate).decode() in said


def test_openssl_verifies_der_and_the_secret(tmp_path: Path, made: Material) -> None:
    (tmp_path / "a.der").write_bytes(render(OutputFormat.DER, made))
    assert "orders.svc.test.example.com" in run(
        "openssl", "x509", "-inform", "DER", "-in", "a.der", "-noout", "-subject", folder=tmp_path
    )
    for name, value in yaml.safe_load(kubernetes_secret(made, SecretName("a")))["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    moment = str(int(builders.AT.timestamp()))
    said = run(
        "openssl", "verify", "-attime", moment, "-CAfile", "ca.crt", "-untrusted", "tls.crt", "tls.crt", folder=tmp_path
    )
    assert "tls.crt: OK" in said
    public = run("openssl", "x509", "-in", "tls.crt", "-noout", "-pubkey", folder=tmp_path)
    assert run("openssl", "pkey", "-in", "tls.key", "-pubout", folder=tmp_path) == public


CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:1 ssl; include "{live}/current/nginx.conf"; location / {{ proxy_pass https://127.0.0.1:2; }} }}
}}
"""


def write_folder(live: Path, made: Material) -> None:
    check_folder(live, OWNER, overwrite=False)
    switch(stage_version(live, folder_files(made, OWNER, str(live.resolve()))))


def test_nginx_takes_the_folder_as_it_is(tmp_path: Path, made: Material) -> None:
    live = tmp_path / "live certificate"
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, live=live))
    for one in (made, material()):  # and its successor with another key
        write_folder(live, one)
        said = run("nginx", "-t", "-p", str(tmp_path), "-c", str(configuration), folder=tmp_path)
        assert "test is successful" in said
    # the check can fail: a key that is not the certificate's
    (live / "current" / "tls.key").write_bytes(private_key_pem(builders.key()))
    with pytest.raises(AssertionError, match="key values mismatch"):
        run("nginx", "-t", "-p", str(tmp_path), "-c", str(configuration), folder=tmp_path)


def test_haproxys_file_is_one_that_openssl_serves(tmp_path: Path, made: Material) -> None:
    live = tmp_path / "live"
    write_folder(live, made)
    both = live / "current" / "haproxy.pem"
    said = run("openssl", "pkey", "-in", str(both), "-pubout", folder=tmp_path)
    assert said == run("openssl", "x509", "-in", str(both), "-noout", "-pubkey", folder=tmp_path)
    assert both.read_text().count("BEGIN CERTIFICATE") == 2


def test_envoys_file_names_files_that_are_there(tmp_path: Path, made: Material) -> None:
    live = tmp_path / "a: b #"
    write_folder(live, made)
    (resource,) = yaml.safe_load((live / "current" / "envoy.yaml").read_text())["resources"]
    assert resource["@type"] == "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    secret = resource["tls_certificate"]
    assert Path(secret["certificate_chain"]["filename"]).read_bytes() == made.sent_pem
    assert Path(secret["private_key"]["filename"]).read_bytes() == private_key_pem(made.key)  # type: ignore[arg-type]
    assert secret["watched_directory"] == {"path": str(live)}
