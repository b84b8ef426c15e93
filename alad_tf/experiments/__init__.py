"""The paper's protocol (Section V): runs, their settings, checkpoints, evaluation and summaries."""
