"""A sound environment file, and one wrong line in it at a time."""

from __future__ import annotations

from pathlib import Path

from pkiops.environment.load import load_bytes
from pkiops.environment.models import Environment
from pkiops.errors import EnvironmentFileError, Problem

ROOT = Path(__file__).resolve().parents[3]

SOUND = """\
schema: 1
environment: dev
backend:
  type: aws-private-ca
  region: eu-west-1
  account: "111122223333"
  endpoint_urls: {}
ledger: {type: sqlite, path: .pkiops/dev.db}
publication:
  crl:
    bucket: dev-crl
    host: pki.dev.example.com
  trust:
    bucket: dev-trust
authorities:
  root:
    subject: {common_name: Root CA G1}
    key_algorithm: EC_secp384r1
    validity: 20y
    path_length: 1
    crl: {validity: 90d}
  clients:
    issuer: root
    subject: {common_name: Clients CA G1}
    key_algorithm: EC_prime256v1
    validity: 5y
    crl: {validity: 7d}
profiles:
  service:
    authority: clients
    validity:
      default: 30d
      max: 90d
    subject:
      common_name: {from: request}
    san:
      dns: ["*.svc.dev.example.com"]
      required: true
trust:
  bundles:
    services:
      anchors: [root]
      targets:
        pem: {}
"""


def read(text: str | bytes, stem: str = "dev") -> Environment:
    data = text.encode() if isinstance(text, str) else text
    return load_bytes(data, f"{stem}.yaml", stem)


def problems(text: str | bytes, stem: str = "dev") -> list[Problem]:
    """The problems of a wrong file; fails if it is not wrong."""
    try:
        read(text, stem)
    except EnvironmentFileError as error:
        return list(error.problems)
    raise AssertionError("this file was accepted")


def changed(old: str, new: str) -> str:
    """The sound file with one piece of text replaced."""
    assert SOUND.count(old) == 1, f"{old!r} must be in the sample exactly once"
    return SOUND.replace(old, new)
