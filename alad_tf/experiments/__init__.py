"""The paper's protocol (Section V): settings, runs, checkpoints, evaluation and summaries."""
