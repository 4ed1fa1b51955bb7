"""The reproduction of the paper: its methods, scores, tables and figures, which the library itself never imports."""
