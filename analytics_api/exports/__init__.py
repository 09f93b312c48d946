"""The CSV exports of the original analytics, made from the published marts row by row."""
