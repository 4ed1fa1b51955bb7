"""Tables and figures, drawn from scores and predictions."""
