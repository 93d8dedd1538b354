"""CRLs of an environment: fetched from their CAs, checked, published as complete sets, read back and looked at."""
