"""CA hierarchies as code: what should exist and what does, the plan between them, and carrying it out."""
