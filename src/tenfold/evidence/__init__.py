"""Judging: metrics, evaluation on splits, the ledger of test openings."""
