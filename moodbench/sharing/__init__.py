"""Results that people share: a folder of submissions, in git or at the Hugging Face hub, checked before it is written.

`layout` says where a submission lies and reads one strictly, `signature` what rows were made from, `clean` takes the
submitter's machine out of them, `agree` finds what contradicts, `submit` writes, `card` tells people what is there;
`git` and `hub` are the two places besides a plain folder.
"""
