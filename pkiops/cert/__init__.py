"""Certificates of end entities: request, issue, show, verify, revoke."""
