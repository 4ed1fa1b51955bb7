"""Helpers for the whole package: files, settings, logs, progress bars."""
