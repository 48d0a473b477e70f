"""Which pair, model or score is best, and is that luck: kept row scores → means with errors → standings."""
