"""From files to sections, and from sections to the tokens that a model reads."""
