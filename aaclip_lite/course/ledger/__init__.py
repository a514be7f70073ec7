"""The ledger: every checkable claim of five reports, with document, line, check and verdict.

Special: the rows are data, a file of JSON lines for each document; beside it a file of functions
gives the values of the quick ones again, offline. The reports are described in chapter 17.
Use: `claims()`, `print(table(select(document="S2")))`, `again(claims())`, `own(...)`.
"""
# ruff: noqa: F401

from .claim import KINDS, VERDICTS, Claim, judge
from .reading import DOCUMENTS, Again, again, claims, counts, find, html, own, page, select, table
