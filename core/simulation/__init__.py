"""Tries a change before it is made: a described grid in virtual time, with the brokerage, shares and dispatch of production."""
