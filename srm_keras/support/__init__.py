"""What all packages use: files, tables, pages, pictures, checks of arguments."""
