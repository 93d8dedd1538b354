"""AWS Private CA (acm-pca) behind the interface of ``pkiops.backends``. Never run on AWS by us; tested over HTTP against the sandbox."""

from pkiops.backends.aws_private_ca.backend import AwsPrivateCa

__all__ = ["AwsPrivateCa"]
