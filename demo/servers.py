"""A TLS server that requires client certificates: nginx where it is installed, else Python's own ssl.

Both load nothing but the files that ``pkiops trust render`` wrote. The server's own certificate is a throw-away: it is not what the demo is about.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NGINX = """
daemon off;
master_process on;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        include {trust}/mtls.conf;
        location / {{ default_type text/plain; return 200 "hello $ssl_client_s_dn\\n"; }}
    }}
}}
"""


class Server(Protocol):
    """A running server."""

    name: str
    port: int

    def reload(self) -> None:
        """Read the trust files again."""

    def stop(self) -> None:
        """End it."""


def start(folder: Path, trust: Path) -> Server:
    """Start a server in ``folder`` that trusts what is in ``trust``/nginx or ``trust``/pem."""
    folder.mkdir(parents=True)
    _make_server_certificate(folder)
    # nginx is installed where the PATH of an ordinary user does not look
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    server: Server = Nginx(program, folder, trust / "nginx") if program else PythonServer(folder, trust / "pem")
    _wait_until_it_answers(server.port)
    return server


class Nginx:
    """nginx in the foreground of a process of its own, in a folder of its own."""

    name = "nginx"

    def __init__(self, program: str, folder: Path, trust: Path) -> None:
        self.port = _free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(_NGINX.format(folder=folder, port=self.port, trust=trust))
        self._command = [program, "-e", str(folder / "nginx.log"), "-p", str(folder), "-c", str(configuration)]
        subprocess.run([*self._command, "-t", "-q"], check=True)
        self._process = subprocess.Popen(self._command)

    def reload(self) -> None:
        subprocess.run([*self._command, "-s", "reload"], check=True, capture_output=True)
        time.sleep(1.0)  # old workers finish what they have

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class PythonServer:
    """Python's ssl module in a thread; the same OpenSSL checks as nginx makes."""

    name = "Python's ssl module (nginx is not installed)"

    def __init__(self, folder: Path, trust: Path) -> None:
        self._folder, self._trust = folder, trust
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._context = self._load()
        threading.Thread(target=self._serve, daemon=True).start()

    def reload(self) -> None:
        self._context = self._load()

    def stop(self) -> None:
        self._listener.close()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        context.load_verify_locations(self._trust / "ca.pem")
        context.load_verify_locations(self._trust / "crl.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        context.num_tickets = 0
        return context

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")


def _make_server_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(secret)
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_it_answers(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"the TLS server does not answer on port {port}")
