"""Files from the network: resumed, checked, and complete or not there.

The transfer of one file is `http.fetch`; `expected` says what makes a file the right one, `meter` shows progress.
"""
