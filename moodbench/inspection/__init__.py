"""What is on this disk of a dataset, and what is wrong with it: looks at images and notes, and changes no image."""
