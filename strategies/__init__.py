"""What a user writes and uses: the strategy interface, indicators, features, rules, models."""
