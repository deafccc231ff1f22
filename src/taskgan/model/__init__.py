"""A trained restorer: its folder, its card, and how it is applied to arrays."""
