"""``ca doctor``: what is wrong, or about to be, before AWS says so. ``catalogue`` names the checks, ``examine`` reads, ``diagnose`` decides."""
