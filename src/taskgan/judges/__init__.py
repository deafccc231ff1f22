"""Who reads an image: judges, the one table of what they read, and how well they read."""
