"""Homework: release an assignment, grade what comes back, trust the marks.

Students' code runs in a sandbox; the tests never do. See book/homework.md.
"""

VERSION = "4"
"""Part of the name of every result: raise it when a change of the grader may change a mark."""
