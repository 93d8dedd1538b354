"""How many certificates a second the sandbox issues over HTTP, held against plain moto in the same run.

Both servers are processes of their own; one client process with eight threads issues a certificate and fetches it until it is there
(a pair). The client is a bare HTTP client, because eight threads of boto3 in one process are slower than the sandbox; boto3's number is
shown beside it. The servers take turns, so that whatever slows the machine down slows both; the median counts. Exits with 1 if the bar is
missed.

    python -m benchmarks.sandbox [--rounds N] [--pairs N]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

ROOT = Path(__file__).resolve().parents[1]
THREADS = 8
BAR = 300.0
ALGORITHM = "SHA256WITHECDSA"
TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"
# what a client signs with; neither server checks it
SIGNATURE = "AWS4-HMAC-SHA256 Credential=bench/20260101/eu-west-1/acm-pca/aws4_request, SignedHeaders=host, Signature=0"
PLAIN_MOTO = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
Pair = Callable[[], object]


def request_pem() -> str:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def boto_client(port: int) -> Any:
    session = boto3.Session(aws_access_key_id="bench", aws_secret_access_key="bench", region_name="eu-west-1")  # noqa: S106
    config = Config(max_pool_connections=THREADS, retries={"total_max_attempts": 1})
    return session.client("acm-pca", endpoint_url=f"http://127.0.0.1:{port}", config=config)


def active_root(pca: Any) -> str:
    """A P-256 root; its ARN. (Plain moto makes RSA of every key algorithm.)"""
    configuration = {
        "KeyAlgorithm": "EC_prime256v1",
        "SigningAlgorithm": ALGORITHM,
        "Subject": {"CommonName": "Benchmark Root"},
    }
    created = pca.create_certificate_authority(
        CertificateAuthorityConfiguration=configuration, CertificateAuthorityType="ROOT"
    )
    arn = str(created["CertificateAuthorityArn"])
    pca.get_waiter("certificate_authority_csr_created").wait(CertificateAuthorityArn=arn, WaiterConfig={"Delay": 1})
    request = pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
    own = boto_pair(pca, arn, request, "RootCACertificate", {"Type": "YEARS", "Value": 10})
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=own.encode())
    return arn


def boto_pair(pca: Any, arn: str, request: str, template: str, validity: dict[str, Any]) -> str:
    issued = pca.issue_certificate(
        CertificateAuthorityArn=arn,
        Csr=request.encode(),
        SigningAlgorithm=ALGORITHM,
        TemplateArn=TEMPLATE.format(template),
        Validity=validity,
    )
    while True:
        with contextlib.suppress(pca.exceptions.RequestInProgressException):
            answer = pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=issued["CertificateArn"])
            return str(answer["Certificate"])


def bare_pair(port: int, arn: str, request: str) -> Pair:
    """Issue and fetch one certificate on a connection of the thread's own."""
    connections = threading.local()
    issue = {
        "CertificateAuthorityArn": arn,
        "Csr": base64.b64encode(request.encode()).decode(),
        "SigningAlgorithm": ALGORITHM,
        "TemplateArn": TEMPLATE.format("EndEntityClientAuthCertificate"),
        "Validity": {"Type": "DAYS", "Value": 30},
    }

    def call(operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = getattr(connections, "it", None)
        if connection is None:
            connection = connections.it = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {
            "Authorization": SIGNATURE,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"ACMPrivateCA.{operation}",
        }
        connection.request("POST", "/", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def pair() -> None:
        status, issued = call("IssueCertificate", issue)
        if status != http.HTTPStatus.OK:
            raise SystemExit(f"IssueCertificate: {status} {issued}")
        fetch = {"CertificateAuthorityArn": arn, "CertificateArn": issued["CertificateArn"]}
        while True:
            status, answer = call("GetCertificate", fetch)
            if status == http.HTTPStatus.OK:
                return
            if answer.get("__type") != "RequestInProgressException":
                raise SystemExit(f"GetCertificate: {status} {answer}")

    return pair


def rate(pair: Pair, pairs: int) -> float:
    """Pairs a second of all threads together, after each had its first."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: pair(), range(THREADS)))
        began = time.perf_counter()
        list(pool.map(lambda _: pair(), range(pairs)))
        return pairs / (time.perf_counter() - began)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(*command: str, port: int, home: str) -> Iterator[int]:
    """A server in a process of its own, once it listens."""
    ours = ("AWS_", "PKIOPS_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = subprocess.Popen(
        command, cwd=ROOT, env={**kept, "HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)}: does not listen")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(ports: dict[str, int], rounds: int, pairs: int) -> dict[str, list[float]]:
    """Pairs a second by name, of every round."""
    request = request_pem()
    cases: list[tuple[str, Pair, int]] = []
    for name, port in ports.items():
        pca = boto_client(port)
        arn = active_root(pca)
        few = pairs if name == "sandbox" else max(THREADS, pairs // 20)
        cases.append((name, bare_pair(port, arn, request), few))
        if name == "sandbox":
            leaf = ("EndEntityClientAuthCertificate", {"Type": "DAYS", "Value": 30})
            cases.append(("sandbox, client boto3", partial(boto_pair, pca, arn, request, *leaf), few))
    taken: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for _ in range(rounds):
        for name, pair, count in cases:
            taken[name].append(rate(pair, count))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description="Measure issuing over HTTP.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=600, help="per round")
    options = parser.parse_args()
    ours, plain = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as home, contextlib.ExitStack() as stack:
        up = (sys.executable, "-m", "pkiops", "sandbox", "up", "--port", str(ours))
        stack.enter_context(server(*up, port=ours, home=home))
        moto = (sys.executable, "-c", PLAIN_MOTO.format(port=plain))
        stack.enter_context(server(*moto, port=plain, home=home))
        taken = measure({"sandbox": ours, "plain moto": plain}, options.rounds, options.pairs)
    medians = {name: median(values) for name, values in taken.items()}
    print(
        f"issue-and-get pairs a second, {THREADS} threads, {options.rounds} rounds, Python {sys.version.split()[0]}\n"
    )
    for name, value in medians.items():
        print(f"{value:9.0f}  {name}")
    kept = medians["sandbox"] >= BAR
    print(f"\n{medians['sandbox'] / medians['plain moto']:9.1f}  times plain moto")
    print(f"{BAR:9.0f}  bar: {'ok' if kept else 'MISSED'}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
