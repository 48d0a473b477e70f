"""What the commands do, one module for each: functions that take a workspace and plain values, for Python users too."""
