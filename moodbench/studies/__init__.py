"""A whole study as a file: what it says, whether that makes sense, what is to be done, and what it will cost."""
