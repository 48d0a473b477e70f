"""Our results beside others: published tables, anybody's CSV file, and another folder of results.

`reference` says what all of these give, `published`, `sheet` and `folder` read one each; `match` puts our rows beside
theirs, `causes` and `reasons` say why two numbers differ, `words` and `text` say it to people.
"""
