"""One HTML page that holds everything: answer, grid, pictures, images, provenance; nothing is fetched from anywhere."""
