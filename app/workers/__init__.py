"""Where runs run: processes of their own, behind one small interface."""
