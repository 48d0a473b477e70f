"""What a bug report needs to know of a machine, and what on it will hurt: one module for each kind of question.

Nothing here may fail because something is broken: that is what is asked about. A check that raises becomes a finding
(`findings.asked`); what could take the process along, or never come back (libraries, folders on a network), is asked in
a process of its own (`children`). Nothing heavy is imported in this one.
"""
