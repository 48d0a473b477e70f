"""A fitted score that judges single images: p-values, verdicts, evidence, and the file that keeps what was fitted."""
