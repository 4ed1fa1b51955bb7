"""Share models: load them from anywhere, and export them with a model card and hashes."""
