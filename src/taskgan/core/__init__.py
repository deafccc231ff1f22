"""Errors, console, files and settings: what every room stands on."""
