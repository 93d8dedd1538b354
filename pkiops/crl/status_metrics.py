"""The state of the published CRLs in the text format of Prometheus (exposition format 0.0.4), for node_exporter's textfile collector. Pure.

What this module decides: the names, types and labels of the metrics. Times are gauges of Unix seconds, so that a file which nobody writes any more
still tells when a CRL expires, and ``pkiops_crl_status_timestamp_seconds`` tells how old the file is. Metrics without a sample are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pkiops.crl.status_facts import AuthorityStatus, CrlStatus, Severity

# what every file of ours begins with
FIRST = "# HELP pkiops_crl_status_timestamp_seconds "
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class _Sample:
    labels: Mapping[str, str]
    value: int | float


def metrics_text(status: CrlStatus) -> str:
    """The metrics, each with its HELP and TYPE, a newline at the end."""
    lines: list[str] = []
    for name, text, samples in _metrics(status):
        if not samples:
            continue
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{_labels(one.labels)}}} {_value(one.value)}" for one in samples]
    return "\n".join(lines) + "\n"


def _metrics(status: CrlStatus) -> Iterator[tuple[str, str, list[_Sample]]]:
    environment = {"environment": status.environment}
    at = _Sample(environment, int(status.at.timestamp()))
    yield "pkiops_crl_status_timestamp_seconds", "When the CRLs were looked at.", [at]
    yield from _authority_metrics(status)
    counts = [_Sample({**environment, "severity": one.word}, status.count(one)) for one in Severity]
    yield "pkiops_crl_findings", "How many findings there are of each severity.", counts
    found: dict[tuple[str, str, str], int] = {}
    for one in status.findings:
        key = (one.authority or "", one.code, one.severity.word)
        found[key] = found.get(key, 0) + 1
    each = [
        _Sample({**environment, "authority": name, "code": code, "severity": severity}, count)
        for (name, code, severity), count in sorted(found.items())
    ]
    yield "pkiops_crl_finding", "Findings by CA (none: of the whole set) and code.", each
    skipped = [_Sample({**environment, "check": one}, 1) for one in sorted({one.check for one in status.skipped})]
    yield "pkiops_crl_check_skipped", "Checks that could not be made, at least of one CA.", skipped


def _authority_metrics(status: CrlStatus) -> Iterator[tuple[str, str, list[_Sample]]]:
    def of(value: int | float, one: AuthorityStatus) -> _Sample:
        labels = {"environment": status.environment, "authority": one.facts.label}
        # two samples with the same labels would cost the collector the whole file
        part = {"part": one.facts.part} if one.facts.part else {}
        return _Sample({**labels, "generation": str(one.facts.generation), **part}, value)

    rows = status.authorities
    in_set = [(one, one.facts.published) for one in rows if one.facts.published is not None]
    records = [(one, facts.record) for one, facts in in_set]
    yield (
        "pkiops_crl_published",
        "Whether a CRL of the CA is in the published set.",
        [of(int(one.facts.published is not None), one) for one in rows],
    )
    yield (
        "pkiops_crl_verified",
        "Whether the published CRL was verified under its CA.",
        [of(int(facts.verified), one) for one, facts in in_set],
    )
    yield (
        "pkiops_crl_this_update_timestamp_seconds",
        "When the published CRL begins to hold.",
        [of(int(record.this_update.timestamp()), one) for one, record in records],
    )
    yield (
        "pkiops_crl_next_update_timestamp_seconds",
        "When the published CRL expires.",
        [of(int(record.next_update.timestamp()), one) for one, record in records],
    )
    yield (
        "pkiops_crl_remaining_ratio",
        "How much of the lifetime of the published CRL is left; negative once it has expired.",
        [of(round(one.remaining_ratio, 6), one) for one in rows if one.remaining_ratio is not None],
    )
    yield "pkiops_crl_number", "The CRL number.", [of(record.number, one) for one, record in records]
    yield (
        "pkiops_crl_entries",
        "How many certificates the published CRL lists.",
        [of(record.entries, one) for one, record in records],
    )
    yield (
        "pkiops_crl_size_bytes",
        "The size of the published CRL in DER.",
        [of(facts.size, one) for one, facts in in_set if facts.size is not None],
    )
    yield (
        "pkiops_crl_own_number",
        "The number of the CRL that the CA wrote last.",
        [of(one.facts.own.number, one) for one in rows if one.facts.own and one.facts.own.number is not None],
    )
    compared = [(one, one.facts.ledger) for one in rows if one.facts.ledger is not None]
    yield (
        "pkiops_crl_revoked_not_listed",
        "Certificates that the ledger knows as revoked and the published CRL lacks.",
        [of(ledger.unlisted.count, one) for one, ledger in compared],
    )
    yield (
        "pkiops_crl_listed_not_recorded",
        "Certificates on the published CRL that the ledger takes for valid.",
        [of(ledger.unrecorded.count, one) for one, ledger in compared],
    )
    yield (
        "pkiops_crl_listed_unknown",
        "Certificates on the published CRL that the ledger does not know.",
        [of(ledger.unknown.count, one) for one, ledger in compared],
    )


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())


def _value(value: int | float) -> str:
    return str(value)
