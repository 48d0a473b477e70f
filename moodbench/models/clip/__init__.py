"""Networks of open_clip: their image towers as models, their text towers as makers of heads. An optional extra."""
