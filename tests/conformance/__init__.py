"""What every warehouse must do, whichever engine it is.

A third engine adds itself to ``adapters.py``; docs/engines.md walks through it.
"""
