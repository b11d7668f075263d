"""What people see: the viewer, the charts, the state of a page and the work that runs behind it."""
