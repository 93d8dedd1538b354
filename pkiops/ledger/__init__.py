"""The ledger: every request for a certificate, issued or refused."""
