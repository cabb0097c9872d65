"""Files that a stage reads and dvc.yaml doesn't name: when one changes, DVC runs nothing again.

commands.py reads which Python programs a stage runs, imported_modules.py what these import; undeclared_deps.py holds
that, and what a stage was seen to open, against the stage's deps.
"""
