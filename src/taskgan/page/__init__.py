"""The kit of pages that report, audit, sweep and explain share: tables, style, template."""
