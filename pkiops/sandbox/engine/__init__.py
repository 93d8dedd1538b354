"""The engine: AWS Private CA's semantics with no moto, no HTTP and no S3 in it.

Time, randomness and the place CRLs are written to are handed in. ``service.PrivateCa`` is the entry.
"""
