"""Tables of the paper: their contents, and their layout as Markdown and HTML."""
