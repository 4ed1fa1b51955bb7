"""Helpers that every room of the package may use: files, settings, logs, progress bars."""
