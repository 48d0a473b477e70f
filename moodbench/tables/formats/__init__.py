"""Tables → text. Each format is a function in `FORMATS`, in a module that is found by itself."""
