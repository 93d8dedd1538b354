"""Private PKI for mutual TLS, run as code.

The version lives here as a constant because reading it from the package metadata costs 40 ms at start-up;
a test holds it against pyproject.toml.
"""

__version__ = "0.1.0"
