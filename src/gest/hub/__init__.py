"""Share models: export them with a model card and hashes, and load them from a folder or the web."""
