"""What the CAs of an environment cost a month, and what they would cost otherwise. Pure.

Two questions are answered beside the bill: which issuing CAs could run in short-lived mode, given what their profiles allow, and what an offline root
would save. Prices come from outside, with their source and date (``backends.prices``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pkiops.backends.identity import Identities
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.backends.prices import Prices
from pkiops.environment.hierarchy import children, issuers_first
from pkiops.environment.homes import default_home, home_of
from pkiops.environment.models import Environment, UsageMode
from pkiops.homes import Home, home_of_reference
from pkiops.ledger.interface import Entry, EntryState

_FREE = {AuthorityStatus.DELETED, AuthorityStatus.FAILED}
_USEFUL = {AuthorityStatus.ACTIVE, AuthorityStatus.CREATING}
# SHORT_LIVED_CERTIFICATE: certificates of at most seven days (AWS Private CA, CA modes)
_SHORT_LIVED_S = 7 * 86_400
_MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLine:
    """One CA of the environment; ``status`` is None for one that does not exist yet, ``useless`` for one that is billed and cannot issue.

    One that is kept elsewhere is ``external``: it costs nothing here.
    """

    label: str
    generation: int
    usage_mode: str
    status: str | None
    reference: str | None
    usd_month: float
    useless: bool
    account: str
    region: str
    external: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIf:
    """Another way to run one CA: what it saves a month, and what stands against it."""

    label: str
    change: str
    saves_usd_month: float
    needs: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The bill of one environment: CAs by the month, and the certificates of the last 30 days that its ledger knows (None without a ledger)."""

    environment: str
    lines: tuple[CostLine, ...]
    what_ifs: tuple[WhatIf, ...]
    certificates: int | None
    certificates_usd: float | None

    @property
    def usd_month(self) -> float:
        """What the CAs cost a month, those that do not exist yet included."""
        return sum(line.usd_month for line in self.lines)


def cost(
    environment: Environment,
    observed: Sequence[ObservedAuthority],
    prices: Prices,
    entries: Iterable[Entry] | None,
    now: datetime,
) -> Cost:
    """The bill of an environment.

    Args:
        environment: the file.
        observed: every CA of the account and region.
        prices: what things cost.
        entries: the ledger's, None where there is none.
        now: the end of the 30 days in which certificates are counted.

    Raises:
        GuardRefused: an identity exists twice.
    """
    count = None
    issued_usd = None
    if entries is not None:
        recent = [one for one in entries if one.state is EntryState.ISSUED and now - _MONTH < one.created_at <= now]
        count = len(recent)
        issued_usd = _certificates_usd(environment, recent, prices)
    return Cost(
        environment=environment.environment,
        lines=tuple(_lines(environment, observed, prices)),
        what_ifs=tuple(_what_ifs(environment, prices)),
        certificates=count,
        certificates_usd=issued_usd,
    )


def _certificates_usd(environment: Environment, issued: Sequence[Entry], prices: Prices) -> float:
    """What certificates of one month cost: the tiers are those of each account and region."""
    homes: dict[Home, list[Entry]] = {}
    for one in issued:
        home = home_of_reference(one.authority_reference or "") or default_home(environment)
        homes.setdefault(home, []).append(one)
    usd = 0.0
    for home, several in homes.items():
        there = prices.of_region(home.region)
        short = sum(_mode(environment, one) == UsageMode.SHORT_LIVED_CERTIFICATE.value for one in several)
        usd += there.certificates(len(several) - short) + short * there.short_lived_certificate
    return usd


def _mode(environment: Environment, entry: Entry) -> str:
    declared = environment.authorities.get(entry.authority or "")
    return declared.usage_mode.value if declared else UsageMode.GENERAL_PURPOSE.value


