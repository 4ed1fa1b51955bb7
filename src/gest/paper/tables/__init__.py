"""Tables of the paper: what each holds, and its layout as Markdown and HTML."""
