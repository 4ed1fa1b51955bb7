"""Generation of unseen cells: `generate`, the rounds of A.2, and their reference windows."""
