"""Campaigns: their definitions, amounts and limits, the sites that may embed them, and a cache."""
