"""Certificate authorities behind small Protocols (interface.py); one package or module per kind."""
