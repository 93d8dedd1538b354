"""Issuance policy: rules as data, and a pure engine that decides."""
