"""Files from the network: resumed, checked, and complete or not there."""
