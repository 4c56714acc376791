"""What `python -m skrmt` does: demonstrations, the audit of a table, phase diagrams.

Its output is plain ASCII but for what the user's own data contain, so that every terminal shows
it. pandas and Matplotlib come with the extra `cli` and are imported where they are used.
"""
