"""Which workers take new tasks: asked and told by Celery's remote control.

Needs the extra `celery`; nothing of it is imported before an intake is opened.
"""
