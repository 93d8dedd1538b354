"""Certificates of end entities: request, issue, renew, list, resolve, show, verify, revoke."""
