"""The canary's pure parts."""
