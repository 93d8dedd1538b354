"""The canary: what the sandbox claims of AWS Private CA, asked of AWS Private CA itself (``python -m tests.canary``)."""
