"""``make demo``: the whole story on the embedded sandbox, told with the commands a user would type."""
