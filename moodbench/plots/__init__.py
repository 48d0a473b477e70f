"""Pictures of results, a module for each kind; the suffix of the file says PNG, SVG or PDF."""
