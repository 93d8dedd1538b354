"""``pkiops crl host``: stdout, the file, and what is said about what comes next."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app

SAMPLES = Path(__file__).parents[2] / "environments"


@pytest.fixture
def pkiops(tmp_path: Path) -> Any:
    shutil.copytree(SAMPLES, tmp_path / "environments")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--environments", str(tmp_path / "environments"), "crl", "host", *arguments])

    return run


def test_both_templates_are_rendered_without_a_call(pkiops: Any) -> None:
    made = pkiops("prod")
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("# What answers")
    assert "AWS::CloudFront::Distribution" in made.stdout
    assert "publication.crl.distribution" in made.stderr
    made = pkiops("prod", "--format", "terraform")
    assert 'resource "aws_cloudfront_distribution" "crl"' in made.stdout
    assert pkiops("prod", "--format", "terraform", "--output", "-").stdout == made.stdout
    assert pkiops("prod", "--format", "pulumi").exit_code == 2


def test_a_file_is_written_and_not_replaced(pkiops: Any, tmp_path: Path) -> None:
    target = tmp_path / "cdp.tf"
    made = pkiops("prod", "--format", "terraform", "--output", str(target))
    assert (made.exit_code, made.stdout) == (0, "")
    assert "aws_route53_record" in target.read_text()
    assert pkiops("prod", "--output", str(target)).exit_code == 9


def test_a_distribution_in_the_file_is_checked_and_nothing_more_is_to_do(pkiops: Any, tmp_path: Path) -> None:
    file = tmp_path / "environments" / "prod.yaml"
    text = file.read_text()
    named = "host: pki.prod.example.com, distribution: "
    file.write_text(text.replace("host: pki.prod.example.com", f"{named}EDFDVBD6EXAMPLE"))
    refused = pkiops("prod")
    assert refused.exit_code == 3
    assert "write the ARN of a CloudFront distribution" in refused.stderr
    arn = "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"
    file.write_text(text.replace("host: pki.prod.example.com", f"{named}{arn}"))
    assert pkiops("prod").stderr == ""
