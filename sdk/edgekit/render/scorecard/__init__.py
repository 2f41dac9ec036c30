"""The scorecard as a site: one page of all models, one of each, and model cards; as text, by path."""
