"""The distributed system while parts of it die: ``python -m tests.faults.distributed``.

``system.py`` is what dies, ``load.py`` the customers, ``ledger.py`` what they were told,
``judge.py`` the comparison afterwards, ``scenarios/`` what goes wrong, ``weakened.py`` processes
with one protection switched off, so that the checks can be seen to bite.
"""
