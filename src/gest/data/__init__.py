"""Read sections from files, and convert them to the tokens that a model reads."""