def _lines(environment: Environment, observed: Sequence[ObservedAuthority], prices: Prices) -> Iterable[CostLine]:
    identities = Identities(observed, environment.environment)
    for label in environment.external_authorities:
        yield CostLine(
            label=label,
            generation=1,
            usage_mode="",
            status=None,
            reference=None,
            usd_month=0.0,
            useless=False,
            account="",
            region="",
            external=True,
        )
    for label in issuers_first(environment):
        declared = environment.authorities[label]
        for generation in range(1, declared.generation + 1):
            one = identities.find(label, generation)
            if one is None and generation < declared.generation:
                continue
            mode = one.usage_mode if one else declared.usage_mode.value
            free = one is not None and one.status in _FREE
            home = (home_of_reference(one.reference) if one else None) or home_of(environment, label)
            yield CostLine(
                label=label,
                generation=generation,
                usage_mode=mode,
                status=one.status.value if one else None,
                reference=one.reference if one else None,
                usd_month=0.0 if free else prices.of_region(home.region).authority_month[mode],
                useless=one is not None and not free and one.status not in _USEFUL,
                account=home.account,
                region=home.region,
            )


def _what_ifs(environment: Environment, prices: Prices) -> Iterable[WhatIf]:
    for label in issuers_first(environment):
        declared = environment.authorities[label]
        month = prices.of_region(home_of(environment, label).region).authority_month
        if declared.issuer is None:
            yield WhatIf(
                label=label,
                change="a root kept offline, outside AWS",
                saves_usd_month=month[declared.usage_mode.value],
                needs="somebody who signs the CAs below it by hand, and its CRL (pkiops ca csr, ca install)",
            )
        elif declared.usage_mode is UsageMode.GENERAL_PURPOSE and not children(environment, label):
            yield WhatIf(
                label=label,
                change="in short-lived mode (SHORT_LIVED_CERTIFICATE)",
                saves_usd_month=month[UsageMode.GENERAL_PURPOSE.value] - month[UsageMode.SHORT_LIVED_CERTIFICATE.value],
                needs=_short_lived_needs(environment, label),
            )


def _short_lived_needs(environment: Environment, label: str) -> str:
    long = [
        f"{name} ({profile.validity.max})"
        for name, profile in environment.profiles.items()
        if profile.authority == label and profile.validity.max.approximate_seconds() > _SHORT_LIVED_S
    ]
    generation = "a new generation, because the mode of a CA never changes"
    return f"{generation}; certificates of at most 7d, which profile {', '.join(long)} exceeds" if long else generation


def cost_text(one: Cost, prices: Prices) -> str:
    """The bill as text for people."""
    lines = []
    homes = {Home(line.account, line.region) for line in one.lines if not line.external}
    for line in one.lines:
        if line.external:
            lines.append(f"{one.environment}/ca/{line.label}  kept elsewhere  USD 0.00 a month here")
            continue
        state = line.status or "not made yet"
        remark = "  billed, but cannot issue" if line.useless else ""
        name = f"{one.environment}/ca/{line.label} generation {line.generation}"
        where = f"  {Home(line.account, line.region)}" if len(homes) > 1 else ""
        lines.append(f"{name}  {line.usage_mode}  {state}{where}  USD {line.usd_month:.2f} a month{remark}")
    for home in sorted(homes) if len(homes) > 1 else ():
        usd = sum(line.usd_month for line in one.lines if Home(line.account, line.region) == home)
        lines.append(f"{one.environment} in {home}: USD {usd:.2f} a month")
    count = sum(not line.external for line in one.lines)
    lines.append(f"{one.environment}: USD {one.usd_month:.2f} a month for {count} CA{'' if count == 1 else 's'}")
    if one.certificates is not None:
        doubt = _doubt(prices, "certificate_tiers", "short_lived_certificate")
        lines.append(
            f"{one.environment}: USD {one.certificates_usd:.2f} for {one.certificates} certificates in 30 days, by the ledger{doubt}"
        )
    lines += [
        f"what if {what.label} were {what.change}: saves USD {what.saves_usd_month:.2f} a month; needs {what.needs}"
        for what in one.what_ifs
    ]
    return "\n".join(lines)


def prices_text(prices: Prices) -> str:
    """Where the figures come from."""
    return (
        f"prices: {prices.source}, checked {prices.checked}; the first CA of an account and region is free for 30 days"
    )


def _doubt(prices: Prices, *names: str) -> str:
    return " (unverified prices)" if set(names) & set(prices.unverified) else ""
