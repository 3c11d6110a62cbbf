"""Reverse channel coding: how few bits give both ends the same random sample.

:mod:`diffc_stream.channel.simulator` says what that means and which methods there are.
"""
