"""Sources of tables: files of rows, read as structs of their columns, those held out last."""
