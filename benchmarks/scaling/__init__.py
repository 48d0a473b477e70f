"""What extraction and scoring cost past one machine: a model of costs, predictions, and a simulation of shard plans."""
