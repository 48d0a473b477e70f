"""The caches of one model → a number for each test row → metrics → result rows."""
