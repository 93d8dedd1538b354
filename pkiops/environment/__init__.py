"""Environment files: what should exist, one YAML file per environment."""
