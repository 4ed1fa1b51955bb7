"""Tasks of a trained model: embed, generate, annotate and perturb. Also the clustering of embeddings."""
