"""Plays six months of calm, hurt, draining and inflamed customers into brandtox, and reports.

`texts/` holds what they write, `histories` what they do, `truth` what should be found, `run` plays
it over HTTP by the wire contract, `report` writes docs/simulator.*. Nothing here reads the index's
settings or code.
"""
