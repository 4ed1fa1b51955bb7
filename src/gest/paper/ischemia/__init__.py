"""Ischemia."""
