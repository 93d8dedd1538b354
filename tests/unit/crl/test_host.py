"""What is rendered to answer distribution points: what the CDN may read, and that no value of a file becomes part of a template."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pkiops.ca.bucket_drift import bucket_action, covers
from pkiops.crl.host import CdpHost, HostFormat, cdp_host, hcl_text, render_host, serving_statement, yaml_text
from pkiops.environment.models import Environment
from pkiops.errors import NotSupported
from pkiops.plan import ActionKind
from tests.unit.ca.worlds import bucket_as, desired, dev

DISTRIBUTION = "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what they are short for."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {suffix: loader.construct_scalar(node)}


_Loader.add_multi_constructor("!", _short_form)


def read_yaml(text: str) -> dict[str, Any]:
    loaded = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    assert isinstance(loaded, dict)
    return loaded


def with_crl(env: Environment, label: str, **changes: object) -> Environment:
    one = env.authorities[label]
    crl = replace(one.crl, **changes)  # type: ignore[arg-type]
    return replace(env, authorities={**env.authorities, label: replace(one, crl=crl)})


def with_distribution(env: Environment, *, manage: bool = True) -> Environment:
    crl = replace(env.publication.crl, distribution=DISTRIBUTION, manage=manage)
    return replace(env, publication=replace(env.publication, crl=crl))


def test_every_host_that_certificates_name_is_served_once() -> None:
    env = with_crl(dev(), "clients", host="other.example.com")
    assert cdp_host(dev()).hosts == (dev().publication.crl.host,)
    assert set(cdp_host(env).hosts) == {dev().publication.crl.host, "other.example.com"}


def test_a_host_of_aws_is_left_out_and_said() -> None:
    env = with_crl(dev(), "clients", host="example.s3.dualstack.eu-west-1.amazonaws.com")
    found = cdp_host(env)
    assert (found.hosts, found.foreign) == (
        (dev().publication.crl.host,),
        ("example.s3.dualstack.eu-west-1.amazonaws.com",),
    )


def test_nothing_to_serve_and_nowhere_to_serve_it_are_said() -> None:
    env = dev()
    for label in env.authorities:
        env = with_crl(env, label, omit_cdp=True)
    with pytest.raises(NotSupported, match="no certificate names") as caught:
        cdp_host(env)
    assert caught.value.code == "crl.host-nothing"
    in_china = replace(dev(), backend=replace(dev().backend, region="cn-north-1"))
    with pytest.raises(NotSupported, match="cn-north-1"):
        cdp_host(in_china)


def test_cloudformation_serves_plain_http_and_reads_through_origin_access_control() -> None:
    made = read_yaml(render_host(cdp_host(dev()), HostFormat.CLOUDFORMATION))
    assert made["AWSTemplateFormatVersion"] == "2010-09-09"  # a date it must not become
    config = made["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    behavior, (origin,) = config["DefaultCacheBehavior"], config["Origins"]
    assert config["Aliases"] == [dev().publication.crl.host]
    assert behavior["ViewerProtocolPolicy"] == "allow-all"
    assert behavior["AllowedMethods"] == ["GET", "HEAD"]
    assert origin["DomainName"] == f"{dev().publication.crl.bucket}.s3.{dev().backend.region}.amazonaws.com"
    assert origin["OriginAccessControlId"] == {"GetAtt": "OriginAccessControl.Id"}
    access = made["Resources"]["OriginAccessControl"]["Properties"]["OriginAccessControlConfig"]
    assert (access["SigningBehavior"], access["SigningProtocol"]) == ("always", "sigv4")
    policy = made["Resources"]["CachePolicy"]["Properties"]["CachePolicyConfig"]
    assert policy["MinTTL"] <= policy["DefaultTTL"] <= policy["MaxTTL"] <= 3600
    kinds = [one["Type"] for one in made["Resources"].values()]
    assert "AWS::S3::BucketPolicy" not in kinds
    assert kinds.count("AWS::Route53::RecordSet") == 2


def test_the_statement_that_is_put_out_is_the_one_that_apply_adds() -> None:
    made = read_yaml(render_host(cdp_host(dev()), HostFormat.CLOUDFORMATION))
    separator, parts = made["Outputs"]["BucketPolicyStatement"]["Value"]["Join"]
    text = separator.join(one if isinstance(one, str) else DISTRIBUTION for one in parts)
    (added,) = [
        one for one in desired(with_distribution(dev())).buckets[0].statements if one["Sid"] == "PkiopsCdnReadsCrls"
    ]
    assert json.loads(text) == added == serving_statement(dev().publication.crl.bucket, DISTRIBUTION)


def test_the_cdn_reads_crls_and_no_audit_report() -> None:
    statement = serving_statement("b", DISTRIBUTION)
    theirs = {**statement, "Resource": "arn:aws:s3:::b/*"}
    assert covers(theirs, statement)
    for key, readable in (("crl/x.crl", True), ("x.crl", True), ("audit-report/x/y.json", False), ("crl/x", False)):
        assert covers(statement, {**statement, "Resource": f"arn:aws:s3:::b/{key}"}) is readable, key


def test_apply_adds_the_statement_once_the_file_names_the_distribution_and_takes_it_away_with_it() -> None:
    before, after = desired(dev()).buckets[0], desired(with_distribution(dev())).buckets[0]
    added = bucket_action("dev", after, bucket_as(before))
    removed = bucket_action("dev", before, bucket_as(after))
    assert (added.kind, removed.kind) == (ActionKind.UPDATE, ActionKind.UPDATE)
    assert [one.field for one in added.changes] == ["policy statement PkiopsCdnReadsCrls"]
    assert [one.field for one in removed.changes] == ["policy statement PkiopsCdnReadsCrls"]
    foreign = desired(with_distribution(dev(), manage=False)).buckets[0]
    missing = bucket_action("dev", foreign, bucket_as(before))
    assert missing.kind is ActionKind.BLOCKED
    assert '"AWS:SourceArn"' in str(missing.changes[0].after)


def test_terraform_names_every_host_and_no_bucket_policy() -> None:
    env = with_crl(dev(), "clients", host="other.example.com")
    text = render_host(cdp_host(env), HostFormat.TERRAFORM)
    assert f'hosts = ["other.example.com", "{dev().publication.crl.host}"]' in text
    assert 'viewer_protocol_policy = "allow-all"' in text
    assert "aws_s3_bucket_policy" not in text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_yaml_reads_back_what_was_quoted(value: str) -> None:
    assert json.loads(yaml_text(value)) == value
    if all(ord(one) < 0x10000 for one in value):  # YAML has no surrogate pairs; the models let no such character in
        assert yaml.safe_load(yaml_text(value)) == value


@given(st.text(alphabet=st.sampled_from('${}%"\\\n\r\tab~\x00\x7f\u2028\U0001f600')))
def test_hcl_reads_back_what_was_quoted(value: str) -> None:
    quoted = hcl_text(value)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert unquoted_hcl(quoted) == value


def test_hostile_tags_stay_text() -> None:
    hostile = '"}\n- {Key: x, Value: !Ref AWS::StackId} ${file("/etc/passwd")} %{ if true } {{ 7*7 }} # '
    host = CdpHost("dev", "bucket", "eu-west-1", ("pki.example.com",), (), ((hostile, hostile),))
    made = read_yaml(render_host(host, HostFormat.CLOUDFORMATION))
    assert made["Resources"]["Distribution"]["Properties"]["Tags"] == [{"Key": hostile, "Value": hostile}]
    line = next(one for one in render_host(host, HostFormat.TERRAFORM).splitlines() if "passwd" in one)
    key, value = line.strip().split(" = ")
    assert unquoted_hcl(key.strip("()")) == unquoted_hcl(value) == hostile


def unquoted_hcl(quoted: str) -> str:
    """What a quoted template of HCL says; fails where an interpolation or a directive would begin."""
    assert (quoted[0], quoted[-1]) == ('"', '"')
    text, found, at = quoted[1:-1], "", 0
    while at < len(text):
        if text[at : at + 3] in {"$${", "%%{"}:
            found, at = found + text[at + 1 : at + 3], at + 3
        elif text[at] == "\\":
            length = {"u": 6, "U": 10}.get(text[at + 1], 2)
            found += chr(int(text[at + 2 : at + length], 16)) if length > 2 else text[at + 1]
            at += length
        else:
            assert text[at] != '"'
            assert text[at : at + 2] not in {"${", "%{"}
            found, at = found + text[at], at + 1
    return found
