"""What `python -m skrmt` does: a demonstration on real data, and the audit of a table.

Its output is plain ASCII but for what the user's own data contain, so that every terminal shows
it. pandas and Matplotlib come with the extra `cli` and are imported where they are used.
"""
