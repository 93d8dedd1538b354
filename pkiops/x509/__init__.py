"""X.509 as data: names, keys, requests, certificates, CRLs and chains. Pure: no I/O, no clock."""
