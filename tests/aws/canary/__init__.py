"""The canary against the sandbox, in the part of AWS."""
