"""Tasks of a trained model: embed, generate, annotate, perturb; and clustering of embeddings."""
