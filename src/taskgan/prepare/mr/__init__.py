"""``taskgan prepare mr``: exported multi-delay multi-echo images and conventional contrasts."""
