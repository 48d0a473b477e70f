"""Unpacking tar and zip archives of strangers, of which nothing is believed.

::

    kinds.py     what a file is, from its first bytes
    stream.py    reading forwards through a (decompressed) file, with an eye on bombs
    members.py   the members of an archive, one after another, tar and zip alike; tars inside tars
    names.py     which names are safe
    folder.py    writing members below a folder, within limits

Only contents are taken from an archive: every file is made here, under a name that was checked, with this process's
own permissions. The unpacking functions of the standard library (and with them links, owners and modes) are not used.
"""

from moodbench.obtain.unpack.folder import Budget, Folder, Tally, unpack, unpack_into
from moodbench.obtain.unpack.members import Member, members, nested

__all__ = ["Budget", "Folder", "Member", "Tally", "members", "nested", "unpack", "unpack_into"]
