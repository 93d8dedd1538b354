"""What several keys of an environment file together can get wrong.

Pure: an environment whose keys each have the right shape goes in, every finding comes out, not just the first. Here are the backend, the ledger, the
publication and the trust bundles; authorities and profiles have modules of their own. Where endpoints lead is ``endpoints.py``; this module only
refuses what is misspelled, because a foreign endpoint can be allowed by the person who runs the command.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from pkiops.environment.authority_checks import check_authorities
from pkiops.environment.endpoints import endpoint_problem
from pkiops.environment.finding import Finding, KeyPath, listed
from pkiops.environment.hierarchy import declaration, is_below, is_external, roots
from pkiops.environment.home_checks import check_homes
from pkiops.environment.models import Bundle, CrlType, Environment, Persona, Revocation, SqliteLedger, TargetKind
from pkiops.environment.profile_checks import check_profiles
from pkiops.environment.settings_checks import check_settings
from pkiops.homes import partition_of

# Kinds of later versions: known here so that a file written for one is told the truth.
FUTURE_KINDS = frozenset({"caddy", "istio", "kafka", "mariadb", "nats", "nss", "redis", "traefik", "windows"})
# a ledger is made where there is none yet: never where something else would look for a file of its own
_LEDGER_SUFFIXES = (".db", ".sqlite", ".sqlite3")
# Amazon S3 User Guide, general purpose bucket naming rules
_NO_BUCKET_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_NO_BUCKET_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
SUPPORTED_KINDS = tuple(kind.value for kind in TargetKind)


def check(environment: Environment, stem: str) -> tuple[Finding, ...]:
    """Every cross-field problem of ``environment``, whose file is called ``stem``.yaml."""
    return (
        *_check_top(environment, stem),
        *check_authorities(environment),
        *check_settings(environment),
        *check_homes(environment),
        *check_profiles(environment),
        *_check_bundles(environment),
        *_check_crls(environment),
        *_check_access(environment),
    )


def _check_top(environment: Environment, stem: str) -> Iterator[Finding]:
    if environment.environment != stem:
        yield Finding(("environment",), f"write {stem}, as the file is called, or rename the file", "env.name")
    yield from _check_backend(environment)
    path = environment.ledger.path if isinstance(environment.ledger, SqliteLedger) else f"{stem}.db"
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/") or not path.endswith(_LEDGER_SUFFIXES):
        message = f"write a path below the working directory that ends in {listed(_LEDGER_SUFFIXES)}, without .. in it: .pkiops/{stem}.db"
        yield Finding(("ledger", "path"), message, "env.ledger-path")
    crl, trust = environment.publication.crl, environment.publication.trust
    if crl.bucket == trust.bucket:
        message = "the CA writes into the CRL bucket and pkiops into the trust bucket; name two buckets"
        yield Finding(("publication", "trust", "bucket"), message, "env.bucket")
    for key, bucket in (("crl", crl.bucket), ("trust", trust.bucket)):
        if ".." in bucket or re.fullmatch(r"[0-9.]+", bucket):
            yield Finding(
                ("publication", key, "bucket"), "S3 allows no .. and no address as a bucket name", "env.bucket"
            )
        elif bucket.startswith(_NO_BUCKET_STARTS) or bucket.endswith(_NO_BUCKET_ENDS):
            message = "S3 keeps names like this for access points and directory buckets, which may be anybody's; write another"
            yield Finding(("publication", key, "bucket"), message, "env.bucket")


def _check_backend(environment: Environment) -> Iterator[Finding]:
    backend = environment.backend
    if backend.sandbox and backend.endpoint_urls:
        message = "the sandbox takes every service; remove endpoint_urls, or sandbox: true"
        yield Finding(("backend", "endpoint_urls"), message, "env.sandbox", at_key=True)
    for service, url in backend.endpoint_urls.items():
        problem = endpoint_problem(service, url)
        if problem:
            yield Finding(("backend", "endpoint_urls", service), problem, "env.endpoint")


def _check_bundles(environment: Environment) -> Iterator[Finding]:
    tops = dict.fromkeys(roots(environment))
    for name, bundle in environment.trust.bundles.items():
        path: KeyPath = ("trust", "bundles", name)
        yield from _check_anchors(environment, bundle, path, tops)
        for target, settings in bundle.targets.items():
            if settings.kind is not None and settings.folder is not None:
                message = "write kind for a target that pkiops knows, or folder for one of your own"
                yield Finding((*path, "targets", target, "folder"), message, "env.target-kind")
            if settings.kind is not None or settings.folder is not None or target in SUPPORTED_KINDS:
                continue
            if target in FUTURE_KINDS:
                message, code = (
                    f"{target} is not supported by this version; it renders {listed(SUPPORTED_KINDS)}",
                    "env.unsupported",
                )
            else:
                message, code = (
                    f"this name is no kind of target; add kind: {listed(SUPPORTED_KINDS)}; or folder: and the name of a target of your own",
                    "env.target-kind",
                )
            yield Finding((*path, "targets", target), message, code, at_key=True)


def _check_crls(environment: Environment) -> Iterator[Finding]:
    """A bundle with CRLs needs whole ones: nobody could list the parts of a partitioned CRL (its names are made up by the service)."""
    needs: dict[str, str] = {}
    for name, bundle in environment.trust.bundles.items():
        if bundle.revocation is not Revocation.NONE:
            for anchor in bundle.anchors:
                needs.setdefault(anchor, name)
    for label, authority in environment.authorities.items():
        if authority.crl.type is CrlType.PARTITIONED and is_below(environment, label, needs):
            name = next(needs[anchor] for anchor in needs if is_below(environment, label, (anchor,)))
            message = f"bundle {name} needs a complete CRL; write COMPLETE, or revocation: none there"
            yield Finding(("authorities", label, "crl", "type"), message, "env.crl-type")


def _check_anchors(environment: Environment, bundle: Bundle, path: KeyPath, tops: Collection[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, anchor in enumerate(bundle.anchors):
        where = (*path, "anchors", index)
        if anchor in seen:
            yield Finding(where, "this anchor is listed twice; keep one", "env.anchor")
        elif anchor not in environment.authorities and anchor not in environment.external_authorities:
            yield Finding(where, f"there is no such authority; write {listed(tops)}", "env.anchor")
        elif anchor not in tops:
            message = (
                f"an anchor must be a root, because OpenSSL refuses a chain that ends below one; write {listed(tops)}"
            )
            yield Finding(where, message, "env.anchor")
        elif is_external(environment, anchor) and declaration(environment, anchor).sha256 is None:
            message = (
                "is kept elsewhere, so nothing but the file can vouch for it; pin its sha256 under external_authorities"
            )
            yield Finding(where, message, "env.anchor")
        seen.add(anchor)


def _check_access(environment: Environment) -> Iterator[Finding]:
    """A role that can never call would hold the right one out of its own buckets."""
    backend, access = environment.backend, environment.access
    partition = partition_of(backend.region)
    for persona, arn in access.items():
        parts = arn.split(":", 5)
        if parts[4] != backend.account:
            yield Finding(("access", persona.value), "write a role of backend.account", "env.account")
        elif parts[1] != partition:
            message = f"roles of this region's partition begin with arn:{partition}:"
            yield Finding(("access", persona.value), message, "env.partition")
    alone = access.get(Persona.RELYING_PARTY)
    if alone is not None and list(access.values()).count(alone) > 1:
        message = (
            "a relying party writes its acknowledgements and nothing else; give the other persona a role of its own"
        )
        yield Finding(("access", Persona.RELYING_PARTY.value), message, "env.access")
