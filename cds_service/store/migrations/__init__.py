"""The steps that made the tables what they are, oldest first; Alembic walks them at the start of the service.

A step only adds: an older version that still runs beside a newer one must find what it knows. No step goes back;
who must go back restores the copy of the database made before the update.
"""
