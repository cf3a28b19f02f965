"""What processes under test load at their start: see ``sitecustomize.py``."""
