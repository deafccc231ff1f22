"""The report: tables, figures and one HTML page from what evaluations wrote."""
