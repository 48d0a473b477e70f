"""Scoring on a Ray cluster: what is sent (`sent`), what workers do (`worker`), and who hands it out (`on_ray`)."""
