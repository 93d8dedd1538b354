"""AWS Private CA on this machine, written from its documentation and botocore's service model.

What this package decides: how the service behaves (``engine``), how moto and a loopback server offer it (``moto_adapter``,
``server``) and how such a server is started, found and ended (``process``). It knows nothing of pkiops's own idea of AWS or
of certificates, so that each can be checked against the other.
"""
