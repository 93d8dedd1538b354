"""One module per kind of relying party: which files it gets, and what it can check."""
