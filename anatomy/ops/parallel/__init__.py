"""Closed forms of loops: a loop whose body has one is computed for all steps at once.

Each form is a file of its own that says what it converts and when; `forms` tries them in turn. A form only
ever adds ordinary boxes, and boxes that no text can write, for the compiler.
"""
