"""Environment files that differ: what people may change in ``dev.yaml`` between two applies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pkiops.environment.load import load_file
from pkiops.environment.models import Environment
from pkiops.errors import EnvironmentFileError
from tests.faults.hierarchy import REPOSITORY

Document = dict[str, Any]
Edit = Callable[[Document], None]

_POLICY = {
    "Statement": [
        {
            "Sid": "Use",
            "Effect": "Allow",
            "Principal": {"AWS": "444455556666"},
            "Action": [
                "acm-pca:DescribeCertificateAuthority",
                "acm-pca:GetCertificate",
                "acm-pca:GetCertificateAuthorityCertificate",
                "acm-pca:ListPermissions",
                "acm-pca:ListTags",
            ],
        }
    ]
}


def sample() -> Document:
    """The file to start from: ``dev.yaml`` without profiles and bundles, so that authorities can come and go."""
    document: Document = yaml.safe_load((REPOSITORY / "environments" / "dev.yaml").read_text())
    del document["profiles"], document["trust"]
    return document


def edited(document: Document, edit: Edit, folder: Path) -> tuple[Document, Environment] | None:
    """The file after an edit, written and loaded; None where that is no valid file, as a reviewer would be told."""
    changed = copy.deepcopy(document)
    edit(changed)
    path = folder / "dev.yaml"
    path.write_text(yaml.safe_dump(changed))
    try:
        return changed, load_file(path)
    except EnvironmentFileError:
        return None


def setting(label: str, key: str, value: Any) -> Edit:
    """Give an authority another setting; None takes the key away."""

    def edit(document: Document) -> None:
        authority = document["authorities"].get(label)
        if authority is None:
            return
        if value is None:
            authority.pop(key, None)
        else:
            authority[key] = value

    return edit


def generation(label: str, number: int) -> Edit:
    """Declare another generation of an authority, under a name of its own."""

    def edit(document: Document) -> None:
        authority = document["authorities"].get(label)
        if authority is not None:
            authority["generation"] = number
            authority["subject"]["common_name"] = f"Example Dev {label.title()} CA G{number}"

    return edit


def present(label: str, *, wanted: bool) -> Edit:
    """Declare an authority below the root, or leave it out."""

    def edit(document: Document) -> None:
        if not wanted:
            document["authorities"].pop(label, None)
        else:
            document["authorities"].setdefault(
                label,
                {
                    "issuer": "root",
                    "subject": {"common_name": f"Example Dev {label.title()} CA G1", "organization": "Example Ltd"},
                    "validity": "5y",
                    "crl": {"validity": "7d"},
                },
            )

    return edit


def managed(bucket: str, *, wanted: bool) -> Edit:
    """Say that a bucket is ours, or of other tooling."""

    def edit(document: Document) -> None:
        document["publication"][bucket]["manage"] = wanted

    return edit


def host(name: str) -> Edit:
    """Serve CRLs at another host."""

    def edit(document: Document) -> None:
        document["publication"]["crl"]["host"] = name

    return edit


EDITS: Mapping[str, Edit] = {
    "crl 9d": setting("clients", "crl", {"validity": "9d"}),
    "crl 7d below a path": setting("clients", "crl", {"validity": "7d", "path": "lists"}),
    "crl in parts": setting("clients", "crl", {"validity": "7d", "type": "PARTITIONED"}),
    "tags": setting("clients", "tags", {"team": "payments"}),
    "no tags": setting("clients", "tags", None),
    "ocsp on": setting("clients", "ocsp", {"enabled": True}),
    "ocsp off": setting("clients", "ocsp", {"enabled": False}),
    "enabled": setting("clients", "enabled", True),
    "not enabled": setting("clients", "enabled", False),
    "enabled or not": setting("clients", "enabled", None),
    "root not enabled": setting("root", "enabled", False),
    "root enabled": setting("root", "enabled", True),
    "policy": setting("clients", "policy", _POLICY),
    "no policy": setting("clients", "policy", {"Statement": []}),
    "acm": setting("clients", "acm_permission", True),
    "no acm": setting("clients", "acm_permission", False),
    "another key": setting("clients", "key_algorithm", "EC_secp384r1"),
    "the first key": setting("clients", "key_algorithm", "EC_prime256v1"),
    "another life": setting("clients", "validity", "2y"),
    "renewed from 2027": setting("clients", "renew_from", "2027-01-10"),
    "root renewed from 2028": setting("root", "renew_from", "2028-06-01"),
    "not renewed": setting("clients", "renew_from", None),
    "another depth": setting("root", "path_length", 2),
    "clients G2": generation("clients", 2),
    "clients G1": generation("clients", 1),
    "root G2": generation("root", 2),
    "no pin": setting("root", "sha256", None),
    "a wrong pin": setting("root", "sha256", "ab" * 32),
    "no arn": setting("clients", "arn", None),
    "servers": present("servers", wanted=True),
    "no servers": present("servers", wanted=False),
    "no clients": present("clients", wanted=False),
    "clients again": present("clients", wanted=True),
    "crl bucket of others": managed("crl", wanted=False),
    "crl bucket of ours": managed("crl", wanted=True),
    "trust bucket of others": managed("trust", wanted=False),
    "trust bucket of ours": managed("trust", wanted=True),
    "another host": host("crl.dev.example.com"),
    "the first host": host("pki.dev.example.com"),
}
