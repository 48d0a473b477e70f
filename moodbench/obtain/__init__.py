"""From what publishers offer to a folder of images that a benchmark can use."""
