"""``taskgan readers``: people read restored images without knowing which method made them, and what came of it."""
