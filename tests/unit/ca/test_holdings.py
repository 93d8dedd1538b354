"""Who may write where in the buckets, once ``access`` names the roles; and what becomes of it when it does not any more."""

from __future__ import annotations

from dataclasses import replace

from pkiops.ca.bucket_drift import bucket_action
from pkiops.ca.holdings import crl_holdings, trust_holdings
from pkiops.environment.models import Environment, Persona
from pkiops.plan import ActionKind
from tests.unit.ca.worlds import bucket_as, desired, dev

ROLES = {one: f"arn:aws:iam::123456789012:role/{one.value}" for one in Persona}
ROOT = "arn:aws:iam::123456789012:root"


def with_access(*personas: Persona) -> Environment:
    return replace(dev(), access={one: ROLES[one] for one in personas})


def test_nobody_named_nobody_held() -> None:
    assert crl_holdings(dev()) == trust_holdings(dev()) == ()
    assert [one["Sid"] for bucket in desired().buckets for one in bucket.statements] == ["Ours", "Ours"]


def test_the_crl_bucket_is_held_once_both_who_write_there_are_named() -> None:
    assert crl_holdings(with_access(Persona.PROVISIONER)) == crl_holdings(with_access(Persona.REVOKER)) == ()
    (held,) = crl_holdings(with_access(Persona.PROVISIONER, Persona.REVOKER))
    assert held.principals == (ROLES[Persona.PROVISIONER], ROLES[Persona.REVOKER])


def test_keys_are_held_whose_writer_is_named() -> None:
    trust = desired(with_access(Persona.PUBLISHER)).buckets[1]
    held = [one for one in trust.statements if one["Sid"].startswith("Pkiops")]
    assert held == [
        {
            "Sid": "PkiopsOnlyPublisher",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            "Resource": [f"arn:aws:s3:::{trust.name}/dev/crl/*", f"arn:aws:s3:::{trust.name}/dev/trust/*"],
            "Condition": {
                "ArnNotEquals": {"aws:PrincipalArn": [ROLES[Persona.PUBLISHER], ROOT]},
                "Bool": {"aws:PrincipalIsAWSService": "false"},
                "Null": {"aws:PrincipalArn": "false"},
            },
        }
    ]
    everybody = trust_holdings(with_access(*Persona))
    assert [one.name for one in everybody] == [
        "OnlyProvisioner",
        "OnlyPublisher",
        "OnlyRelyingParties",
        "RelyingPartiesOnlyTheirOwn",
    ]


def test_a_statement_of_ours_that_is_declared_no_more_is_drift_and_one_of_others_is_not() -> None:
    held, free = (desired(environment).buckets[1] for environment in (with_access(Persona.PUBLISHER), dev()))
    found = bucket_as(held)
    assert bucket_action("dev", held, found).kind is ActionKind.NO_OP
    gone = bucket_action("dev", free, found)
    assert (gone.kind, [one.field for one in gone.changes]) == (
        ActionKind.UPDATE,
        ["policy statement PkiopsOnlyPublisher"],
    )
    theirs = {"Sid": "TheirOwn", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "x"}
    beside = bucket_as(held, statements=(*held.statements, theirs))
    assert bucket_action("dev", held, beside).kind is ActionKind.NO_OP
