"""The SQL stores. SQL text is made here and nowhere else."""
