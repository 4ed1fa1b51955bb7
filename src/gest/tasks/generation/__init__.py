"""Generation of unseen cells: the verb `generate`, the rounds of A.2, and their reference windows."""
