"""What Alembic runs to bring a database up to date: on the connection, and in the transaction, that it is handed."""

from alembic import context

from qwenvl_debug.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite's driver is told when to begin by us (see engine.py), so making tables can be undone there too.
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
