"""The kit of pages that report, audit and sweep share: tables, style, template."""
