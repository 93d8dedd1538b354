"""Which endpoints count as AWS or this machine."""

from __future__ import annotations

import pytest

from pkiops.environment.endpoints import endpoint_problem, foreign_endpoints
from tests.unit.environment.samples import changed, read

OURS = [
    ("s3", "https://s3.amazonaws.com"),
    ("s3", "https://s3.dualstack.eu-west-1.amazonaws.com"),
    ("s3", "https://bucket.vpce-0a1b2c-3d4e.s3.eu-west-1.vpce.amazonaws.com"),
    ("sts", "https://sts.eu-west-1.amazonaws.com/"),
    ("acm-pca", "https://acm-pca-fips.us-gov-west-1.amazonaws.com"),
    ("acm-pca", "https://acm-pca.cn-north-1.amazonaws.com.cn"),
    ("acm-pca", "https://vpce-0a1b-2c3d.acm-pca.eu-west-1.vpce.amazonaws.com:443"),
    ("acm-pca", "https://acm-pca.eu-west-1.api.aws"),
    ("resourcegroupstaggingapi", "https://tagging.eu-west-1.amazonaws.com"),
    ("resourcegroupstaggingapi", "https://vpce-0a1b-2c3d.tagging.eu-west-1.vpce.amazonaws.com"),
    ("secretsmanager", "https://secretsmanager.eu-west-1.amazonaws.com"),
    ("ssm", "https://vpce-0a1b-2c3d.ssm.eu-west-1.vpce.amazonaws.com"),
    ("acm-pca", "http://127.0.0.1:4599"),
    ("acm-pca", "http://localhost:4599/path"),
    ("acm-pca", "http://[::1]:4599"),
]
FOREIGN = [
    ("resourcegroupstaggingapi", "https://resourcegroupstaggingapi.eu-west-1.amazonaws.com"),
    ("acm-pca", "https://acm-pca.example.com"),
    ("acm-pca", "https://ec2-198-51-100-7.eu-west-1.compute.amazonaws.com"),
    ("acm-pca", "https://acm-pca.s3.amazonaws.com"),
    ("acm-pca", "https://evil.elb.eu-west-1.amazonaws.com"),
    ("acm-pca", "https://vpce-0a1b.vpce-svc-0c2d.eu-west-1.vpce.amazonaws.com"),
    ("acm-pca", "https://acm-pca.eu-west-1.amazonaws.com.example.com"),
    ("acm-pca", "https://acm-pcaxeu-west-1.amazonaws.com"),
    ("acm-pca", "http://127.0.0.1.example.com"),
    ("acm-pca", "http://localhost.example.com"),
    ("acm-pca", "http://moto:5000"),
]


@pytest.mark.parametrize(("service", "url"), OURS)
def test_aws_and_loopback(service: str, url: str) -> None:
    assert endpoint_problem(service, url) is None
    assert foreign_endpoints(read(changed("endpoint_urls: {}", f"endpoint_urls: {{{service}: '{url}'}}"))) == ()


@pytest.mark.parametrize(("service", "url"), FOREIGN)
def test_everything_else_is_foreign(service: str, url: str) -> None:
    assert endpoint_problem(service, url) is None
    environment = read(changed("endpoint_urls: {}", f"endpoint_urls: {{{service}: '{url}'}}"))
    assert foreign_endpoints(environment) == (f"{service}={url}",)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.amazonaws.com@example.com",
        "https://example.com\\@s3.amazonaws.com",
        "https://s3.amazonaws.com?x",
        "https://s3.amazonaws.com#x",
        "https://",
        "https:///s3.amazonaws.com",
        "https://S3.amazonaws.com",
        "ftp://s3.amazonaws.com",
        "http://s3.eu-west-1.amazonaws.com",
    ],
)
def test_urls_that_parsers_disagree_on_are_refused(url: str) -> None:
    assert endpoint_problem("s3", url) is not None
