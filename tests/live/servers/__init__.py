"""One small file for each relying party: how it is started over rendered files, and what it should make of each client."""
