"""What exists and what was issued, as complete records for auditors."""
