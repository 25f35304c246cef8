"""The loop: its steps over an open project, and the weekly job that strings them together.

Each step is imported from where it stands, so that a command loads its own alone.
"""
