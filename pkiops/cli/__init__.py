"""The command line: one module per noun; each command parses, calls one use case and prints."""
