"""Lesions as an observer that is not a network sees them: a matched filter taught on clean images alone."""
