"""What Lossboard's client can do beyond reporting points: each module is imported when it is first used.

Needs ``lossboard.py`` and the standard library only, in Python 3.9 or newer. A running board hands the package out as
``/lossboard_extras.zip``, which is found when it lies beside ``lossboard.py``.
"""
