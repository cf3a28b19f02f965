"""``make up``: the whole distributed system on one machine.

The servers it needs are its own, in ``PBXIM_DATA/up``, unless settings name others; everything is
kept running by supervisord. ``plan.py`` says what runs, ``servers.py`` how the own servers are set
up, ``supervisor.py`` writes what supervisord reads, ``__main__.py`` is the command.
"""
