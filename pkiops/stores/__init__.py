"""Named bytes with conditional writes: interface.py and one module per kind of store."""
